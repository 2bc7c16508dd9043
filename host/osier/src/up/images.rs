//! The image store and the registries of a node, as the configuration has them.

use crate::configuration::{self, Images};
use crate::exit::Failure;
use anyhow::Context as _;
use osier_distribution::{Credentials, Registries};
use osier_images::{ImageStore, Puller};
use osier_process::Tasks;
use std::path::Path;
use std::sync::Arc;

/// What brings the images of this node.
pub(super) fn puller(
    (data_dir, settings): (&Path, &Images),
    tasks: Tasks,
) -> Result<Arc<Puller>, Failure> {
    let store = ImageStore::open(data_dir).map_err(|error| Failure::Data(error.to_string()))?;
    let credentials = match &settings.registry_config {
        Some(path) => configuration::logins(path).context("--registry-config")?,
        None => Credentials::default(),
    };
    let keys: anyhow::Result<_> = settings
        .image_keys
        .iter()
        .map(|text| configuration::key(text))
        .collect();
    let access = osier_distribution::Settings {
        insecure: settings.insecure_registries.clone(),
        keys: keys?,
    };
    let registries = Registries::new(access, tasks.clone());
    let limit = settings.image_megabytes * 1024 * 1024;
    Ok(Puller::new(store, (registries, credentials), limit, tasks))
}
