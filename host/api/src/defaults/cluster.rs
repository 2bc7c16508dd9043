//! Volumes, limits, priorities and network policies.

use serde_json::{Map, Value, json};

use super::{child, children, default, default_text, pod};
use crate::Object;

pub(super) fn template(object: &mut Object) {
    let spec = child(object.as_map_mut(), "template").and_then(|template| child(template, "spec"));
    if let Some(spec) = spec {
        pod::spec(spec);
    }
}

pub(super) fn volume(object: &mut Object) {
    phase(object, "Pending");
    if let Some(spec) = child(object.as_map_mut(), "spec") {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default(spec, "volumeMode", "Filesystem");
        if let Some(path) = child(spec, "hostPath") {
            default(path, "type", "");
        }
    }
}

pub(super) fn claim(object: &mut Object) {
    phase(object, "Pending");
    if let Some(spec) = child(object.as_map_mut(), "spec") {
        default(spec, "volumeMode", "Filesystem");
    }
}

pub(super) fn class(object: &mut Object) {
    let class = object.as_map_mut();
    default_text(class, "reclaimPolicy", "Delete");
    default_text(class, "volumeBindingMode", "Immediate");
}

fn phase(object: &mut Object, phase: &str) {
    let map = object.as_map_mut();
    default(map, "status", json!({}));
    if let Some(status) = child(map, "status") {
        default_text(status, "phase", phase);
    }
}

pub(super) fn priority(object: &mut Object) {
    let map = object.as_map_mut();
    default(map, "value", 0);
    default(map, "preemptionPolicy", "PreemptLowerPriority");
}

/// What a limit does not say follows from what it does.
pub(super) fn limits(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    for item in children(spec, "limits") {
        if item.get("type") == Some(&json!("Container")) {
            follow(item, "max", "default");
            follow(item, "default", "defaultRequest");
            follow(item, "min", "defaultRequest");
        }
    }
}

fn follow(item: &mut Map<String, Value>, from: &str, to: &str) {
    let Some(Value::Object(source)) = item.get(from).cloned() else {
        return;
    };
    default(item, to, json!({}));
    if let Some(target) = child(item, to) {
        for (name, amount) in source {
            target.entry(name).or_insert(amount);
        }
    }
}

pub(super) fn network_policy(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    if spec
        .get("policyTypes")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty)
    {
        let egress = spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        let kinds = if egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), kinds);
    }
    for list in ["ingress", "egress"] {
        for rule in children(spec, list) {
            for port in children(rule, "ports") {
                default(port, "protocol", "TCP");
            }
        }
    }
}
