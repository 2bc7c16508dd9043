//! Images to and from registries on the command line, with the logins of `~/.docker/config.json` and a bar that shows how far it is.

use crate::arguments::Access;
use crate::configuration;
use anyhow::ensure;
use indicatif::{ProgressBar, ProgressStyle};
use osier_distribution::{Credentials, Progress, Reference, Registries, RequiredKey, Settings};
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
    let (registries, credentials) = open(access, Vec::new())?;
    let (bar, progress) = bar(&format!("pushing {reference}"), component.len() as u64);
    let place = (&reference, &credentials);
    let pushed = registries
        .push(place, component.into(), described, progress)
        .await;
    bar.finish_and_clear();
    Ok(pushed?)
}

/// What a registry has under a reference, and the component if it is wanted: it is asked with the layer's digest. It must be signed with the
/// keys, of which one at least must be for it.
pub(super) async fn pull(
    reference: &str,
    (access, keys): (&Access, &[String]),
    wanted: impl FnOnce(&str) -> bool,
) -> anyhow::Result<(osier_distribution::Artifact, Option<bytes::Bytes>)> {
    let reference = Reference::parse(reference)?;
    let keys: anyhow::Result<Vec<_>> = keys.iter().map(|text| configuration::key(text)).collect();
    let keys = keys?;
    ensure!(
        keys.is_empty() || keys.iter().any(|key| key.concerns(&reference)),
        "--image-key: none of the keys is for {reference}, which would be pulled unchecked: leave HOST/PATH= out, or name a part of the image's name"
    );
    let (registries, credentials) = open(access, keys)?;
    let mut pull = registries.pull(&reference, &credentials);
    let artifact = pull.resolve().await?;
    if !wanted(&artifact.layer.digest) {
        return Ok((artifact, None));
    }
    let (bar, progress) = bar(&format!("pulling {reference}"), artifact.layer.size);
    let component = pull.fetch(&artifact.layer, &progress).await;
    bar.finish_and_clear();
    Ok((artifact, Some(component?)))
}

fn open(access: &Access, keys: Vec<RequiredKey>) -> anyhow::Result<(Registries, Credentials)> {
    let settings = Settings {
        insecure: access.insecure_registry.clone(),
        keys,
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

/// A bar of so many bytes on the terminal; nothing where there is none. How many they are is known from the first: of nothing it would be full.
fn bar(message: &str, total: u64) -> (ProgressBar, Progress) {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style);
    bar.set_message(message.to_owned());
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
    });
    (bar, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_knows_its_length_before_the_first_byte() {
        let (bar, progress) = bar("pulling x", 100);
        assert_eq!((bar.position(), bar.length()), (0, Some(100)));
        progress(40, 100);
        assert_eq!((bar.position(), bar.length()), (40, Some(100)));
    }
}
