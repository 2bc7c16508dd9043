//! Evictions: whether a pod may be asked to leave, by the PodDisruptionBudget that speaks of it. Who counts the pods of a budget is
//! a controller; each eviction spends one of the disruptions that it allows.

use osier_api::selector::LabelSelector;
use osier_api::{Cause, Details, Object, Status};
use serde_json::{Value, json};

/// Evictions that a budget remembers at once; whoever counts its pods falls behind beyond that.
const REMEMBERED: usize = 2000;
/// Seconds until a budget that was just changed will have been counted.
const COUNTED_SOON: u32 = 10;

/// The budget that a pod's eviction must be spent from; `None` if it may go as it is.
///
/// # Errors
/// Several budgets speak of the pod: none of them could keep its word.
pub fn budget<'a>(pod: &Object, budgets: &'a [Object]) -> Result<Option<&'a Object>, Status> {
    // Nobody is disrupted by the end of a pod that does not run, or is going already.
    let phase = pod.text(&["status", "phase"]);
    let idle = matches!(phase, "" | "Pending" | "Succeeded" | "Failed");
    if idle || pod.deletion_timestamp().is_some() {
        return Ok(None);
    }
    let mut speaking = budgets.iter().filter(|budget| selects(budget, pod));
    let (first, second) = (speaking.next(), speaking.next());
    match (first, second) {
        (Some(_), Some(_)) => Err(Status::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )),
        (Some(budget), None) if !may_leave_sick(budget, pod) => Ok(Some(budget)),
        _ => Ok(None),
    }
}

/// The budget speaks of the pod: its selector is there, and an empty one selects every pod of the namespace.
pub fn selects(budget: &Object, pod: &Object) -> bool {
    let selector = budget.get(&["spec", "selector"]);
    let selector = selector.filter(|selector| selector.is_object());
    let parsed = selector.and_then(|selector| LabelSelector::from_object(selector).ok());
    parsed.is_some_and(|selector| selector.selects(pod))
}

/// A pod that is not ready serves nobody: it may go where the budget is kept by others, or always if the budget says so.
fn may_leave_sick(budget: &Object, pod: &Object) -> bool {
    let conditions = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
    if ready {
        return false;
    }
    if budget.text(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow" {
        return true;
    }
    let (healthy, desired) = (
        number(budget, "currentHealthy"),
        number(budget, "desiredHealthy"),
    );
    desired > 0 && healthy >= desired
}

/// The budget with one disruption less, spent for the pod at `now`.
///
/// # Errors
/// 429 if none is left, or if the budget's numbers are not of its present state.
pub fn spend(budget: &Object, pod: &Object, now: &str) -> Result<Object, Status> {
    let allowed = number(budget, "disruptionsAllowed");
    if let Some((words, seconds)) = nothing_to_spend(budget, allowed) {
        let words = format!("The disruption budget {} {words}", budget.name());
        return Err(refusal(words, seconds));
    }
    let mut spent = budget.clone();
    spent.set(&["status", "disruptionsAllowed"], json!(allowed - 1));
    spent.set(&["status", "disruptedPods", pod.name()], now.into());
    Ok(spent)
}

/// Why the budget gives nothing, and after how many seconds it may.
fn nothing_to_spend(budget: &Object, allowed: i64) -> Option<(String, Option<u32>)> {
    let disrupted = budget.get(&["status", "disruptedPods"]);
    let disrupted = disrupted.and_then(Value::as_object);
    if number(budget, "observedGeneration") < budget.generation() {
        let words = "is still being processed by the server.";
        Some((words.to_owned(), Some(COUNTED_SOON)))
    } else if allowed <= 0 {
        let (needs, has) = ("desiredHealthy", "currentHealthy");
        let (needs, has) = (number(budget, needs), number(budget, has));
        let words = format!("needs {needs} healthy pods and has {has} currently");
        Some((words, None))
    } else if disrupted.is_some_and(|pods| pods.len() >= REMEMBERED) {
        let words = format!("remembers {REMEMBERED} evictions that are not over");
        Some((words, Some(COUNTED_SOON)))
    } else {
        None
    }
}

