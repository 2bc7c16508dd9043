//! What a pod's containers are granted beyond files: buckets and configuration in its volumes, and a log with levels.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use osier_capabilities::{Bucket, Buckets, Configuration, Directory, Grants, LogLevel};
use osier_engine::Mount;
use osier_podspec as podspec;
use osier_podspec::volumes::{Content, Mounted};
use osier_process::Tasks;

use crate::volumes::{DiskError, Volumes};

/// Where grants become what guests use.
pub struct Giver {
    /// The volumes of the node.
    pub volumes: Arc<Volumes>,
    /// The buckets of the node.
    pub buckets: Buckets,
    /// By which guests' questions are answered.
    pub tasks: Tasks,
}

/// Volumes by name, with where they are.
type Known<'a> = BTreeMap<&'a str, (&'a Mounted, &'a Mount)>;

impl Giver {
    /// Opens what a pod is granted, out of the volumes for it. Blocks.
    ///
    /// # Errors
    /// The first volume or bucket that cannot be had.
    pub fn give(
        &self,
        uid: &str,
        wanted: &podspec::Grants,
        volumes: &[Mounted],
    ) -> Result<Arc<Grants>, DiskError> {
        let mounts = self.volumes.prepare(uid, volumes)?;
        let known = volumes.iter().zip(&mounts);
        let known: Known<'_> = known
            .map(|(mounted, mount)| (mounted.volume.as_str(), (mounted, mount)))
            .collect();
        let mut buckets = BTreeMap::new();
        for (name, volume) in &wanted.buckets {
            if let Some(place) = known.get(volume.as_str()) {
                buckets.insert(name.clone(), self.bucket(name, *place)?);
            }
        }
        Ok(Arc::new(Grants {
            buckets,
            configuration: self.configuration(&wanted.configuration, &known),
            logging: wanted.logging.as_deref().and_then(LogLevel::of),
        }))
    }

    fn bucket(
        &self,
        name: &str,
        (mounted, mount): (&Mounted, &Mount),
    ) -> Result<Bucket, DiskError> {
        let opened = self.buckets.open(&Directory {
            path: mount.directory.clone(),
            read_only: mount.read_only,
            durable: mounted.content != Content::Empty,
        });
        opened.map_err(|source| DiskError::Bucket {
            bucket: name.to_owned(),
            volume: mounted.volume.clone(),
            source,
        })
    }

    fn configuration(&self, volumes: &[String], known: &Known<'_>) -> Option<Configuration> {
        let places = volumes.iter().filter_map(|name| known.get(name.as_str()));
        let directories: Vec<PathBuf> = places.map(|(_, mount)| mount.directory.clone()).collect();
        let some = !directories.is_empty();
        some.then(|| Configuration::new(directories, self.tasks.clone()))
    }
}
