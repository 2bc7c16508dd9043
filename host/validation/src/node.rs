//! Nodes, leases and events.

use super::at::At;
use super::names;
use osier_api::{Fault, Object};

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for taint in spec.at("taints").items() {
        faults.extend(taint.at("key").name(names::qualified));
        faults.extend(taint.at("value").optional_name(names::label_value));
        let effect = taint.at("effect");
        if !effect.is_set() {
            faults.push(effect.required(""));
        }
        faults.extend(effect.one_of(&EFFECTS));
        let pair = (taint.at("key").text(), effect.text());
        if seen.contains(&pair) {
            faults.push(taint.duplicate());
        }
        seen.push(pair);
    }
    faults
}

pub(super) fn check_lease(spec: &At<'_>) -> Vec<Fault> {
    let duration = spec.at("leaseDurationSeconds");
    let mut faults = Vec::new();
    if duration.int().is_some_and(|seconds| seconds <= 0) {
        faults.push(duration.invalid("must be greater than 0"));
    }
    faults.extend(spec.at("leaseTransitions").at_least(0));
    faults
}

/// An event lives where its object lives; those of cluster-scoped objects live in `default`.
pub(super) fn check_event(event: &Object) -> Vec<Fault> {
    let about = At::of(event, "involvedObject").at("namespace");
    let home = event.namespace();
    let fits =
        about.text() == home || (!about.is_set() && matches!(home, "default" | "kube-system"));
    if fits {
        Vec::new()
    } else {
        vec![about.invalid("does not match event.namespace")]
    }
}
