//! The plugins that policies name, as far as they are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_client::Informer;
use osier_policy::{FailurePolicy, ObjectKey, Plugin};
use serde_json::Value;

use super::course::{Course, Entry};
use super::rollout;

/// The plugin of a name: of the policy's namespace first, then of the root namespace.
fn entry_of<'a>(
    known: &'a BTreeMap<ObjectKey, Entry>,
    namespaces: [&str; 2],
    name: &str,
) -> Option<&'a Entry> {
    namespaces
        .iter()
        .find_map(|namespace| known.get(&ObjectKey::new(*namespace, name)))
}

pub(super) fn plugin_of(
    known: &BTreeMap<ObjectKey, Entry>,
    namespaces: [&str; 2],
    name: &str,
) -> Result<Arc<Plugin>, String> {
    let entry = entry_of(known, namespaces, name)
        .ok_or_else(|| "there is no such Plugin; apply it".to_owned())?;
    entry.plugin.clone().ok_or_else(|| match &entry.course {
        Course::Failed { error, .. } => error.clone(),
        Course::Idle | Course::Loading { .. } | Course::Ready { .. } => {
            "it is being loaded".to_owned()
        }
    })
}

/// What the Plugin object says about calls that it cannot answer; Fail if there is no object.
pub(super) fn failure_policy(
    plugins: &Informer,
    namespaces: [&str; 2],
    name: &str,
) -> FailurePolicy {
    let object = namespaces
        .iter()
        .find_map(|namespace| plugins.get(namespace, name));
    let says = object
        .as_ref()
        .and_then(|object| object.get(&["spec", "failurePolicy"])?.as_str());
    if says == Some("Ignore") {
        FailurePolicy::Ignore
    } else {
        FailurePolicy::Fail
    }
}

pub(super) fn plugin_names(spec: &Value) -> impl Iterator<Item = &str> {
    let actions = spec["actions"].as_array().into_iter().flatten();
    actions.filter_map(|action| action["plugin"].as_str())
}

/// A plugin of the policy is being loaded for the first time.
pub(super) fn waits(
    spec: &Value,
    namespaces: [&str; 2],
    known: &BTreeMap<ObjectKey, Entry>,
) -> bool {
    let names = plugin_names(spec).chain(rollout::canary(spec));
    let mut entries = names.filter_map(|name| entry_of(known, namespaces, name));
    entries.any(|entry| entry.plugin.is_none() && matches!(entry.course, Course::Loading { .. }))
}

/// The policy's plugins that cannot be asked, with the reason.
pub(super) fn missing(
    policy: &Object,
    known: &BTreeMap<ObjectKey, Entry>,
    root: &str,
) -> Vec<String> {
    let spec = policy.get(&["spec"]).unwrap_or(&Value::Null);
    let names = plugin_names(spec);
    let error = |name: &str| {
        plugin_of(known, [policy.namespace(), root], name)
            .err()
            .map(|error| format!("plugin {name}: {error}"))
    };
    names.filter_map(error).collect()
}
