//! Looking at API objects and waiting until they are as they should be.

use crate::api::Api;
use crate::deadline::until;
use crate::node::Node;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

/// How long pods may take: a cold compilation on a loaded machine included.
const PODS: Duration = Duration::from_secs(60);

/// What is at this path of the API.
pub async fn get(node: &Node, path: &str) -> Result<Value> {
    let answer = Api::open(node).await?.send("GET", path, None).await?;
    ensure!(
        answer.status.is_success(),
        "GET {path}: {} {}",
        answer.status,
        answer.text()
    );
    answer.json()
}

/// Changes an object by a merge patch.
pub async fn merge(node: &Node, path: &str, patch: &Value) -> Result<Value> {
    let kind = "application/merge-patch+json";
    let answer = Api::open(node)
        .await?
        .send_as("PATCH", path, kind, patch.to_string())
        .await?;
    ensure!(
        answer.status.is_success(),
        "PATCH {path}: {} {}",
        answer.status,
        answer.text()
    );
    answer.json()
}

/// Writes until the memory of the node's store is full. It keeps the newest changes and its own pages, up to a bound that 2,400 changes of an object of 4 KiB
/// fill: on a node that has run for a while it is full, and what grows from then on is something else.
pub async fn fill_history(node: &Node) -> Result<()> {
    let mut api = Api::open(node).await?;
    let path = "/api/v1/namespaces/default/configmaps/history";
    for number in 0..2_500 {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "history"},
            "data": {"number": number.to_string(), "text": "x".repeat(4096)}});
        let answer = match number {
            0 => {
                let all = "/api/v1/namespaces/default/configmaps";
                api.send("POST", all, Some(&object)).await?
            }
            _ => api.send("PUT", path, Some(&object)).await?,
        };
        ensure!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

/// Deletes an object.
pub async fn delete(node: &Node, path: &str) -> Result<()> {
    let answer = Api::open(node).await?.send("DELETE", path, None).await?;
    ensure!(
        answer.status.is_success(),
        "DELETE {path}: {} {}",
        answer.status,
        answer.text()
    );
    Ok(())
}

/// The pods of the default namespace that carry these labels (`app=hello`).
pub async fn pods(node: &Node, selector: &str) -> Result<Vec<Value>> {
    let selector = selector.replace('=', "%3D").replace(',', "%2C");
    let list = get(
        node,
        &format!("/api/v1/namespaces/default/pods?labelSelector={selector}"),
    )
    .await?;
    Ok(list["items"].as_array().context("a list of pods")?.clone())
}

/// What the pods with these labels have written so far, one after the other.
pub async fn log(node: &Node, selector: &str) -> Result<String> {
    let mut all = String::new();
    for pod in pods(node, selector).await? {
        let path = format!("/api/v1/namespaces/default/pods/{}/log", name(&pod));
        let answer = Api::open(node).await?.send("GET", &path, None).await?;
        ensure!(
            answer.status.is_success(),
            "GET {path}: {} {}",
            answer.status,
            answer.text()
        );
        all.push_str(&answer.text());
    }
    Ok(all)
}

/// Waits until exactly so many pods carry these labels and all are ready; returns them.
pub async fn ready(node: &Node, selector: &str, count: usize) -> Result<Vec<Value>> {
    until(
        &format!("{count} ready pods of {selector}"),
        PODS,
        || async {
            let pods = pods(node, selector).await?;
            let ready = pods
                .iter()
                .filter(|pod| condition(pod, "Ready") == Some("True"))
                .count();
            ensure!(
                ready == count && pods.len() == count,
                "{ready} of {} are ready: {}",
                pods.len(),
                states(&pods)
            );
            Ok(Some(pods))
        },
    )
    .await
}

/// The status of one condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)?["status"]
        .as_str()
}

/// An object's name.
pub fn name(object: &Value) -> String {
    object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// What pods say of themselves, for messages.
pub fn states(pods: &[Value]) -> String {
    let state = |pod: &Value| {
        let container = &pod["status"]["containerStatuses"][0]["state"];
        format!("{} {} {container}", name(pod), pod["status"]["phase"])
    };
    pods.iter().map(state).collect::<Vec<_>>().join("; ")
}
