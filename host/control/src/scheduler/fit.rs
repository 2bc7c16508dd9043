//! Whether a pod fits a node, why not, and how well. Pure.

use std::collections::BTreeMap;
use std::fmt;

use osier_api::{Object, quantity};
use serde_json::Value;

use crate::facts;
use crate::placing::node_affinity::{self, Site};
use crate::placing::taints::{self, Taint};

/// What a pod asks of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Thousandths of a CPU.
    pub(super) cpu: u64,
    /// Bytes.
    pub(super) memory: u64,
    /// Pods: one, or the sum on a node.
    pub(super) pods: u64,
}

/// What the scheduler knows of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) unschedulable: bool,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
    pub(super) allocatable: Demand,
    /// What the pods there have asked for.
    pub(super) taken: Demand,
}

/// Why a pod fits nowhere: reasons with the number of nodes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) nodes: usize,
    pub(super) reasons: BTreeMap<String, usize>,
}

impl fmt::Display for Refusal {
    /// In kube-scheduler's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let mut reasons: Vec<String> = self
            .reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        reasons.sort();
        write!(
            f,
            "0/{} nodes are available: {}.",
            self.nodes,
            reasons.join(", ")
        )
    }
}

impl Demand {
    /// The requests of a pod: its containers together, or its largest init container if that is more.
    pub(super) fn of(pod: &Object) -> Self {
        let sum = containers(pod, "containers").fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu.saturating_add(one.cpu),
            memory: sum.memory.saturating_add(one.memory),
            pods: 0,
        });
        let largest = |sum: Self, one: Self| Self {
            cpu: sum.cpu.max(one.cpu),
            memory: sum.memory.max(one.memory),
            pods: 0,
        };
        let most = containers(pod, "initContainers").fold(sum, largest);
        Self { pods: 1, ..most }
    }

    fn from_quantities(quantities: &Value) -> Self {
        let read = |key: &str, parse: fn(&str) -> Option<u64>| {
            quantities[key].as_str().and_then(parse).unwrap_or(0)
        };
        Self {
            cpu: read("cpu", |text| quantity::millicores(text).ok()),
            memory: read("memory", |text| quantity::bytes(text).ok()),
            pods: read("pods", |text| quantity::bytes(text).ok()),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory = self.memory.saturating_add(other.memory);
        self.pods = self.pods.saturating_add(other.pods);
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.cpu = self.cpu.saturating_sub(other.cpu);
        self.memory = self.memory.saturating_sub(other.memory);
        self.pods = self.pods.saturating_sub(other.pods);
    }
}

fn containers<'a>(pod: &'a Object, field: &'a str) -> impl Iterator<Item = Demand> + 'a {
    let containers = pod.get(&["spec", field]).and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .map(|container| Demand::from_quantities(&container["resources"]["requests"]))
}

