//! Who uses an image of a node's store: pods and plugins, as the node that runs on the same data directory knows them.

use crate::arguments::{Connection, Place};
use crate::cli::connect;
use crate::configuration;
use anyhow::bail;
use osier_api::{Object, resources};
use osier_client::{Client, Query};
use osier_images::ImageStore;

/// Refuses names that are used. Where no node runs on the directory nothing uses them.
///
/// # Errors
/// Names the users.
pub(super) async fn refuse(
    store: &ImageStore,
    names: &[String],
    place: &Place,
) -> anyhow::Result<()> {
    let data_dir = configuration::resolve_data_dir(place.data_dir.as_deref())?;
    let own = Connection {
        kubeconfig: Some(data_dir.join("kubeconfig")),
        namespace: String::new(),
    };
    let Ok(client) = connect(&own) else {
        return Ok(());
    };
    let Ok(users) = users(&client).await else {
        return Ok(());
    };
    for name in names {
        let using = |(image, _): &&(String, String)| store.is_same(image, name);
        let found: Vec<&str> = users
            .iter()
            .filter(using)
            .map(|(_, user)| user.as_str())
            .collect();
        if let Some(first) = found.first() {
            let more = match found.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            bail!(
                "{name} is used by {first}{more}: delete what uses it first, or remove it all the same with --force"
            );
        }
    }
    Ok(())
}

/// Images, and who uses each.
async fn users(client: &Client) -> anyhow::Result<Vec<(String, String)>> {
    let mut users = Vec::new();
    for pod in client
        .list_all(&resources::PODS, "", &Query::default())
        .await?
        .items
    {
        let whole = full_name("pod", &pod);
        users.extend(images(&pod).into_iter().map(|image| (image, whole.clone())));
    }
    for plugin in client
        .list_all(&resources::PLUGINS, "", &Query::default())
        .await?
        .items
    {
        let image = plugin.text(&["spec", "image"]).to_owned();
        users.push((image, full_name("plugin", &plugin)));
    }
    Ok(users)
}

fn full_name(kind: &str, object: &Object) -> String {
    format!("{kind} {}/{}", object.namespace(), object.name())
}

/// The images of a pod that has not ended.
fn images(pod: &Object) -> Vec<String> {
    if matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed") {
        return Vec::new();
    }
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists
        .iter()
        .filter_map(|list| pod.get(&["spec", list])?.as_array())
        .flatten();
    let images = containers.filter_map(|container| container["image"].as_str());
    images.map(str::to_owned).collect()
}
