//! Targets that may sleep: which Services lead to them, and for which of these calls wait. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::resources::{HELD, HOLD};
use osier_api::selector::LabelSelector;
use osier_api::{Object, duration};
use serde_json::Value;

/// How long a call is held if the autoscaler does not say: as long as callers commonly wait.
const HELD_FOR: &str = "60s";

/// The autoscaler lets its target have no pods.
pub fn may_sleep(hpa: &Object) -> bool {
    let least = hpa.get(&["spec", "minReplicas"]);
    least.and_then(Value::as_u64) == Some(0)
}

/// It told its target to have no pods.
pub fn sleeps(hpa: &Object) -> bool {
    let told = hpa.get(&["status", "desiredReplicas"]);
    told.and_then(Value::as_u64) == Some(0)
}

/// The Services that choose the pods of a target.
pub fn leading<'a>(
    target: &Object,
    services: &'a [Arc<Object>],
) -> impl Iterator<Item = &'a Arc<Object>> {
    let labels = target.get(&["spec", "template", "metadata", "labels"]);
    let labels = labels
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    services.iter().filter(move |service| {
        let pairs = labels
            .iter()
            .filter_map(|(key, value)| Some((&**key, value.as_str()?)));
        let selector = LabelSelector::of_controller(service);
        let selector = selector.filter(|selector| !selector.is_empty());
        selector.is_some_and(|selector| selector.matches(&pairs.collect()))
    })
}

/// How long calls are held, by the name of the Service: for all targets of a namespace that may sleep.
pub fn holds<'a>(
    sleepers: impl Iterator<Item = (&'a Object, &'a Object)>,
    services: &[Arc<Object>],
) -> BTreeMap<String, String> {
    let mut holds = BTreeMap::new();
    for (hpa, target) in sleepers {
        let said = hpa
            .annotation(HOLD)
            .filter(|said| duration::parse(said).is_ok());
        for service in leading(target, services) {
            let time = said.unwrap_or(HELD_FOR).to_owned();
            holds.insert(service.name().to_owned(), time);
        }
    }
    holds
}

/// The Services, as `namespace/name`, for which calls wait at a node that lives.
pub fn waited_for(node: &Object) -> impl Iterator<Item = &str> {
    let told = node.annotation(HELD).filter(|_| is_ready(node));
    told.into_iter().flat_map(|told| told.split(','))
}

fn is_ready(node: &Object) -> bool {
    let conditions = node
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    #[test]
    fn services_that_lead_to_a_sleeper_hold_calls() {
        let service = |name: &str, selector: Value| {
            Arc::new(object(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": selector}}),
            ))
        };
        let services = [
            service("web", json!({"app": "web"})),
            service("all", json!({})),
            service("other", json!({"app": "web", "track": "canary"})),
            service("both", json!({"tier": "front"})),
        ];
        let labels = json!({"app": "web", "tier": "front"});
        let target = object(
            json!({"metadata": {"name": "t"}, "spec": {"template": {"metadata": {"labels": labels}}}}),
        );
        let hpa = |least: u32, hold: &str| {
            object(
                json!({"metadata": {"name": "h", "annotations": {HOLD: hold}}, "spec": {"minReplicas": least}}),
            )
        };
        let held = |hpa: &Object| holds([(hpa, &target)].into_iter(), &services);
        let both = |time: &str| {
            ["both", "web"]
                .map(|name| (name.to_owned(), time.to_owned()))
                .into()
        };
        assert_eq!(held(&hpa(0, "5s")), both("5s"));
        assert_eq!(held(&hpa(0, "soon")), both("60s"));
        assert!(may_sleep(&hpa(0, "")) && !may_sleep(&hpa(1, "")));
    }

    #[test]
    fn only_living_nodes_wake_anybody() {
        let node = |ready: &str| {
            object(
                json!({"metadata": {"name": "n", "annotations": {HELD: "a/x,b/y"}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}}),
            )
        };
        assert_eq!(
            waited_for(&node("True")).collect::<Vec<_>>(),
            ["a/x", "b/y"]
        );
        assert_eq!(waited_for(&node("Unknown")).count(), 0);
    }
}
