//! `osier apply` and `osier delete`: for those without `kubectl`.

use super::kinds;
use super::manifests::{self, Document, Manifest};
use crate::arguments::Files;
use crate::words::story;
use anyhow::{Context as _, bail};
use osier_api::Resource;
use osier_api::resources::CUSTOM_RESOURCE_DEFINITIONS;
use osier_client::{Client, DeleteOptions, Part};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a definition may take until its kind is served.
const ESTABLISHED: Duration = Duration::from_secs(30);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(100);

/// Creates what is missing and merges the manifest into what is there (RFC 7386). Definitions of kinds come first, so that objects
/// of these kinds can stand in the same files.
pub(crate) async fn apply(files: &Files) -> anyhow::Result<()> {
    let client = super::connect(&files.connection)?.for_people(Arc::new(warn));
    let place = files.connection.namespace.as_str();
    let documents = manifests::open(&files.files)?;
    let (definitions, others): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(Document::is_definition);
    let kinds = kinds::served(&client).await?;
    let mut awaited = Vec::new();
    for other in &others {
        // What is neither served nor defined here is told before anything is changed.
        if let Err(unknown) = other.resolve(place, &kinds) {
            let mut defining = definitions.iter().filter(|one| one.defines(other));
            awaited.push(defining.next().ok_or(unknown)?);
        }
    }
    let resolved = |documents: &[Document], kinds: &[&'static Resource]| {
        let resolved = documents.iter().map(|one| one.resolve(place, kinds));
        resolved.collect::<anyhow::Result<Vec<_>>>()
    };
    let apply = async |manifest: &Manifest| apply_one(&client, manifest).await;
    let mut refused = each(resolved(&definitions, &kinds)?, apply).await;
    for definition in &awaited {
        established(&client, definition.object.name()).await?;
    }
    let kinds = match awaited.is_empty() {
        true => kinds,
        false => kinds::served(&client).await?,
    };
    refused += each(resolved(&others, &kinds)?, apply).await;
    none_of(refused)
}

/// Waits until the kind of a definition is served.
async fn established(client: &Client, name: &str) -> anyhow::Result<()> {
    let end = Instant::now() + ESTABLISHED;
    loop {
        let definition = client.get(&CUSTOM_RESOURCE_DEFINITIONS, "", name).await;
        let definition = definition.with_context(|| format!("customresourcedefinition/{name}"))?;
        let conditions = definition.get(&["status", "conditions"]);
        let conditions = conditions.and_then(Value::as_array);
        let is = |name: &str, status: &str| {
            let mut all = conditions.into_iter().flatten();
            all.find(|one| one["type"] == name && one["status"] == status)
        };
        if is("Established", "True").is_some() {
            return Ok(());
        }
        if let Some(taken) = is("NamesAccepted", "False") {
            bail!(
                "customresourcedefinition/{name}: its names are not accepted: {}",
                taken["message"]
            );
        }
        if Instant::now() > end {
            bail!(
                "customresourcedefinition/{name} was not established within {} s; its status says why",
                ESTABLISHED.as_secs()
            );
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Deletes what the manifests name.
pub(crate) async fn delete(files: &Files) -> anyhow::Result<()> {
    let client = super::connect(&files.connection)?.for_people(Arc::new(warn));
    let kinds = kinds::served(&client).await?;
    let place = files.connection.namespace.as_str();
    let manifests = manifests::read(&files.files, place, &kinds)?;
    let delete = async |manifest: &Manifest| delete_one(&client, manifest).await;
    none_of(each(manifests, delete).await)
}

/// Does something to each and says so; how many were refused.
async fn each(
    manifests: Vec<Manifest>,
    act: impl AsyncFn(&Manifest) -> anyhow::Result<&'static str>,
) -> usize {
    let mut refused = 0;
    for manifest in manifests {
        let kind = full_name(manifest.resource);
        let name = format!("{kind}/{}", manifest.object.name());
        match act(&manifest).await {
            Ok(done) => println!("{name} {done}"),
            Err(error) => {
                eprintln!("{name}: {}", story(&error));
                refused += 1;
            }
        }
    }
    refused
}

/// As kubectl shows what the server warns of.
fn warn(text: &str) {
    eprintln!("Warning: {text}");
}

fn none_of(refused: usize) -> anyhow::Result<()> {
    match refused {
        0 => Ok(()),
        1 => bail!("one object was refused; what became of the others is told above"),
        refused => bail!("{refused} objects were refused; what became of the others is told above"),
    }
}

/// Creates or merges one object, and says which in the past tense.
pub(super) async fn apply_one(
    client: &Client,
    manifest: &Manifest,
) -> anyhow::Result<&'static str> {
    let (resource, object) = (manifest.resource, &manifest.object);
    let of = (object.namespace(), object.name());
    let before = match client.get(resource, of.0, of.1).await {
        Ok(before) => before,
        Err(error) if error.is_not_found() => {
            client.create(resource, object).await?;
            return Ok("created");
        }
        Err(error) => return Err(error.into()),
    };
    let after = client
        .patch(resource, of, object.clone().into_value(), Part::Whole)
        .await?;
    Ok(if after.resource_version() == before.resource_version() {
        "unchanged"
    } else {
        "configured"
    })
}

async fn delete_one(client: &Client, manifest: &Manifest) -> anyhow::Result<&'static str> {
    let of = (manifest.object.namespace(), manifest.object.name());
    let deleted = client
        .delete(manifest.resource, of, &DeleteOptions::default())
        .await;
    deleted.context("could not be deleted")?;
    Ok("deleted")
}

/// As `kubectl` prints it: `service/reviews`, `policy.policy.osier.dev/limit`.
pub(crate) fn full_name(resource: &Resource) -> String {
    if resource.group.is_empty() {
        resource.singular.to_owned()
    } else {
        format!("{}.{}", resource.singular, resource.group)
    }
}
