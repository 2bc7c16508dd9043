//! The plugins that policies name, as far as they are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_client::Informer;
use osier_policy::{FailurePolicy, ObjectKey, Plugin};
use serde_json::Value;

use super::course::{Course, Entry};

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
            "it is being loaded on this node".to_owned()
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

/// A plugin that the policy asks is being loaded for the first time.
pub(super) fn waits(
    spec: &Value,
    namespaces: [&str; 2],
    known: &BTreeMap<ObjectKey, Entry>,
) -> bool {
    let mut entries = plugin_names(spec).filter_map(|name| entry_of(known, namespaces, name));
    entries.any(loads)
}

fn loads(entry: &Entry) -> bool {
    entry.plugin.is_none() && matches!(entry.course, Course::Loading { .. })
}

/// The policy's plugins that cannot be asked, each with the reason, and whether it is being loaded.
pub(super) fn missing(
    policy: &Object,
    known: &BTreeMap<ObjectKey, Entry>,
    root: &str,
) -> Vec<(String, bool)> {
    let spec = policy.get(&["spec"]).unwrap_or(&Value::Null);
    let names = plugin_names(spec);
    let namespaces = [policy.namespace(), root];
    let error = |name: &str| {
        let error = plugin_of(known, namespaces, name).err()?;
        let loading = entry_of(known, namespaces, name).is_some_and(loads);
        Some((format!("plugin {name}: {error}"), loading))
    };
    names.filter_map(error).collect()
}
