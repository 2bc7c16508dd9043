//! What follows from a node's silence. Pure.

use jiff::Timestamp;
use osier_api::Object;
use serde_json::{Value, json};

/// Marks a node that is not heard of; pods that do not tolerate it leave.
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Marks one that says of itself that it is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// How long pods tolerate a lost node that do not say it: what upstream's DefaultTolerationSeconds writes into each.
const TOLERATED: i64 = 300;

/// What is to be done about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is said to be unknown, and its pods not to be ready.
    Lose,
    /// Its pods that tolerated it long enough leave.
    Evict,
    /// It is back: its marks go.
    Welcome,
    /// All is as it should be.
    Rest,
}

/// Decides about a node that was silent for longer than the grace, or not.
pub(super) fn decide(node: &Object, silent: bool) -> Step {
    let ready = ready(node);
    let marked = lost_since(node).is_some();
    match (silent, ready, marked) {
        (true, "Unknown", true) => Step::Evict,
        (true, ..) => Step::Lose,
        (false, "True", true) => Step::Welcome,
        (false, ..) => Step::Rest,
    }
}

fn ready(node: &Object) -> &str {
    let condition = crate::facts::condition(node, "Ready");
    condition
        .and_then(|condition| condition["status"].as_str())
        .unwrap_or_default()
}

fn taints(node: &Object) -> Vec<Value> {
    let taints = node.get(&["spec", "taints"]).and_then(Value::as_array);
    taints.cloned().unwrap_or_default()
}

fn is_ours(taint: &Value) -> bool {
    taint["key"] == UNREACHABLE || taint["key"] == NOT_READY
}

/// Since when the node is marked as lost.
pub(super) fn lost_since(node: &Object) -> Option<Timestamp> {
    let all = taints(node);
    let mut marks = all.iter().filter(|taint| is_ours(taint));
    let mark = marks.find(|taint| taint["effect"] == "NoExecute")?;
    Some(
        mark["timeAdded"]
            .as_str()?
            .parse()
            .unwrap_or(Timestamp::UNIX_EPOCH),
    )
}

/// The taints of a node that is lost as of `now`.
pub(super) fn marked(node: &Object, now: &str) -> Vec<Value> {
    let mut all = unmarked(node);
    all.push(json!({"key": UNREACHABLE, "effect": "NoSchedule", "timeAdded": now}));
    all.push(json!({"key": UNREACHABLE, "effect": "NoExecute", "timeAdded": now}));
    all
}

/// The taints of a node that is not lost.
pub(super) fn unmarked(node: &Object) -> Vec<Value> {
    let mut all = taints(node);
    all.retain(|taint| !is_ours(taint));
    all
}

/// When a pod has tolerated its lost node long enough; never if it tolerates it for good.
pub(super) fn leaves_at(pod: &Object, lost: Timestamp) -> Option<Timestamp> {
    let list = pod.get(&["spec", "tolerations"]).and_then(Value::as_array);
    let matching = list.into_iter().flatten().filter(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        let exists = text("operator") == "Exists" || text("value").is_empty();
        let key = text("key");
        exists
            && (key == UNREACHABLE || key.is_empty())
            && matches!(text("effect"), "" | "NoExecute")
    });
    let times: Vec<Option<i64>> = matching
        .map(|one| one["tolerationSeconds"].as_i64())
        .collect();
    let seconds = match times.iter().flatten().min() {
        Some(least) => *least,
        None if times.is_empty() => TOLERATED,
        None => return None,
    };
    lost.checked_add(jiff::SignedDuration::from_secs(seconds.max(0)))
        .ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

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
        let taints = marked(&healthy, "2026-01-01T00:00:00Z");
        assert_eq!(taints.len(), 3);
        let lost = node("Unknown", &taints);
        assert_eq!(decide(&lost, true), Step::Evict);
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
    fn pods_leave_when_they_have_tolerated_it_long_enough() {
        let lost: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let after = |tolerations: Value| {
            let pod = Object::from_value(
                json!({"metadata": {"name": "p"}, "spec": {"tolerations": tolerations}}),
            );
            leaves_at(&pod.unwrap(), lost).map(|at| at.as_second() - lost.as_second())
        };
        assert_eq!(after(json!([])), Some(300));
        assert_eq!(
            after(
                json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 7}])
            ),
            Some(7)
        );
        assert_eq!(after(json!([{"operator": "Exists"}])), None);
        assert_eq!(
            after(json!([{"key": "gpu", "operator": "Exists", "tolerationSeconds": 1}])),
            Some(300)
        );
        assert_eq!(
            after(json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}])),
            Some(300)
        );
    }
}
