//! HorizontalPodAutoscalers.

use serde_json::Value;

use super::{AGE, Layout, NAME, number, or_none, since_creation, text};
use osier_api::Object;

pub(super) const AUTOSCALERS: Layout = Layout {
    columns: &[
        NAME,
        text("Reference", "What is scaled."),
        text("Targets", "What is measured, and what it shall be."),
        text("MinPods", "The fewest replicas."),
        text("MaxPods", "The most replicas."),
        number("Replicas", "How many replicas there are."),
        AGE,
    ],
    cells: |hpa, now| {
        let count = |path: &[&str]| hpa.get(path).and_then(Value::as_i64);
        let target = hpa.get(&["spec", "scaleTargetRef"]).unwrap_or(&Value::Null);
        let named = |field: &str| target[field].as_str().unwrap_or_default();
        let bound = |value: Option<i64>| value.map_or("<unset>".to_owned(), |n| n.to_string());
        vec![
            hpa.name().into(),
            format!("{}/{}", named("kind"), named("name")).into(),
            or_none(&targets(hpa)),
            bound(count(&["spec", "minReplicas"])).into(),
            bound(count(&["spec", "maxReplicas"])).into(),
            count(&["status", "currentReplicas"]).unwrap_or(0).into(),
            since_creation(hpa, now),
        ]
    },
};

/// `cpu: 3%/80%, 12/100`: what is, and what shall be.
fn targets(hpa: &Object) -> String {
    let list = |path: &[&str]| hpa.get(path).and_then(Value::as_array).cloned();
    let known = list(&["status", "currentMetrics"]).unwrap_or_default();
    let all = list(&["spec", "metrics"]).unwrap_or_default();
    let shown = all.iter().map(|metric| {
        let kind = metric["type"].as_str().unwrap_or_default();
        let field =
            kind.get(..1).unwrap_or_default().to_lowercase() + kind.get(1..).unwrap_or_default();
        let of = |one: &Value| match one[&field].get("name") {
            Some(name) => name.clone(),
            None => one[&field]["metric"]["name"].clone(),
        };
        let mut same = known.iter().filter(|one| one["type"] == kind);
        let now = same.find(|one| of(one) == of(metric));
        let now = now.map_or(Value::Null, |one| one[&field]["current"].clone());
        let shown = pair(&metric[&field]["target"], &now);
        match kind {
            "Resource" => format!("{}: {shown}", of(metric).as_str().unwrap_or_default()),
            _ => shown,
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn pair(target: &Value, now: &Value) -> String {
    let written = |side: &Value, field: &str| side[field].as_str().map(str::to_owned);
    let percent = |side: &Value| side["averageUtilization"].as_i64().map(|n| format!("{n}%"));
    let unknown = || "<unknown>".to_owned();
    if let Some(wanted) = percent(target) {
        return format!("{}/{wanted}", percent(now).unwrap_or_else(unknown));
    }
    match written(target, "averageValue") {
        Some(wanted) => {
            format!(
                "{}/{wanted}",
                written(now, "averageValue").unwrap_or_else(unknown)
            )
        }
        None => {
            let wanted = written(target, "value").unwrap_or_default();
            format!("{}/{wanted}", written(now, "value").unwrap_or_else(unknown))
        }
    }
}
