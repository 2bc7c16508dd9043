//! Taints keep pods away from a node unless they tolerate them, and drive out those that are there. Pure.

use jiff::{SignedDuration, Timestamp};
use osier_api::Object;
use serde_json::{Value, json};

/// Marks a node that says of itself that it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Marks a node that is not heard of.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Seconds for which pods bear [`NOT_READY`] and [`UNREACHABLE`] that do not say it.
const BORNE: i64 = 300;

/// A mark that keeps pods away unless they tolerate it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Which mark.
    pub key: String,
    /// May be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
    /// When it was put there, if whoever did it says so.
    pub since: Option<Timestamp>,
}

impl Taint {
    /// The taints of a node.
    pub fn all(node: &Object) -> Vec<Self> {
        let taints = node.get(&["spec", "taints"]).and_then(Value::as_array);
        taints.into_iter().flatten().map(Self::of).collect()
    }

    fn of(taint: &Value) -> Self {
        let word = |key: &str| taint[key].as_str().unwrap_or_default().to_owned();
        Self {
            key: word("key"),
            value: word("value"),
            effect: word("effect"),
            since: word("timeAdded").parse().ok(),
        }
    }

    /// What a cordoned node is marked with.
    pub fn unschedulable() -> Self {
        Self {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
            since: None,
        }
    }

    /// New pods do not come here.
    pub fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }

    /// New pods come here only if no other place is as good.
    pub fn would_rather_not(&self) -> bool {
        self.effect == "PreferNoSchedule"
    }

    /// Pods that are here leave.
    pub fn drives_out(&self) -> bool {
        self.effect == "NoExecute"
    }
}

/// The tolerations of a pod's spec.
pub fn tolerations(spec: &Value) -> &[Value] {
    spec["tolerations"].as_array().map_or(&[], Vec::as_slice)
}

/// The toleration speaks of the taint.
pub fn matches(toleration: &Value, taint: &Taint) -> bool {
    let word = |key: &str| toleration[key].as_str().unwrap_or_default();
    let exists = word("operator") == "Exists";
    let effect = word("effect").is_empty() || word("effect") == taint.effect;
    let key = word("key") == taint.key || (word("key").is_empty() && exists);
    effect && key && (exists || word("value") == taint.value)
}

/// One of the tolerations speaks of the taint.
pub fn tolerated(tolerations: &[Value], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| matches(toleration, taint))
}

/// The pod with a toleration for [`NOT_READY`] and for [`UNREACHABLE`] if it says nothing of them: upstream's admission plugin
/// DefaultTolerationSeconds.
pub fn bear(pod: &mut Object) {
    let spec = pod.get(&["spec"]).unwrap_or(&Value::Null);
    let said = tolerations(spec).to_vec();
    let speaks = |one: &Value, key: &str| {
        let word = |field: &str| one[field].as_str().unwrap_or_default();
        let effect = matches!(word("effect"), "" | "NoExecute");
        effect && (word("key") == key || word("key").is_empty())
    };
    let unsaid = [NOT_READY, UNREACHABLE]
        .into_iter()
        .filter(|key| !said.iter().any(|one| speaks(one, key)));
    let added = unsaid.map(|key| {
        json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": BORNE})
    });
    let all: Vec<Value> = said.iter().cloned().chain(added).collect();
    if all.len() > said.len() {
        pod.set(&["spec", "tolerations"], all.into());
    }
}

/// When a pod leaves a node because of a taint that drives out; `None` if it bears it for good. `since` is when the taint came.
pub fn leaves_at(tolerations: &[Value], taint: &Taint, since: Timestamp) -> Option<Timestamp> {
    let matching = tolerations.iter().filter(|one| matches(one, taint));
    let times: Vec<Option<i64>> = matching
        .map(|one| one["tolerationSeconds"].as_i64())
        .collect();
    let seconds = match times.iter().flatten().min() {
        Some(least) => *least,
        None if !times.is_empty() => return None,
        None if [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()) => BORNE,
        None => 0,
    };
    since
        .checked_add(SignedDuration::from_secs(seconds.max(0)))
        .ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pods_bear_a_lost_node_for_a_while_unless_they_say_otherwise() {
        let born = |said: Value| {
            let pod = json!({"kind": "Pod", "spec": {"tolerations": said}});
            let mut pod = Object::from_value(pod).unwrap();
            bear(&mut pod);
            let all = pod.get(&["spec", "tolerations"]).cloned().unwrap();
            let key = |one: &Value| one["key"].as_str().unwrap_or_default().to_owned();
            all.as_array().unwrap().iter().map(key).collect::<Vec<_>>()
        };
        assert_eq!(born(json!([])), [NOT_READY, UNREACHABLE]);
        let own = json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}]);
        assert_eq!(born(own), [NOT_READY, UNREACHABLE]);
        assert_eq!(born(json!([{"operator": "Exists"}])), [""]);
        let other = json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"}]);
        assert_eq!(born(other), [NOT_READY, NOT_READY, UNREACHABLE]);
        let mut twice = Object::from_value(json!({"kind": "Pod", "spec": {}})).unwrap();
        bear(&mut twice);
        let once = twice.clone();
        bear(&mut twice);
        assert_eq!(twice, once);
    }

    #[test]
    fn pods_leave_when_they_have_borne_it_long_enough() {
        let taint =
            |key: &str| Taint::of(&json!({"key": key, "value": "x", "effect": "NoExecute"}));
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let after = |taint: &Taint, tolerations: Value| {
            let at = leaves_at(tolerations.as_array().unwrap(), taint, since);
            at.map(|at| at.as_second() - since.as_second())
        };
        let (lost, gpu) = (taint(UNREACHABLE), taint("gpu"));
        let bears = |key: &str, seconds: Value| json!([{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
        assert_eq!(after(&lost, json!([])), Some(300));
        assert_eq!(after(&gpu, json!([])), Some(0));
        assert_eq!(after(&lost, bears(UNREACHABLE, json!(7))), Some(7));
        assert_eq!(after(&gpu, bears("gpu", json!(-7))), Some(0));
        assert_eq!(after(&gpu, bears("gpu", Value::Null)), None);
        assert_eq!(after(&lost, json!([{"operator": "Exists"}])), None);
        assert_eq!(after(&lost, bears("gpu", json!(1))), Some(300));
        let mut both = bears("gpu", json!(9)).as_array().unwrap().clone();
        both.push(json!({"key": "gpu", "value": "x", "tolerationSeconds": 4}));
        both.push(json!({"operator": "Exists"}));
        assert_eq!(after(&gpu, both.into()), Some(4), "the shortest counts");
        let other = json!([{"key": UNREACHABLE, "operator": "Exists", "effect": "NoSchedule"}]);
        assert_eq!(after(&lost, other), Some(300));
    }
}
