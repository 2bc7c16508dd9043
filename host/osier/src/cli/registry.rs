//! Images to and from registries on the command line, with the logins of `~/.docker/config.json` and a bar that shows how far it is.

use crate::arguments::Access;
use crate::configuration;
use indicatif::{ProgressBar, ProgressStyle};
use osier_distribution::{Credentials, Progress, Reference, Registries, Settings};
use osier_process::Tasks;
use std::path::PathBuf;
use std::sync::Arc;

const BAR: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";

/// Brings a component to a registry, and gives the digest of its manifest.
pub(super) async fn push(
    component: Vec<u8>,
    reference: &str,
    access: &Access,
) -> anyhow::Result<String> {
    let reference = Reference::parse(reference)?;
    let (imports, exports) = osier_engine::interfaces(&component)?;
    let now = osier_process::clock::now();
    let described = osier_distribution::describe(&component, (&imports, &exports), now);
    let (registries, credentials) = open(access)?;
    let (bar, progress) = bar(&format!("pushing {reference}"));
    let place = (&reference, &credentials);
    let pushed = registries
        .push(place, component.into(), described, progress)
        .await;
    bar.finish_and_clear();
    Ok(pushed?)
}

/// What a registry has under a reference, and the component if it is wanted: it is asked with the layer's digest.
pub(super) async fn pull(
    reference: &str,
    access: &Access,
    wanted: impl FnOnce(&str) -> bool,
) -> anyhow::Result<(osier_distribution::Artifact, Option<bytes::Bytes>)> {
    let reference = Reference::parse(reference)?;
    let (registries, credentials) = open(access)?;
    let mut pull = registries.pull(&reference, &credentials);
    let artifact = pull.resolve().await?;
    if !wanted(&artifact.layer.digest) {
        return Ok((artifact, None));
    }
    let (bar, progress) = bar(&format!("pulling {reference}"));
    let component = pull.fetch(&artifact.layer, &progress).await;
    bar.finish_and_clear();
    Ok((artifact, Some(component?)))
}

fn open(access: &Access) -> anyhow::Result<(Registries, Credentials)> {
    let settings = Settings {
        insecure: access.insecure_registry.clone(),
        keys: Vec::new(),
    };
    let credentials = match docker_config() {
        Some(path) if path.exists() => configuration::logins(&path)?,
        _ => Credentials::default(),
    };
    Ok((Registries::new(settings, Tasks::new()), credentials))
}

/// Where `docker login` writes.
fn docker_config() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".docker")))?;
    Some(folder.join("config.json"))
}

/// A bar on the terminal; nothing where there is none.
fn bar(message: &str) -> (ProgressBar, Progress) {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.set_message(message.to_owned());
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    });
    (bar, progress)
}
