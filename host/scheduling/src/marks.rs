//! How a node is marked that is silent, or says of itself that it is not ready. Pure.

use osier_api::Object;
use serde_json::{Value, json};

use crate::taints::{NOT_READY, UNREACHABLE};

/// What is to be done about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is said to be unknown, and its pods not to be ready.
    Lose,
    /// It says that it is not ready, and is marked so.
    Doubt,
    /// It is back: its marks go.
    Welcome,
    /// All is as it should be.
    Rest,
}

/// Decides about a node that was silent for longer than the grace, or not.
pub fn decide(node: &Object, silent: bool) -> Step {
    let conditions = node
        .get(&["status", "conditions"])
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    let ready = ready.and_then(|condition| condition["status"].as_str());
    let marks: Vec<Value> = taints(node).into_iter().filter(is_ours).collect();
    let marked = |key: &str| {
        let drives_out = |taint: &&Value| taint["effect"] == "NoExecute";
        let mut all = marks.iter().filter(drives_out);
        all.any(|taint| taint["key"] == key)
    };
    match (silent, ready) {
        (true, Some("Unknown")) if marked(UNREACHABLE) => Step::Rest,
        (true, _) => Step::Lose,
        (false, Some("True")) if !marks.is_empty() => Step::Welcome,
        (false, Some("False")) if !marked(NOT_READY) => Step::Doubt,
        (false, _) => Step::Rest,
    }
}

fn taints(node: &Object) -> Vec<Value> {
    let taints = node.get(&["spec", "taints"]).and_then(Value::as_array);
    taints.cloned().unwrap_or_default()
}

fn is_ours(taint: &Value) -> bool {
    taint["key"] == UNREACHABLE || taint["key"] == NOT_READY
}

/// The taints of a node that is marked with `key` as of `now`; marked as lost or not ready already, it is so since then.
pub fn marked(node: &Object, key: &str, now: &str) -> Vec<Value> {
    let before = taints(node);
    let driving = |taint: &&Value| is_ours(taint) && taint["effect"] == "NoExecute";
    let since = before.iter().find(driving);
    let since = since.and_then(|taint| taint["timeAdded"].as_str());
    let since = since.unwrap_or(now);
    let mut all = unmarked(node);
    for effect in ["NoSchedule", "NoExecute"] {
        all.push(json!({"key": key, "effect": effect, "timeAdded": since}));
    }
    all
}

/// The taints of a node that is not lost.
pub fn unmarked(node: &Object) -> Vec<Value> {
    let mut all = taints(node);
    all.retain(|taint| !is_ours(taint));
    all
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn node(ready: &str, taints: &[Value]) -> Object {
        Object::from_value(
            json!({"metadata": {"name": "n"}, "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}}),
        )
        .unwrap()
    }

    #[test]
    fn a_silent_node_is_lost_once_and_welcome_when_it_is_back() {
        let healthy = node("True", &[json!({"key": "gpu", "effect": "NoSchedule"})]);
        assert_eq!(decide(&healthy, false), Step::Rest);
        assert_eq!(decide(&healthy, true), Step::Lose);
        let taints = marked(&healthy, UNREACHABLE, NOW);
        assert_eq!(taints.len(), 3);
        let lost = node("Unknown", &taints);
        assert_eq!(decide(&lost, true), Step::Rest);
        assert_eq!(
            decide(&lost, false),
            Step::Rest,
            "it has not said yet that it is ready"
        );
        let back = node("True", &taints);
        assert_eq!(decide(&back, false), Step::Welcome);
        assert_eq!(unmarked(&back).len(), 1, "the taints of others stay");
    }

    #[test]
    fn a_node_that_is_not_ready_is_marked_and_the_time_runs_on_when_it_falls_silent() {
        let doubtful = node("False", &[]);
        assert_eq!(decide(&doubtful, false), Step::Doubt);
        let taints = marked(&doubtful, NOT_READY, NOW);
        let said = node("False", &taints);
        assert_eq!(decide(&said, false), Step::Rest);
        assert_eq!(decide(&said, true), Step::Lose);
        let lost = marked(&said, UNREACHABLE, "2026-01-01T00:05:00Z");
        let expected = ["NoSchedule", "NoExecute"]
            .map(|effect| json!({"key": UNREACHABLE, "effect": effect, "timeAdded": NOW}));
        assert_eq!(lost, expected);
        assert_eq!(decide(&node("True", &lost), false), Step::Welcome);
    }
}
