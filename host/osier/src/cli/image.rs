//! `osier image`: the components in the node's own store, and the way from and to registries.

mod in_use;

use super::registry;
use crate::arguments::{Access, ImageCommand, Output, Place};
use crate::configuration;
use crate::exit::Failure;
use crate::up::directory;
use anyhow::Context as _;
use osier_images::ImageStore;
use osier_wasm::ComponentError;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::path::Path;

/// Runs a subcommand of `osier image`.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(command: &ImageCommand) -> Result<(), Failure> {
    match command {
        ImageCommand::Import { name, file, place } => import(name, file, place)?,
        ImageCommand::List { output, place } => list(&open(place)?, *output)?,
        ImageCommand::Pull {
            reference,
            image_key,
            access,
            place,
        } => {
            let store = open(place)?;
            super::block_on(pull(store, reference, (access, image_key)))?;
        }
        ImageCommand::Push {
            name,
            reference,
            access,
            place,
        } => {
            let component = open(place)?
                .resolve(name, &crate::bundled::Plugins)
                .context("push")?;
            let reference = reference.as_ref().unwrap_or(name);
            super::block_on(push(component, reference, access))?;
        }
        ImageCommand::Inspect {
            name,
            remote,
            access,
            place,
        } => match remote {
            true => super::block_on(inspect_remote(name, access))?,
            false => inspect(&open(place)?, name)?,
        },
        ImageCommand::Remove {
            names,
            force,
            place,
        } => {
            let store = open(place)?;
            if !force {
                super::block_on(in_use::refuse(&store, names, place))?;
            }
            for name in names {
                let name = store.remove(name).map_err(anyhow::Error::from)?;
                println!("{name} removed");
            }
        }
        ImageCommand::Prune { pulled, place } => prune(&open(place)?, *pulled)?,
    }
    Ok(())
}

fn open(place: &Place) -> Result<ImageStore, Failure> {
    let data_dir = configuration::resolve_data_dir(place.data_dir.as_deref())?;
    ImageStore::open(&data_dir).map_err(|error| Failure::Data(error.to_string()))
}

fn import(name: &str, file: &Path, place: &Place) -> Result<(), Failure> {
    let store = open(place)?;
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    osier_engine::check(&bytes).with_context(|| file.display().to_string())?;
    let digest = store.import(name, &bytes).map_err(anyhow::Error::from)?;
    println!("{name} {digest} ({} bytes)", bytes.len());
    let data_dir = configuration::resolve_data_dir(place.data_dir.as_deref())?;
    // Easily missed: a node with a data directory of its own would go on saying that it has no such image.
    if !directory::is_used(&data_dir) {
        let here = data_dir.display();
        eprintln!("note: no node runs in {here}; name the one that needs it with --data-dir");
    }
    Ok(())
}

/// Brings a component to a registry and says how it can be named for good.
pub(super) async fn push(
    component: Vec<u8>,
    reference: &str,
    access: &Access,
) -> anyhow::Result<()> {
    let digest = registry::push(component, reference, access).await?;
    println!("{reference} {digest}");
    Ok(())
}

async fn pull(
    store: ImageStore,
    reference: &str,
    trusted: (&Access, &[String]),
) -> anyhow::Result<()> {
    let known = store.pulled(reference);
    let wanted = |layer: &str| known.as_deref() != Some(layer);
    let (artifact, component) = registry::pull(reference, trusted, wanted).await?;
    match component {
        None => println!("{reference} {} (was here)", artifact.digest),
        Some(component) => {
            store.keep_pulled(reference, &component, &artifact.layer.digest)?;
            let size = component.len();
            println!("{reference} {} ({size} bytes)", artifact.digest);
        }
    }
    Ok(())
}

async fn inspect_remote(reference: &str, access: &Access) -> anyhow::Result<()> {
    let (artifact, _) = registry::pull(reference, (access, &[]), |_| false).await?;
    let shown = json!({
        "reference": reference, "digest": artifact.digest,
        "layer": {"digest": artifact.layer.digest, "size": artifact.layer.size},
    });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn inspect(store: &ImageStore, name: &str) -> anyhow::Result<()> {
    let bytes = store.resolve(name, &crate::bundled::Plugins)?;
    let (imports, exports) = osier_engine::interfaces(&bytes)?;
    let shown = json!({
        "name": name, "digest": osier_engine::Digest::of(&bytes).as_str(), "size": bytes.len(),
        "layer": store.pulled(name), "imports": imports, "exports": exports, "grants": grants(&bytes)?,
    });
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

/// What a pod of the component must be granted: each import with how that is done.
fn grants(component: &[u8]) -> anyhow::Result<Map<String, Value>> {
    let imports = osier_wasm::needed(component)?;
    let wanted = osier_wasm::unmet(&imports, |_| false);
    let grants = wanted.filter_map(|error| match error {
        ComponentError::Grant { import, remedy } => Some((import, remedy.into())),
        _ => None,
    });
    Ok(grants.collect())
}

fn prune(store: &ImageStore, pulled: bool) -> anyhow::Result<()> {
    if pulled {
        for image in store.shrink(0, &HashSet::new())? {
            println!("{} {} ({} bytes)", image.name, image.digest, image.size);
        }
    }
    let (count, size) = store.prune()?;
    println!("removed {count} components without a name ({size} bytes)");
    Ok(())
}

fn list(store: &ImageStore, output: Option<Output>) -> anyhow::Result<()> {
    let images = store.list()?;
    if output == Some(Output::Json) {
        let rows = images.iter().map(|image| json!({"name": image.name, "digest": image.digest.to_string(), "size": image.size}));
        println!(
            "{}",
            serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?
        );
        return Ok(());
    }
    let width = images
        .iter()
        .map(|image| image.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    println!("{:width$}   {:71}   SIZE", "NAME", "DIGEST");
    for image in images {
        println!(
            "{:width$}   {:71}   {}",
            image.name, image.digest, image.size
        );
    }
    Ok(())
}
