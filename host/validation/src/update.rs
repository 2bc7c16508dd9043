//! What may not change after creation.

use serde_json::Value;

use super::at::At;
use super::{access, cluster, config, identity, job, service, storage, workload};
use osier_api::{Fault, Object, Resource};

const POD_WORDS: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn check(resource: &Resource, old: &Object, new: &Object) -> Vec<Fault> {
    match (resource.group, resource.plural) {
        ("", "pods") => pod(old, new),
        ("", "services") => addresses(old, new),
        ("", "configmaps" | "secrets") => config::check_update(old, new),
        ("", "nodes") => node(old, new),
        ("", "persistentvolumes") => storage::check_volume_update(old, new),
        ("", "persistentvolumeclaims") => storage::check_claim_update(old, new),
        ("storage.k8s.io", "storageclasses") => storage::check_class_update(old, new),
        ("scheduling.k8s.io", "priorityclasses") => cluster::check_priority_update(old, new),
        ("gateway.networking.k8s.io", "gatewayclasses") => class(old, new),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            access::check_binding_update(old, new)
        }
        ("discovery.k8s.io", "endpointslices") => service::check_slice_update(old, new),
        ("batch", "jobs") => job::check_update(old, new),
        ("apps", "deployments" | "replicasets" | "daemonsets") => workload::check_update(old, new),
        ("apps", "statefulsets") => identity::check_update(old, new),
        ("apps", "controllerrevisions") => identity::check_revision_update(old, new),
        _ => Vec::new(),
    }
}

/// Who serves a class may not change: its gateways would change hands.
fn class(old: &Object, new: &Object) -> Vec<Fault> {
    const FIELD: [&str; 2] = ["spec", "controllerName"];
    if old.get(&FIELD) == new.get(&FIELD) {
        return Vec::new();
    }
    let value = new.get(&FIELD).cloned().unwrap_or_default();
    vec![Fault::immutable(FIELD.join("."), value)]
}

fn pod(old: &Object, new: &Object) -> Vec<Fault> {
    let (mut before, after) = (fixed_part(old), fixed_part(new));
    let mut faults = Vec::new();
    // Binding puts a pod on its node through the same rules; once there it stays.
    if let (Some(node), Some(map)) = (after.get("nodeName"), before.as_object_mut()) {
        map.entry("nodeName").or_insert_with(|| node.clone());
    }
    let counts = |object: &Object| {
        object
            .get(&["spec", "containers"])
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    if counts(old) != counts(new) {
        faults.push(Fault::forbidden(
            "spec.containers",
            "pod updates may not add or remove containers",
        ));
    } else if before != after {
        let changed = changed(&before, &after);
        faults.push(Fault::forbidden(
            "spec",
            format!("{POD_WORDS}; changed: {changed}"),
        ));
    }
    faults.extend(tolerations(old, new));
    faults
}

/// Tolerations may be added; of those that are there only the seconds may change.
fn tolerations(old: &Object, new: &Object) -> Option<Fault> {
    let kept = |object: &Object| -> Vec<Value> {
        let list = object
            .get(&["spec", "tolerations"])
            .and_then(Value::as_array);
        let mut list = list.cloned().unwrap_or_default();
        for toleration in list.iter_mut().filter_map(Value::as_object_mut) {
            toleration.remove("tolerationSeconds");
        }
        list
    };
    let now = kept(new);
    let lost = kept(old).iter().any(|toleration| !now.contains(toleration));
    let words = "existing toleration can not be modified except its tolerationSeconds";
    lost.then(|| Fault::forbidden("spec.tolerations", words))
}

/// The spec without what may change.
fn fixed_part(pod: &Object) -> Value {
    let mut spec = pod.get(&["spec"]).cloned().unwrap_or_default();
    let Some(map) = spec.as_object_mut() else {
        return spec;
    };
    for field in [
        "activeDeadlineSeconds",
        "tolerations",
        "ephemeralContainers",
        "schedulingGates",
    ] {
        map.remove(field);
    }
    // A grace period below zero, from old clients, may be put to 1.
    let grace = map.get_mut("terminationGracePeriodSeconds");
    if let Some(grace) = grace.filter(|grace| grace.as_i64().is_some_and(|seconds| seconds < 0)) {
        *grace = 1.into();
    }
    for list in ["containers", "initContainers"] {
        let containers = map
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten();
        containers
            .filter_map(Value::as_object_mut)
            .for_each(|container| {
                container.remove("image");
            });
    }
    spec
}

/// Names of the top-level fields that differ.
fn changed(before: &Value, after: &Value) -> String {
    let keys = |value: &Value| {
        value
            .as_object()
            .map(|map| map.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let mut all = keys(before);
    all.extend(keys(after));
    all.sort();
    all.dedup();
    all.retain(|key| before.get(key) != after.get(key));
    all.iter()
        .map(|key| format!("spec.{key}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The virtual address stays, unless the service becomes or was an `ExternalName`.
fn addresses(old: &Object, new: &Object) -> Vec<Fault> {
    let external = |object: &Object| object.text(&["spec", "type"]) == "ExternalName";
    if external(old) || external(new) {
        return Vec::new();
    }
    let (before, after) = (
        At::of(old, "spec").at("clusterIP"),
        At::of(new, "spec").at("clusterIP"),
    );
    let moved = before.is_set() && after.is_set() && before.value != after.value;
    if moved {
        vec![after.invalid("may not change once set")]
    } else {
        Vec::new()
    }
}

fn node(old: &Object, new: &Object) -> Vec<Fault> {
    let mut faults = Vec::new();
    for field in ["podCIDR", "providerID"] {
        let (before, after) = (At::of(old, "spec").at(field), At::of(new, "spec").at(field));
        if before.is_set() && before.value != after.value {
            let words = format!("node updates may not change {field} except from \"\" to valid");
            faults.push(after.forbidden(&words));
        }
    }
    faults
}
