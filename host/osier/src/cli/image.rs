//! `osier image`: components in the node's own store, without a registry.

use crate::arguments::{ImageCommand, Output};
use crate::configuration;
use crate::exit::Failure;
use anyhow::Context as _;
use osier_node::images::ImageStore;

/// Runs a subcommand of `osier image`.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(command: &ImageCommand) -> Result<(), Failure> {
    match command {
        ImageCommand::Import {
            name,
            file,
            data_dir,
        } => {
            let store = open(data_dir.as_deref())?;
            let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
            let digest = store
                .import(name, &bytes)
                .with_context(|| file.display().to_string())?;
            println!("{name} {digest} ({} bytes)", bytes.len());
        }
        ImageCommand::List { data_dir, output } => list(&open(data_dir.as_deref())?, *output)?,
    }
    Ok(())
}

fn open(data_dir: Option<&std::path::Path>) -> Result<ImageStore, Failure> {
    let data_dir = configuration::resolve_data_dir(data_dir)?;
    ImageStore::open(&data_dir).map_err(|error| Failure::Data(error.to_string()))
}

fn list(store: &ImageStore, output: Option<Output>) -> anyhow::Result<()> {
    let images = store.list()?;
    if output == Some(Output::Json) {
        let rows = images.iter().map(|image| serde_json::json!({"name": image.name, "digest": image.digest.to_string(), "size": image.size}));
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
