//! `autoscaling/v1` as `autoscaling/v2`, and back. Pure.
//!
//! v1 knows the CPU only; as upstream, what else there is stands in annotations meanwhile.

use osier_api::Object;
use serde_json::{Map, Value, json};

/// The version in which objects are stored.
pub const V2: &str = "autoscaling/v2";
/// The older one.
pub const V1: &str = "autoscaling/v1";

/// Where a part of v2 is kept in v1.
const KEPT: [(&str, [&str; 2]); 4] = [
    (
        "autoscaling.alpha.kubernetes.io/metrics",
        ["spec", "metrics"],
    ),
    (
        "autoscaling.alpha.kubernetes.io/behavior",
        ["spec", "behavior"],
    ),
    (
        "autoscaling.alpha.kubernetes.io/conditions",
        ["status", "conditions"],
    ),
    (
        "autoscaling.alpha.kubernetes.io/current-metrics",
        ["status", "currentMetrics"],
    ),
];

/// Where the CPU stands in v2 (a list, and the side of its entries), and in v1.
const CPU: [([&str; 2], &str, [&str; 2]); 2] = [
    (
        ["spec", "metrics"],
        "target",
        ["spec", "targetCPUUtilizationPercentage"],
    ),
    (
        ["status", "currentMetrics"],
        "current",
        ["status", "currentCPUUtilizationPercentage"],
    ),
];

/// A v2 object as v1.
pub fn to_v1(mut object: Object) -> Object {
    object.set(&["apiVersion"], V1.into());
    for (list, side, field) in CPU {
        let mut metrics = metrics(&mut object, list);
        let cpu = |metric: &Value| {
            metric["resource"]["name"] == "cpu" && !percentage(metric, side).is_null()
        };
        if let Some(place) = metrics.iter().position(cpu) {
            let value = percentage(&metrics.remove(place), side).clone();
            object.set(&field, value);
        }
        if !metrics.is_empty() {
            object.set(&list, metrics.into());
        }
    }
    for (annotation, field) in KEPT {
        if let Some(value) = object.remove(&field) {
            object.set(
                &["metadata", "annotations", annotation],
                value.to_string().into(),
            );
        }
    }
    object
}

fn percentage<'a>(metric: &'a Value, side: &str) -> &'a Value {
    &metric["resource"][side]["averageUtilization"]
}

/// The entries of a list, which is taken out.
fn metrics(object: &mut Object, list: [&str; 2]) -> Vec<Value> {
    match object.remove(&list) {
        Some(Value::Array(metrics)) => metrics,
        _ => Vec::new(),
    }
}

/// A v1 object as v2. An annotation that cannot be read stays one.
pub fn to_v2(mut object: Object) -> Object {
    object.set(&["apiVersion"], V2.into());
    for (annotation, field) in KEPT {
        let written = object.annotation(annotation).map(serde_json::from_str);
        if let Some(Ok::<Value, _>(value)) = written {
            object.set(&field, value);
            object.remove(&["metadata", "annotations", annotation]);
        }
    }
    let annotations = object.get(&["metadata", "annotations"]);
    if annotations
        .and_then(Value::as_object)
        .is_some_and(Map::is_empty)
    {
        object.remove(&["metadata", "annotations"]);
    }
    for (list, side, field) in CPU {
        if let Some(value) = object.remove(&field) {
            let mut metrics = metrics(&mut object, list);
            metrics.insert(0, cpu(side, &value));
            object.set(&list, metrics.into());
        }
    }
    object
}

fn cpu(side: &str, percentage: &Value) -> Value {
    let mut amount = json!({"averageUtilization": percentage});
    if side == "target" {
        amount["type"] = "Utilization".into();
    }
    json!({"type": "Resource", "resource": {"name": "cpu", side: amount}})
}
