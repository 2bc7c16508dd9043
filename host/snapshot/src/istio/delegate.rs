//! Delegation: a VirtualService without hosts holds rules for another one's.
//!
//! An entry that delegates becomes as many entries as its delegate has, each merged with it as Istio merges: conditions of both
//! must hold, and pairs that contradict each other are dropped; what the delegate does not say, its root says. A delegate cannot
//! delegate further, so there are no cycles
//! (<https://istio.io/latest/docs/reference/config/networking/virtual-service/#Delegate>).

use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use serde_json::{Map, Value, json};

use super::delegate_match;
use osier_routing::export::Export;
use osier_routing::names;
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// The VirtualServices without hosts, by `namespace/name`.
pub(crate) type Delegates = HashMap<String, Arc<Object>>;

/// What a delegating entry hands down when the delegate does not say it.
const INHERITED: [&str; 11] = [
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "mirrors",
    "corsPolicy",
    "headers",
];

/// Whether an object may be a delegate: it has no hosts.
pub(crate) fn is_delegate(object: &Object) -> bool {
    let hosts = object.get(&["spec", "hosts"]);
    hosts
        .and_then(Value::as_array)
        .is_none_or(|hosts| hosts.is_empty())
}

/// The delegates that an object names, as they are now.
pub(crate) fn needed(object: &Object, delegates: &Delegates) -> Vec<Option<Arc<Object>>> {
    let entries = object
        .get(&["spec", "http"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let named = entries.filter_map(|entry| entry.get("delegate"));
    named
        .map(|target| delegates.get(&key(target, object.namespace())).cloned())
        .collect()
}

fn key(target: &Value, namespace: &str) -> String {
    let text = |key: &str| {
        target
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let namespace = text("namespace").unwrap_or(namespace);
    format!("{namespace}/{}", text("name").unwrap_or_default())
}

/// The entries that stand for one that delegates, and the namespace that their names are relative to.
pub(super) struct Expanded {
    pub(super) namespace: String,
    pub(super) entries: Vec<Value>,
}

/// Expands the delegating entry `root` of an object in `namespace`; `None`, with a finding, if there is nothing behind it.
pub(super) fn expand(
    http: &mut Fields<'_>,
    (namespace, domain, root_name): (&str, &str, &str),
    delegates: &Delegates,
) -> Option<Expanded> {
    let target = http.value("delegate")?;
    let key = key(target, namespace);
    let Some(delegate) = delegates.get(&key) else {
        let detail = format!("there is no VirtualService {key} without hosts; the rule is skipped");
        http.findings()
            .add(FindingKind::Reference, http.at("delegate"), detail);
        return None;
    };
    if !is_visible(delegate, namespace) {
        let detail = format!("{key} is not exported to namespace {namespace}; the rule is skipped");
        http.findings()
            .add(FindingKind::Reference, http.at("delegate"), detail);
        return None;
    }
    let root = qualified(http.map(), namespace, domain);
    let leaves = delegate.get(&["spec", "http"]).and_then(Value::as_array);
    let mut entries = Vec::new();
    for (index, leaf) in (0u32..).zip(leaves.into_iter().flatten()) {
        if leaf.get("delegate").is_some() {
            let detail = format!(
                "{key} delegates further (http[{index}]), which a delegate cannot; that rule is skipped"
            );
            http.invalid("delegate", detail);
            continue;
        }
        entries.extend(merged(&root, root_name, leaf, index));
    }
    Some(Expanded {
        namespace: delegate.namespace().to_owned(),
        entries,
    })
}

/// Whether a delegate's `exportTo` holds a namespace.
fn is_visible(delegate: &Object, namespace: &str) -> bool {
    let to = delegate.get(&["spec", "exportTo"]);
    let words = to.and_then(Value::as_array).into_iter().flatten();
    Export::read(words.filter_map(Value::as_str), delegate.namespace()).reaches(namespace)
}

/// The entry with its mirrors named in full: they are relative to the root, everything else will be to the delegate.
fn qualified(root: &Map<String, Value>, namespace: &str, domain: &str) -> Map<String, Value> {
    let mut root = root.clone();
    let qualify = |destination: &mut Value| {
        let host = destination.get("host").and_then(Value::as_str);
        let full = host
            .and_then(|host| names::service_of(host, Some(namespace), domain))
            .map(|(name, of)| names::full_name(name, of, domain));
        if let Some(full) = full {
            destination["host"] = full.into();
        }
    };
    root.get_mut("mirror").into_iter().for_each(qualify);
    let mirrors = root.get_mut("mirrors").and_then(Value::as_array_mut);
    mirrors
        .into_iter()
        .flatten()
        .filter_map(|mirror| mirror.get_mut("destination"))
        .for_each(qualify);
    root
}

/// One entry of the delegate as its root limits and completes it; `None` if their conditions never hold together.
fn merged(root: &Map<String, Value>, root_name: &str, leaf: &Value, index: u32) -> Option<Value> {
    let mut entry = leaf.as_object()?.clone();
    let conditions = |map: &Map<String, Value>| {
        let list = map.get("match").and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let both = delegate_match::merge(&conditions(root), &conditions(&entry))?;
    entry.insert("match".into(), both.into());
    let own = entry.get("name").and_then(Value::as_str);
    let own = own.map_or_else(|| format!("http[{index}]"), str::to_owned);
    entry.insert("name".into(), json!(format!("{root_name}-{own}")));
    for key in INHERITED {
        if let Some(value) = root.get(key).filter(|_| !entry.contains_key(key)) {
            entry.insert(key.into(), value.clone());
        }
    }
    Some(entry.into())
}
