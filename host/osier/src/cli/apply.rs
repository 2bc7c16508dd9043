//! `osier apply` and `osier delete`: for those without `kubectl`.

use super::kinds;
use super::manifests::{self, Manifest};
use crate::arguments::Files;
use anyhow::{Context as _, bail};
use osier_api::Resource;
use osier_client::{Client, DeleteOptions, Part};

/// Creates what is missing and merges the manifest into what is there (RFC 7386).
pub(crate) async fn apply(files: &Files) -> anyhow::Result<()> {
    let client = super::connect(&files.connection)?;
    each(&client, files, async |manifest| {
        apply_one(&client, manifest).await
    })
    .await
}

/// Deletes what the manifests name, last first.
pub(crate) async fn delete(files: &Files) -> anyhow::Result<()> {
    let client = super::connect(&files.connection)?;
    each(&client, files, async |manifest| {
        delete_one(&client, manifest).await
    })
    .await
}

async fn each(
    client: &Client,
    files: &Files,
    act: impl AsyncFn(&Manifest) -> anyhow::Result<&'static str>,
) -> anyhow::Result<()> {
    let mut refused = 0;
    let kinds = kinds::served(client).await?;
    let place = files.connection.namespace.as_str();
    for manifest in manifests::read(&files.files, place, &kinds)? {
        let name = format!(
            "{}/{}",
            full_name(manifest.resource),
            manifest.object.name()
        );
        match act(&manifest).await {
            Ok(done) => println!("{name} {done}"),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                refused += 1;
            }
        }
    }
    if refused > 0 {
        bail!("{refused} of the objects were refused; the others are as told above");
    }
    Ok(())
}

/// Creates or merges one object, and says which in the past tense.
pub(super) async fn apply_one(
    client: &Client,
    manifest: &Manifest,
) -> anyhow::Result<&'static str> {
    let (resource, object) = (manifest.resource, &manifest.object);
    let before = match client
        .get(resource, object.namespace(), object.name())
        .await
    {
        Ok(before) => before,
        Err(error) if error.is_not_found() => {
            client.create(resource, object).await?;
            return Ok("created");
        }
        Err(error) => return Err(error.into()),
    };
    let of = (object.namespace(), object.name());
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