fn refusal(message: String, seconds: Option<u32>) -> Status {
    let cause = Cause {
        reason: "DisruptionBudget".to_owned(),
        message,
        ..Cause::default()
    };
    let words = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::new(429, "TooManyRequests", words).on(Details {
        causes: vec![cause],
        retry_after_seconds: seconds,
        ..Details::default()
    })
}

fn number(budget: &Object, field: &str) -> i64 {
    let number = budget.get(&["status", field]);
    number.and_then(Value::as_i64).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn pod(phase: &str, ready: bool) -> Object {
        let ready = if ready { "True" } else { "False" };
        Object::from_value(
            json!({"metadata": {"name": "p", "namespace": "shop", "labels": {"app": "web"}},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}}),
        )
        .unwrap()
    }

    fn budget_of(selector: &Value, status: &Value) -> Object {
        Object::from_value(
            json!({"metadata": {"name": "b", "namespace": "shop", "generation": 1},
            "spec": {"selector": selector}, "status": status}),
        )
        .unwrap()
    }

    fn web(allowed: i64, healthy: i64) -> Object {
        let status = json!({"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": 2});
        budget_of(&json!({"matchLabels": {"app": "web"}}), &status)
    }

    #[test]
    fn a_budget_speaks_of_the_pods_that_it_selects() {
        let running = pod("Running", true);
        let all = [
            budget_of(&Value::Null, &json!({})),
            budget_of(&json!({"matchLabels": {"app": "db"}}), &json!({})),
            budget_of(&json!({}), &json!({})),
        ];
        assert!(budget(&running, &all[..2]).unwrap().is_none());
        assert!(
            budget(&running, &all).unwrap().is_some(),
            "an empty selector selects all"
        );
        let two = [web(1, 3), budget_of(&json!({}), &json!({}))];
        assert_eq!(budget(&running, &two).unwrap_err().code, 500);
    }

    #[test]
    fn pods_that_serve_nobody_go_as_they_are() {
        for phase in ["Pending", "Succeeded", "Failed"] {
            assert!(
                budget(&pod(phase, false), &[web(0, 0)]).unwrap().is_none(),
                "{phase}"
            );
        }
        let mut going = pod("Running", true);
        going.set(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        );
        assert!(budget(&going, &[web(0, 0)]).unwrap().is_none());
        let sick = pod("Running", false);
        assert!(
            budget(&sick, &[web(0, 2)]).unwrap().is_none(),
            "the others keep the budget"
        );
        assert!(budget(&sick, &[web(0, 1)]).unwrap().is_some());
        let mut always = web(0, 1);
        always.set(
            &["spec", "unhealthyPodEvictionPolicy"],
            "AlwaysAllow".into(),
        );
        assert!(budget(&sick, &[always]).unwrap().is_none());
    }

    #[test]
    fn disruptions_are_spent_until_none_is_left() {
        let (mut budget, mut spent) = (web(2, 4), 0);
        while let Ok(next) = spend(&budget, &pod("Running", true), "2026-01-01T00:00:00Z") {
            (budget, spent) = (next, spent + 1);
        }
        assert_eq!(spent, 2);
        assert_eq!(
            budget.get(&["status", "disruptedPods"]),
            Some(&json!({"p": "2026-01-01T00:00:00Z"}))
        );
        let refused = spend(&budget, &pod("Running", true), "").unwrap_err();
        let details = refused.details.unwrap();
        assert_eq!((refused.code, details.retry_after_seconds), (429, None));
        assert_eq!(
            details.causes[0].message,
            "The disruption budget b needs 2 healthy pods and has 4 currently"
        );
        let mut changed = web(2, 4);
        changed.set(&["metadata", "generation"], 2.into());
        let refused = spend(&changed, &pod("Running", true), "").unwrap_err();
        assert_eq!(refused.details.unwrap().retry_after_seconds, Some(10));
    }
}
