//! What a pod's containers are granted beyond files: buckets and configuration in its volumes, and a log with levels.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_capabilities::{Buckets, Configuration, Directory, Grants, LogLevel};
use osier_engine::Mount;
use osier_podspec as podspec;
use osier_podspec::volumes::{Content, Mounted};
use osier_process::Tasks;

use super::create::Refusal;
use crate::volumes::Volumes;

/// Where grants become what guests use.
pub(super) struct Giver {
    pub(super) volumes: Arc<Volumes>,
    pub(super) buckets: Buckets,
    pub(super) tasks: Tasks,
}

impl Giver {
    /// Opens what a pod is granted, out of the volumes for it. Blocks.
    pub(super) fn give(
        &self,
        uid: &str,
        wanted: &podspec::Grants,
        volumes: &[Mounted],
    ) -> Result<Arc<Grants>, Refusal> {
        let mounts = self
            .volumes
            .prepare(uid, volumes)
            .map_err(Refusal::config)?;
        let known: BTreeMap<&str, (&Mounted, &Mount)> = volumes
            .iter()
            .zip(&mounts)
            .map(|(mounted, mount)| (mounted.volume.as_str(), (mounted, mount)))
            .collect();
        let mut grants = Grants {
            logging: wanted.logging.as_deref().and_then(LogLevel::of),
            ..Grants::default()
        };
        for (name, volume) in &wanted.buckets {
            let Some((mounted, mount)) = known.get(volume.as_str()) else {
                continue;
            };
            let opened = self.buckets.open(&Directory {
                path: mount.directory.clone(),
                read_only: mount.read_only,
                durable: mounted.content != Content::Empty,
            });
            let told =
                |error| Refusal::config(format!("bucket {name:?}, volume {volume:?}: {error}"));
            grants.buckets.insert(name.clone(), opened.map_err(told)?);
        }
        let directories = wanted.configuration.iter();
        let directories = directories.filter_map(|volume| known.get(volume.as_str()));
        let directories: Vec<_> = directories
            .map(|(_, mount)| mount.directory.clone())
            .collect();
        grants.configuration =
            (!directories.is_empty()).then(|| Configuration::new(directories, self.tasks.clone()));
        Ok(Arc::new(grants))
    }
}
