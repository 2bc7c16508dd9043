//! A pod for one node: the scheduler binds it there and nowhere else. Pure.

use osier_api::Object;
use serde_json::{Value, json};

use super::wanted::tolerate;
use crate::history::LABEL;
use crate::{facts, template};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// The pod of a node, of the template of now.
pub(super) fn pod(set: &Object, hash: &str, node: &str) -> Object {
    let mut pod = template::pod(set);
    pod.set(&["metadata", "labels", LABEL], hash.into());
    let mut spec = pod.remove(&["spec"]).unwrap_or_else(|| json!({}));
    tolerate(&mut spec);
    place(&mut spec, node);
    pod.set(&["spec"], spec);
    pod
}

/// Narrows the required node affinity to one node: in every term, for one of them is enough.
fn place(spec: &mut Value, node: &str) {
    let fields = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
    let terms = &spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"];
    let mut terms = terms.as_array().cloned().unwrap_or_default();
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in &mut terms {
        term["matchFields"] = fields.clone();
    }
    spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] = terms.into();
}

/// The node that a pod is on, or is meant for.
pub(super) fn node(pod: &Object) -> &str {
    let bound = facts::node(pod);
    if !bound.is_empty() {
        return bound;
    }
    let affinity = pod.get(&["spec", "affinity", "nodeAffinity", REQUIRED]);
    let fields = affinity.map(|required| &required["nodeSelectorTerms"][0]["matchFields"][0]);
    fields
        .and_then(|field| field["values"][0].as_str())
        .unwrap_or_default()
}
