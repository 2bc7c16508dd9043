//! Policy: what a call into a plugin costs by template and by language, and beside Envoy's proxy-wasm; what plugins hold; what a bad one does to the calls of
//! others; and what swaps do to calls. What is printed are tables of Markdown, as the guides have them.

mod beside;
mod envoy;
mod languages;
mod memory;
mod neighbours;
mod swaps;
mod templates;
mod workbench;

use crate::Bench;
use anyhow::Result;
use osier_tests::api::Api;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const PLUGINS: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins";
/// How long plugins may take until they are loaded.
const LOAD: Duration = Duration::from_secs(120);

/// Measures all of it, on nodes of its own.
pub(crate) async fn measure(bench: &Bench) -> Result<Value> {
    let templates = templates::compare(bench)?;
    let languages = languages::compare(bench)?;
    let beside = beside::compare(bench).await?;
    let memory = memory::grow(bench).await?;
    let neighbours = neighbours::disturb(bench).await?;
    let swaps = swaps::swap(bench).await?;
    Ok(
        json!({"templates": templates, "languages": languages, "beside": beside, "memory": memory,
        "neighbours": neighbours, "swaps": swaps}),
    )
}

/// The head of a table: what it shows, and its columns.
fn table(what: &str, columns: &[&str]) {
    println!("\n{what}\n");
    row(columns);
    println!("|{}", "---|".repeat(columns.len()));
}

fn row<T: AsRef<str>>(cells: &[T]) {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    println!("| {} |", cells.join(" | "));
}

fn plugin(name: &str, image: &str, rest: Value) -> Value {
    let mut spec = rest;
    spec["image"] = image.into();
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name}, "spec": spec})
}

fn policy(name: &str, service: &str, action: Value) -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
        "spec": {"targetRefs": [{"kind": "Service", "name": service}], "actions": [action]}})
}

/// Applies objects at once.
fn apply(node: &Node, objects: &[Value]) -> Result<()> {
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    node.apply_text(&documents.join("\n---\n")).map(drop)
}

/// Waits until so many plugins are loaded.
async fn loaded(node: &Node, count: usize) -> Result<()> {
    let ready = || async {
        let listed = Api::open(node).await?.send("GET", PLUGINS, None).await?;
        let listed = listed.json()?;
        let plugins = listed["items"].as_array().cloned().unwrap_or_default();
        let ready = plugins
            .iter()
            .filter(|plugin| plugin["status"]["nodes"][0]["state"] == "Ready");
        Ok((ready.count() == count).then_some(()))
    };
    until(&format!("{count} plugins are loaded"), LOAD, ready).await
}
