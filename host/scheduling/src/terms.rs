//! Whom a pod wants to be near, or far from, and how evenly it wants to be spread, as its spec says it. Pure.

use std::collections::{BTreeSet, HashMap};

use osier_api::selector::{LabelSelector, Labels};
use serde_json::{Value, json};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// What a pod's required affinity counts for with pods that come after it, as upstream's `hardPodAffinityWeight`.
const HARD: i64 = 1;

/// Labels of namespaces by name.
pub(crate) type Namespaces = HashMap<String, HashMap<String, String>>;

/// Pods that are meant, and what is near them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Term {
    /// Nodes with the same value of this label are near each other.
    pub(crate) key: String,
    namespaces: BTreeSet<String>,
    /// Pods of namespaces with these labels are meant too.
    namespace_selector: Option<LabelSelector>,
    /// Without one no pod is meant.
    selector: Option<LabelSelector>,
}

/// `affinity.podAffinity` and `affinity.podAntiAffinity`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Affinity {
    /// All must be near.
    pub(crate) attracts: Vec<Term>,
    /// None may be near.
    pub(crate) repels: Vec<Term>,
    /// Nearness that counts for, or against (negative), a node.
    pub(crate) prefers: Vec<(i64, Term)>,
}

/// One of `topologySpreadConstraints`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spread {
    pub(crate) key: String,
    pub(crate) max_skew: u32,
    pub(crate) min_domains: u32,
    /// `DoNotSchedule`, not `ScheduleAnyway`.
    pub(crate) required: bool,
    pub(crate) selector: Option<LabelSelector>,
    /// Only nodes that the pod's node affinity allows count.
    pub(crate) honors_affinity: bool,
    /// Only nodes whose taints the pod tolerates count.
    pub(crate) honors_taints: bool,
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// The selector, with what `matchLabelKeys` and `mismatchLabelKeys` add of the pod's own labels.
fn selector(of: &Value, labels: &Labels<'_>) -> Option<LabelSelector> {
    let mut written = of
        .get("labelSelector")
        .filter(|one| one.is_object())?
        .clone();
    let mut expressions = list(&written, "matchExpressions").to_vec();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys = list(of, field).iter().filter_map(Value::as_str);
        for key in keys {
            if let Some(value) = labels.get(key) {
                expressions.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    written["matchExpressions"] = expressions.into();
    LabelSelector::from_object(&written).ok()
}

impl Term {
    fn of(term: &Value, namespace: &str, labels: &Labels<'_>) -> Self {
        let named = list(term, "namespaces").iter().filter_map(Value::as_str);
        let mut namespaces: BTreeSet<String> = named.map(str::to_owned).collect();
        let written = term.get("namespaceSelector").filter(|one| one.is_object());
        let namespace_selector = written.and_then(|one| LabelSelector::from_object(one).ok());
        if namespaces.is_empty() && written.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        Self {
            key: word(term, "topologyKey"),
            namespaces,
            namespace_selector,
            selector: selector(term, labels),
        }
    }

    /// Pods of the namespace may be meant.
    pub(crate) fn speaks_of(&self, namespace: &str, all: &Namespaces) -> bool {
        let by_labels = |selector: &LabelSelector| {
            let labels = all.get(namespace).into_iter().flatten();
            let labels: Labels<'_> = labels.map(|(key, value)| (&**key, &**value)).collect();
            selector.matches(&labels)
        };
        self.namespaces.contains(namespace)
            || self.namespace_selector.as_ref().is_some_and(by_labels)
    }

    /// Pods with these labels, of a namespace that it speaks of, are meant.
    pub(crate) fn selects(&self, labels: &Labels<'_>) -> bool {
        let selector = self.selector.as_ref();
        selector.is_some_and(|selector| selector.matches(labels))
    }
}

impl Affinity {
    /// Reads what a pod of the namespace with the labels says.
    pub(crate) fn of(spec: &Value, namespace: &str, labels: &Labels<'_>) -> Self {
        let term = |term: &Value| Term::of(term, namespace, labels);
        let (near, far) = (
            &spec["affinity"]["podAffinity"],
            &spec["affinity"]["podAntiAffinity"],
        );
        let mut prefers = Vec::new();
        for (written, sign) in [(near, 1), (far, -1)] {
            prefers.extend(list(written, PREFERRED).iter().map(|one| {
                let weight = one["weight"].as_i64().unwrap_or(0);
                (sign * weight, term(&one["podAffinityTerm"]))
            }));
        }
        Self {
            attracts: list(near, REQUIRED).iter().map(term).collect(),
            repels: list(far, REQUIRED).iter().map(term).collect(),
            prefers,
        }
    }

    /// What pods that come later gain or lose near a pod that says this.
    pub(crate) fn returned(&self) -> impl Iterator<Item = (i64, &Term)> {
        let prefers = self.prefers.iter().map(|(weight, term)| (*weight, term));
        prefers.chain(self.attracts.iter().map(|term| (HARD, term)))
    }
}

impl Spread {
    /// All that a pod with the labels says.
    pub(crate) fn all(spec: &Value, labels: &Labels<'_>) -> Vec<Self> {
        let of = |one: &Value| {
            let number = |field: &str| {
                let number = one[field].as_u64().and_then(|n| u32::try_from(n).ok());
                number.unwrap_or(1).max(1)
            };
            Self {
                key: word(one, "topologyKey"),
                max_skew: number("maxSkew"),
                min_domains: number("minDomains"),
                required: one["whenUnsatisfiable"] != "ScheduleAnyway",
                selector: selector(one, labels),
                honors_affinity: one["nodeAffinityPolicy"] != "Ignore",
                honors_taints: one["nodeTaintsPolicy"] == "Honor",
            }
        };
        list(spec, "topologySpreadConstraints")
            .iter()
            .map(of)
            .collect()
    }

    /// A pod with the labels, of the same namespace, is counted.
    pub(crate) fn selects(&self, labels: &Labels<'_>) -> bool {
        let selector = self.selector.as_ref();
        selector.is_some_and(|selector| selector.matches(labels))
    }
}

/// Somebody holds the pod back (`spec.schedulingGates`).
pub fn is_gated(pod: &osier_api::Object) -> bool {
    let gates = pod.get(&["spec", "schedulingGates"]);
    gates
        .and_then(serde_json::Value::as_array)
        .is_some_and(|gates| !gates.is_empty())
}

/// Where other pods are matters to this one.
pub fn looks_at_neighbours(pod: &osier_api::Object) -> bool {
    let says = |path: &[&str]| pod.get(path).is_some_and(|value| !value.is_null());
    says(&["spec", "affinity", "podAffinity"])
        || says(&["spec", "affinity", "podAntiAffinity"])
        || says(&["spec", "topologySpreadConstraints"])
}
