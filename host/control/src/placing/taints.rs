//! Taints keep pods away from a node unless they tolerate them. Pure.

use osier_api::Object;
use serde_json::Value;

/// A mark that keeps pods away unless they tolerate it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taint {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) effect: String,
}

impl Taint {
    /// The taints of a node.
    pub(crate) fn all(node: &Object) -> Vec<Self> {
        let taints = node.get(&["spec", "taints"]).and_then(Value::as_array);
        taints.into_iter().flatten().map(Self::of).collect()
    }

    fn of(taint: &Value) -> Self {
        let word = |key: &str| taint[key].as_str().unwrap_or_default().to_owned();
        Self {
            key: word("key"),
            value: word("value"),
            effect: word("effect"),
        }
    }

    /// What a cordoned node is marked with.
    pub(crate) fn unschedulable() -> Self {
        Self {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
        }
    }

    /// New pods do not come here.
    pub(crate) fn keeps_away(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }

    /// Pods that are here leave.
    pub(crate) fn drives_out(&self) -> bool {
        self.effect == "NoExecute"
    }
}

/// The tolerations of a pod's spec.
pub(crate) fn tolerations(spec: &Value) -> &[Value] {
    spec["tolerations"].as_array().map_or(&[], Vec::as_slice)
}

/// The toleration speaks of the taint.
pub(crate) fn matches(toleration: &Value, taint: &Taint) -> bool {
    let word = |key: &str| toleration[key].as_str().unwrap_or_default();
    let exists = word("operator") == "Exists";
    let effect = word("effect").is_empty() || word("effect") == taint.effect;
    let key = word("key") == taint.key || (word("key").is_empty() && exists);
    effect && key && (exists || word("value") == taint.value)
}

/// One of the tolerations speaks of the taint.
pub(crate) fn tolerated(tolerations: &[Value], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| matches(toleration, taint))
}
