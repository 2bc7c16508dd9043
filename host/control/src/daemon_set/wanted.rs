//! What a DaemonSet's spec asks for, and of which nodes. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use osier_api::Object;
use osier_api::typed::IntOrString;
use osier_scheduling::node_affinity::{self, Site};
use osier_scheduling::taints::{self, Taint};
use serde_json::{Value, json};

use crate::ownership::Owner;

/// What a DaemonSet's pods tolerate besides what their template says: they stay where others leave.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// What a DaemonSet's spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) owner: Owner,
    pub(crate) strategy: Strategy,
    pub(crate) min_ready: Duration,
    /// Old revisions kept for undoing.
    pub(crate) history: usize,
    /// The spec of its pods, with what they tolerate.
    pub(crate) pod: Value,
}

/// How pods of an old template give way to new ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Strategy {
    /// When somebody deletes them.
    OnDelete,
    /// As many at once as may be unavailable.
    Rolling(IntOrString),
    /// When a new one is available on their node, on as many nodes at once.
    Surge(IntOrString),
}

/// What a node is to a DaemonSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It shall have a pod.
    Runs,
    /// It gets none; one that is there stays.
    Keeps,
    /// It has no pod.
    Refuses,
}

impl Wanted {
    pub(crate) fn of(set: &Object) -> Self {
        let number = |field: &str| set.get(&["spec", field]).and_then(Value::as_u64);
        let history = number("revisionHistoryLimit").unwrap_or(10);
        let mut pod = set.get(&["spec", "template", "spec"]).cloned();
        let mut spec = pod.take().unwrap_or_else(|| json!({}));
        tolerate(&mut spec);
        Self {
            owner: Owner::of(set),
            strategy: strategy(set),
            min_ready: Duration::from_secs(number("minReadySeconds").unwrap_or(0)),
            history: usize::try_from(history).unwrap_or(usize::MAX),
            pod: spec,
        }
    }

    pub(crate) fn fit(&self, node: &Object) -> Fit {
        let labels = node.get(&["metadata", "labels"]).and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        let labels: BTreeMap<String, String> = labels
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        let site = Site {
            name: node.name(),
            labels: &labels,
        };
        let named = self.pod["nodeName"].as_str().unwrap_or_default();
        let elsewhere = !named.is_empty() && named != node.name();
        if elsewhere || !node_affinity::admits(&self.pod, site) {
            return Fit::Refuses;
        }
        let tolerations = taints::tolerations(&self.pod);
        let mut against = Taint::all(node);
        against.retain(|taint| taint.keeps_away() && !taints::tolerated(tolerations, taint));
        match against.iter().any(Taint::drives_out) {
            true => Fit::Refuses,
            false if against.is_empty() => Fit::Runs,
            false => Fit::Keeps,
        }
    }
}

/// Adds what every pod of a DaemonSet tolerates.
pub(super) fn tolerate(spec: &mut Value) {
    let mut all = taints::tolerations(spec).to_vec();
    for (key, effect) in TOLERATED {
        let taint = Taint {
            key: key.to_owned(),
            effect: effect.to_owned(),
            ..Taint::default()
        };
        let exact =
            |one: &Value| one["tolerationSeconds"].is_null() && taints::matches(one, &taint);
        if !all.iter().any(exact) {
            all.push(json!({"key": key, "operator": "Exists", "effect": effect}));
        }
    }
    spec["tolerations"] = all.into();
}

fn strategy(set: &Object) -> Strategy {
    if set.text(&["spec", "updateStrategy", "type"]) == "OnDelete" {
        return Strategy::OnDelete;
    }
    let share = |field: &str| {
        let share = set.get(&["spec", "updateStrategy", "rollingUpdate", field]);
        share.and_then(|share| serde_json::from_value::<IntOrString>(share.clone()).ok())
    };
    let surge = share("maxSurge").filter(|surge| surge.rounded_up(100) > 0);
    match surge {
        Some(surge) => Strategy::Surge(surge),
        None => Strategy::Rolling(share("maxUnavailable").unwrap_or(IntOrString::Int(1))),
    }
}
