//! Plugins and policies.

use serde_json::Value;

use super::{AGE, Layout, NAME, array, condition, number, or_none, since_creation, text, wide};
use osier_api::Object;

/// How much of a digest is shown: the algorithm and twelve digits.
const DIGEST: usize = "sha256:".len() + 12;

pub(super) const PLUGINS: Layout = Layout {
    columns: &[
        NAME,
        text("Digest", "The component in force, shortened."),
        text("State", "Ready, Loading or Failed; the worst of all nodes."),
        AGE,
        wide("Image", "Where the component comes from."),
        wide("Calls", "Calls on all nodes since its version was loaded."),
        wide("CPU", "Processor time of those, estimated."),
        wide("Message", "Why it is in this state."),
    ],
    cells: |plugin, now| {
        let digest = plugin.text(&["status", "digest"]);
        vec![
            plugin.name().into(),
            or_none(digest.get(..DIGEST).unwrap_or(digest)),
            state(plugin).into(),
            since_creation(plugin, now),
            plugin.text(&["spec", "image"]).into(),
            sum(plugin, "calls").to_string().into(),
            spent(sum(plugin, "cpuMillis")).into(),
            troubles(plugin).into(),
        ]
    },
};

pub(super) const ATTRIBUTE_MANIFESTS: Layout = Layout {
    columns: &[
        NAME,
        number("Attributes", "How many attributes it declares."),
        AGE,
    ],
    cells: |manifest, now| {
        let declared = manifest.get(&["spec", "attributes"]);
        let count = declared
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len);
        vec![
            manifest.name().into(),
            count.into(),
            since_creation(manifest, now),
        ]
    },
};

pub(super) const POLICIES: Layout = Layout {
    columns: &[
        NAME,
        text("Plugin", "Which plugins are asked."),
        text("Mode", "Enforce or Shadow."),
        text("Ready", "Whether it is in force."),
        AGE,
        wide(
            "Rollout",
            "Which version of the plugin is tried on a part of the calls.",
        ),
        wide("Message", "Why it is not in force."),
    ],
    cells: |policy, now| {
        let actions = array(policy, &["spec", "actions"]).iter();
        let mut plugins: Vec<&str> = actions
            .filter_map(|action| action["plugin"].as_str())
            .collect();
        plugins.dedup();
        let mode = policy.text(&["spec", "mode"]);
        vec![
            policy.name().into(),
            or_none(&plugins.join(",")),
            if mode.is_empty() { "Enforce" } else { mode }.into(),
            verdict(policy).into(),
            since_creation(policy, now),
            rollout(policy),
            message(policy).into(),
        ]
    },
};

/// `next 5%`, or `next aborted` when it was stopped.
fn rollout(policy: &Object) -> Value {
    let plugin = policy.text(&["spec", "rollout", "plugin"]);
    if plugin.is_empty() {
        return or_none("");
    }
    match condition(policy, "Rollout").and_then(|told| told["reason"].as_str()) {
        None | Some("Progressing") => {
            let percent = policy.get(&["spec", "rollout", "percent"]);
            let percent = percent.and_then(Value::as_i64).unwrap_or_default();
            format!("{plugin} {percent}%").into()
        }
        Some("Aborted") => format!("{plugin} aborted").into(),
        Some(_) => format!("{plugin} unavailable").into(),
    }
}

/// The condition that says of a policy that nothing is there that it concerns.
fn unattached(policy: &Object) -> Option<&Value> {
    condition(policy, "Attached").filter(|told| told["status"] == "False")
}

/// The condition that says whether the object is in force.
fn leading(object: &Object) -> Option<&Value> {
    condition(object, "Ready").or_else(|| condition(object, "Accepted"))
}

/// Whether it is in force; one that is, but concerns nothing, is called by the reason of that.
fn verdict(object: &Object) -> &str {
    let status = leading(object).and_then(|condition| condition["status"].as_str());
    match (status, unattached(object)) {
        (Some("True"), Some(told)) => told["reason"].as_str().unwrap_or("TargetNotFound"),
        (status, _) => status.unwrap_or("Unknown"),
    }
}

fn message(object: &Object) -> &str {
    let unhappy = leading(object).filter(|condition| condition["status"] != "True");
    unhappy
        .or_else(|| unattached(object))
        .and_then(|condition| condition["message"].as_str())
        .unwrap_or("")
}

/// Why a plugin is not ready; of one that is, what its calls ended with that gave no answer.
fn troubles(plugin: &Object) -> String {
    let message = message(plugin);
    if !message.is_empty() {
        return message.to_owned();
    }
    let nodes = array(plugin, &["status", "nodes"]);
    let counts = [
        ("traps", sum(plugin, "traps")),
        ("deadline overruns", sum(plugin, "deadlineOverruns")),
    ];
    let told = counts.iter().filter(|(_, count)| *count > 0);
    let mut told: Vec<String> = told
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if nodes.iter().any(|node| node["aside"] == true) {
        told.push("runs aside".to_owned());
    }
    if !told.is_empty() {
        let last = nodes
            .iter()
            .filter_map(|node| node["error"].as_str())
            .next();
        told.extend(last.map(|error| format!("last: {error}")));
    }
    told.join(", ")
}

/// What all nodes have counted together.
fn sum(plugin: &Object, field: &str) -> u64 {
    let nodes = array(plugin, &["status", "nodes"]).iter();
    nodes.filter_map(|node| node[field].as_u64()).sum()
}

/// Milliseconds for people.
fn spent(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis}ms"),
        1000..100_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => format!("{}s", millis / 1000),
    }
}

/// Failed if one node failed, Loading while one is loading, Ready if all are.
fn state(plugin: &Object) -> &str {
    let nodes = array(plugin, &["status", "nodes"]);
    let first = |wanted: fn(&str) -> bool| {
        nodes
            .iter()
            .filter_map(|node| node["state"].as_str())
            .find(|state| wanted(state))
    };
    if let Some(state) =
        first(|state| state == "Failed").or_else(|| first(|state| state != "Ready"))
    {
        return state;
    }
    let waits = |told: &Value| told["status"] == "False" && told["reason"] == "Loading";
    match verdict(plugin) {
        // Some node has said nothing yet.
        _ if leading(plugin).is_some_and(waits) => "Loading",
        "True" => "Ready",
        "False" => "Failed",
        _ if nodes.is_empty() => "Pending",
        _ => "Ready",
    }
}
