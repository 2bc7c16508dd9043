//! Defaults of what keeps pods running.

use serde_json::{Map, Value, json};

use super::{child, default, default_text, pod};
use crate::Object;

type Json = Map<String, Value>;

/// `SetDefaults_Deployment`.
pub(super) fn deployment(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default(spec, "replicas", 1);
    default(spec, "strategy", json!({}));
    if let Some(strategy) = child(spec, "strategy") {
        default_text(strategy, "type", "RollingUpdate");
        if strategy.get("type") == Some(&json!("RollingUpdate")) {
            default(strategy, "rollingUpdate", json!({}));
        }
        if let Some(rolling) = child(strategy, "rollingUpdate") {
            default(rolling, "maxUnavailable", "25%");
            default(rolling, "maxSurge", "25%");
        }
    }
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    template(spec);
}

/// `SetDefaults_ReplicaSet`.
pub(super) fn replica_set(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default(spec, "replicas", 1);
    template(spec);
}

/// `SetDefaults_StatefulSet`.
pub(super) fn stateful_set(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default_text(spec, "podManagementPolicy", "OrderedReady");
    let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    default(spec, "persistentVolumeClaimRetentionPolicy", retain);
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    if let Some(rolling) = rolling(spec) {
        default(rolling, "partition", 0);
    }
    template(spec);
}

/// `SetDefaults_DaemonSet`.
pub(super) fn daemon_set(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    if let Some(rolling) = rolling(spec) {
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    default(spec, "revisionHistoryLimit", 10);
    template(spec);
}

/// The parameters of a rolling `updateStrategy`, which is the default.
fn rolling(spec: &mut Json) -> Option<&mut Json> {
    default(spec, "updateStrategy", json!({}));
    let strategy = child(spec, "updateStrategy")?;
    default_text(strategy, "type", "RollingUpdate");
    if strategy.get("type") != Some(&json!("RollingUpdate")) {
        return None;
    }
    default(strategy, "rollingUpdate", json!({}));
    child(strategy, "rollingUpdate")
}

/// `SetDefaults_Job`.
pub(super) fn job(object: &mut Object) {
    let labels = object.get(&["spec", "template", "metadata", "labels"]);
    let own = object.get(&["metadata", "labels"]);
    let unlabelled = own.and_then(Value::as_object).is_none_or(Map::is_empty);
    if let Some(labels) = labels.filter(|_| unlabelled).cloned() {
        object.set(&["metadata", "labels"], labels);
    }
    if let Some(spec) = child(object.as_map_mut(), "spec") {
        job_spec(spec);
    }
}

fn job_spec(spec: &mut Json) {
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let by_index = spec.contains_key("backoffLimitPerIndex");
    default(spec, "backoffLimit", if by_index { i32::MAX } else { 6 });
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let by_policy = spec.contains_key("podFailurePolicy");
    let replaced = if by_policy {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    default(spec, "podReplacementPolicy", replaced);
    template(spec);
}

/// `SetDefaults_CronJob`. What a Job gets, its template gets when it becomes one.
pub(super) fn cron_job(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default_text(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = child(spec, "jobTemplate").and_then(|job| child(job, "spec")) {
        template(job);
    }
}

/// The pod that is made from `template`.
pub(super) fn template(spec: &mut Json) {
    if let Some(template) = child(spec, "template").and_then(|template| child(template, "spec")) {
        pod::spec(template);
    }
}

/// A HorizontalPodAutoscaler: 80% of the CPU that is requested unless it says by what; what it says of behavior is completed.
pub(super) fn autoscaler(object: &mut Object) {
    let Some(spec) = child(object.as_map_mut(), "spec") else {
        return;
    };
    default(spec, "minReplicas", 1);
    let cpu = json!([{"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    let empty = spec
        .get("metrics")
        .and_then(Value::as_array)
        .is_none_or(Vec::is_empty);
    if empty {
        spec.insert("metrics".to_owned(), cpu);
    }
    if let Some(behavior) = child(spec, "behavior") {
        self::behavior(behavior);
    }
}

fn behavior(behavior: &mut Map<String, Value>) {
    let rate = |kind: &str, value: u32| json!({"type": kind, "value": value, "periodSeconds": 15});
    let (up, down) = (
        json!([rate("Pods", 4), rate("Percent", 100)]),
        json!([rate("Percent", 100)]),
    );
    for (direction, policies) in [("scaleUp", up), ("scaleDown", down)] {
        default(behavior, direction, json!({}));
        if let Some(rules) = child(behavior, direction) {
            default(rules, "selectPolicy", "Max");
            default(rules, "policies", policies);
            if direction == "scaleUp" {
                default(rules, "stabilizationWindowSeconds", 0);
            }
        }
    }
}
