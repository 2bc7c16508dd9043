//! HorizontalPodAutoscalers.

use super::at::At;
use super::names;
use osier_api::{Fault, quantity};

const KINDS: [&str; 5] = [
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

/// The rules of a spec.
pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
    let mut faults = Vec::new();
    if least.int().is_some_and(|least| least < 0) {
        faults.push(least.invalid("must be greater than or equal to 0"));
    }
    if most.int().is_none_or(|most| most < 1) {
        faults.push(most.invalid("must be greater than 0"));
    } else if least.int() > most.int() {
        faults.push(most.invalid("must be greater than or equal to `minReplicas`"));
    }
    faults.extend(target(&spec.at("scaleTargetRef")));
    let metrics = spec.at("metrics").items();
    faults.extend(metrics.iter().flat_map(metric));
    let by_calls = |one: &At<'_>| matches!(one.at("type").text(), "Pods" | "Object" | "External");
    if least.int() == Some(0) && !metrics.iter().any(by_calls) {
        let words = "must specify at least one metric of requests (of type Pods or Object) to support scaling to zero replicas: a pod at rest uses some CPU";
        faults.push(spec.at("metrics").forbidden(words));
    }
    for direction in ["scaleUp", "scaleDown"] {
        faults.extend(rules(&spec.at("behavior").at(direction)));
    }
    faults
}

fn target(target: &At<'_>) -> Vec<Fault> {
    let named = ["kind", "name"].map(|field| target.at(field).name(names::path_segment));
    named.concat()
}

fn metric(metric: &At<'_>) -> Vec<Fault> {
    let kind = metric.at("type");
    let mut faults: Vec<Fault> = kind.one_of(&KINDS).into_iter().collect();
    if !kind.is_set() {
        faults.push(kind.required("must specify a metric source type"));
    }
    if !KINDS.contains(&kind.text()) {
        return faults;
    }
    let field = kind.text();
    let field =
        field.get(..1).unwrap_or_default().to_lowercase() + field.get(1..).unwrap_or_default();
    let source = metric.at(&field);
    if !source.is_present() {
        let words = "must populate information for the given metric source";
        faults.push(source.required(words));
        return faults;
    }
    let name = match field.as_str() {
        "resource" | "containerResource" => source.at("name"),
        _ => source.at("metric").at("name"),
    };
    faults.extend(name.name(names::path_segment));
    faults.extend(amounts(&source.at("target"), kind.text()));
    faults
}

/// How much a metric may be: which fields go with it depends on what it counts.
fn amounts(target: &At<'_>, metric: &str) -> Vec<Fault> {
    let kind = target.at("type");
    let mut faults: Vec<Fault> = kind
        .one_of(&["Utilization", "Value", "AverageValue"])
        .into_iter()
        .collect();
    let percent = target.at("averageUtilization");
    if percent.int().is_some_and(|percent| percent < 1) {
        faults.push(percent.invalid("must be greater than 0"));
    }
    let fitting = match metric {
        "Pods" => ["averageValue"].as_slice(),
        "Resource" | "ContainerResource" => &["averageUtilization", "averageValue"],
        _ => &["value", "averageValue"],
    };
    for field in ["averageValue", "value"] {
        let amount = target.at(field);
        let positive = quantity::ratio(amount.text(), "1").is_some_and(|amount| amount > 0.0);
        if amount.is_present() && !positive {
            faults.push(amount.invalid("must be positive"));
        }
    }
    if !fitting.iter().any(|field| target.at(field).is_present()) {
        let first = target.at(fitting[0]);
        let words = format!(
            "must specify a positive target {} for a metric of type {metric}",
            fitting.join(" or ")
        );
        faults.push(first.required(&words));
    }
    faults
}

fn rules(rules: &At<'_>) -> Vec<Fault> {
    let mut faults: Vec<Fault> = rules
        .at("selectPolicy")
        .one_of(&["Disabled", "Max", "Min"])
        .into_iter()
        .collect();
    let within = |at: At<'_>, least: i64, most: i64| {
        let fits = at
            .int()
            .is_none_or(|number| (least..=most).contains(&number));
        (!fits).then(|| at.invalid(format!("must be between {least} and {most}")))
    };
    faults.extend(within(rules.at("stabilizationWindowSeconds"), 0, 3600));
    for policy in rules.at("policies").items() {
        faults.extend(policy.at("type").one_of(&["Percent", "Pods"]));
        faults.extend(within(policy.at("value"), 1, i64::from(i32::MAX)));
        faults.extend(within(policy.at("periodSeconds"), 1, 1800));
    }
    faults
}