impl Room {
    /// Reads a Node; what its pods take is kept by the ledger.
    pub(super) fn of(node: &Object) -> Self {
        let labels = node
            .get(&["metadata", "labels"])
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            name: node.name().to_owned(),
            ready: facts::is_true(node, "Ready"),
            unschedulable: node.get(&["spec", "unschedulable"]) == Some(&Value::Bool(true)),
            labels: labels
                .map(|(key, value)| (key.clone(), word(value)))
                .collect(),
            taints: Taint::all(node),
            allocatable: Demand::from_quantities(
                node.get(&["status", "allocatable"]).unwrap_or(&Value::Null),
            ),
            taken: Demand::default(),
        }
    }

    /// Every reason why the pod cannot run here; none means that it can.
    pub(super) fn refuses(&self, pod: &Object, demand: Demand) -> Vec<String> {
        if !self.ready {
            return vec!["node(s) were not ready".to_owned()];
        }
        let spec = pod.get(&["spec"]).unwrap_or(&Value::Null);
        let tolerates = |taint: &Taint| taints::tolerated(taints::tolerations(spec), taint);
        if self.unschedulable && !tolerates(&Taint::unschedulable()) {
            return vec!["node(s) were unschedulable".to_owned()];
        }
        let mut taints = self.taints.iter();
        if let Some(taint) = taints.find(|taint| taint.keeps_away() && !tolerates(taint)) {
            return vec![format!(
                "node(s) had untolerated taint {{{}: {}}}",
                taint.key, taint.value
            )];
        }
        if !node_affinity::admits(spec, self.site()) {
            return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
        }
        self.lacks(demand)
            .into_iter()
            .map(ToOwned::to_owned)
            .collect()
    }

    fn site(&self) -> Site<'_> {
        Site {
            name: &self.name,
            labels: &self.labels,
        }
    }

    fn lacks(&self, demand: Demand) -> Vec<&'static str> {
        let full = |free: u64, wanted: u64| wanted > 0 && wanted > free;
        let mut lacks = Vec::new();
        if full(
            self.allocatable.pods.saturating_sub(self.taken.pods),
            demand.pods,
        ) {
            lacks.push("Too many pods");
        }
        if full(
            self.allocatable.cpu.saturating_sub(self.taken.cpu),
            demand.cpu,
        ) {
            lacks.push("Insufficient cpu");
        }
        if full(
            self.allocatable.memory.saturating_sub(self.taken.memory),
            demand.memory,
        ) {
            lacks.push("Insufficient memory");
        }
        lacks
    }

    /// 0 to 3000: the mean free share of CPU, memory and pod places with the pod here.
    pub(super) fn score(&self, demand: Demand) -> u64 {
        let free = |all: u64, taken: u64, wanted: u64| {
            let left = u128::from(all.saturating_sub(taken).saturating_sub(wanted));
            u64::try_from(left * 1000 / u128::from(all.max(1))).unwrap_or(0)
        };
        free(self.allocatable.cpu, self.taken.cpu, demand.cpu)
            + free(self.allocatable.memory, self.taken.memory, demand.memory)
            + free(self.allocatable.pods, self.taken.pods, demand.pods)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::from_value(value).unwrap()
    }

    fn node() -> Value {
        json!({"metadata": {"name": "a", "labels": {"disk": "ssd"}},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2"},
                "conditions": [{"type": "Ready", "status": "True"}]}})
    }

    fn pod(spec: &Value) -> Object {
        object(json!({"metadata": {"name": "p"}, "spec": spec}))
    }

    fn refusals(node: Value, spec: &Value) -> Vec<String> {
        let pod = pod(spec);
        Room::of(&object(node)).refuses(&pod, Demand::of(&pod))
    }

    #[test]
    fn requests_add_up_and_init_containers_peak() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}},
                {"resources": {"requests": {"cpu": "0.2"}}}],
            "initContainers": [{"resources": {"requests": {"memory": "3Mi"}}}]});
        let demand = Demand {
            cpu: 300,
            memory: 3 << 20,
            pods: 1,
        };
        assert_eq!(Demand::of(&pod(&spec)), demand);
    }

    #[test]
    fn each_filter_has_its_words() {
        let mut unready = node();
        unready["status"]["conditions"][0]["status"] = "Unknown".into();
        assert_eq!(refusals(unready, &json!({})), ["node(s) were not ready"]);
        let mut cordoned = node();
        cordoned["spec"] = json!({"unschedulable": true});
        assert_eq!(
            refusals(cordoned, &json!({})),
            ["node(s) were unschedulable"]
        );
        let other = json!({"nodeSelector": {"disk": "hdd"}});
        assert_eq!(
            refusals(node(), &other),
            ["node(s) didn't match Pod's node affinity/selector"]
        );
        let large =
            json!({"containers": [{"resources": {"requests": {"cpu": "3", "memory": "2Gi"}}}]});
        assert_eq!(
            refusals(node(), &large),
            ["Insufficient cpu", "Insufficient memory"]
        );
        assert!(refusals(node(), &json!({"nodeSelector": {"disk": "ssd"}})).is_empty());
    }

    #[test]
    fn taints_are_tolerated_by_key_value_and_effect() {
        let mut tainted = node();
        tainted["spec"] =
            json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]});
        assert_eq!(
            refusals(tainted.clone(), &json!({})),
            ["node(s) had untolerated taint {gpu: yes}"]
        );
        for toleration in [
            json!({"key": "gpu", "value": "yes"}),
            json!({"operator": "Exists"}),
        ] {
            assert!(refusals(tainted.clone(), &json!({"tolerations": [toleration]})).is_empty());
        }
        let wrong = json!({"tolerations": [{"key": "gpu", "value": "no"}]});
        assert_eq!(refusals(tainted, &wrong).len(), 1);
    }

    #[test]
    fn the_refusal_reads_as_kube_schedulers() {
        let reasons = [
            ("node(s) were unschedulable".to_owned(), 1),
            ("Insufficient memory".to_owned(), 2),
        ];
        let refusal = Refusal {
            nodes: 3,
            reasons: reasons.into(),
        };
        let words = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.";
        assert_eq!(refusal.to_string(), words);
        assert_eq!(
            Refusal::default().to_string(),
            "no nodes available to schedule pods"
        );
    }
}
