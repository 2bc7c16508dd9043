//! What every node carries, kept by increments: a decision costs one look at each node, whatever
//! the number of pods. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use osier_api::Object;

use super::fit::{Demand, Refusal, Room};

/// Nodes and the pods placed on them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    nodes: BTreeMap<String, Room>,
    /// By pod uid. A pod may stand on a node that is not known (yet).
    placed: HashMap<String, (String, Demand)>,
}

impl Ledger {
    /// Takes a node's present state; true when pods that did not fit may fit now.
    pub(super) fn set_node(&mut self, node: &Object) -> bool {
        let mut room = Room::of(node);
        let before = self.nodes.get(node.name());
        room.taken = before.map_or_else(|| self.carried(node.name()), |before| before.taken);
        let same = before.is_some_and(|before| {
            before.ready == room.ready
                && before.unschedulable == room.unschedulable
                && before.labels == room.labels
                && before.taints == room.taints
                && before.allocatable == room.allocatable
        });
        self.nodes.insert(node.name().to_owned(), room);
        !same
    }

    /// The node is gone.
    pub(super) fn remove_node(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// A pod stands on a node, by our decision or anybody's.
    pub(super) fn place(&mut self, uid: &str, node: &str, demand: Demand) {
        self.remove(uid);
        if let Some(room) = self.nodes.get_mut(node) {
            room.taken.add(demand);
        }
        self.placed
            .insert(uid.to_owned(), (node.to_owned(), demand));
    }

    /// A pod is gone, finished, or was not bound after all.
    pub(super) fn remove(&mut self, uid: &str) {
        if let Some((node, demand)) = self.placed.remove(uid)
            && let Some(room) = self.nodes.get_mut(&node)
        {
            room.taken.subtract(demand);
        }
    }

    /// The best node for a pod, which is placed there at once.
    pub(super) fn choose(&mut self, pod: &Object) -> Result<String, Refusal> {
        let demand = Demand::of(pod);
        let mut refusal = Refusal {
            nodes: self.nodes.len(),
            ..Refusal::default()
        };
        let mut best: Option<(u64, Reverse<&String>)> = None;
        for (name, room) in &self.nodes {
            let reasons = room.refuses(pod, demand);
            if reasons.is_empty() {
                best = best.max(Some((room.score(demand), Reverse(name))));
            }
            for reason in reasons {
                *refusal.reasons.entry(reason).or_default() += 1;
            }
        }
        let Some((_, Reverse(name))) = best else {
            return Err(refusal);
        };
        let name = name.clone();
        self.place(pod.uid(), &name, demand);
        Ok(name)
    }

    fn carried(&self, node: &str) -> Demand {
        let mut sum = Demand::default();
        for (_, demand) in self.placed.values().filter(|(name, _)| name == node) {
            sum.add(*demand);
        }
        sum
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn node(name: &str, cpu: &str) -> Object {
        Object::from_value(json!({"metadata": {"name": name},
            "status": {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "10"},
                "conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap()
    }

    fn pod(uid: &str, cpu: &str) -> Object {
        Object::from_value(json!({"metadata": {"name": uid, "uid": uid},
            "spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}}))
        .unwrap()
    }

    #[test]
    fn pods_spread_over_the_least_allocated() {
        let mut ledger = Ledger::default();
        ledger.set_node(&node("a", "2"));
        ledger.set_node(&node("b", "2"));
        let chosen: Vec<String> = (0..4)
            .map(|n| ledger.choose(&pod(&n.to_string(), "500m")).unwrap())
            .collect();
        assert_eq!(chosen, ["a", "b", "a", "b"]);
    }

    #[test]
    fn a_node_that_comes_back_carries_its_pods() {
        let mut ledger = Ledger::default();
        ledger.place(
            "1",
            "a",
            Demand {
                cpu: 1500,
                memory: 0,
                pods: 1,
            },
        );
        assert!(ledger.set_node(&node("a", "2")));
        assert!(!ledger.set_node(&node("a", "2")), "nothing changed");
        let refusal = ledger.choose(&pod("2", "1")).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "0/1 nodes are available: 1 Insufficient cpu."
        );
        ledger.remove("1");
        assert_eq!(ledger.choose(&pod("2", "1")).unwrap(), "a");
    }

    proptest! {
        /// Whatever comes and goes, no node is ever given more than it has.
        #[test]
        fn nodes_are_never_overcommitted(steps in prop::collection::vec((any::<bool>(), 0_u32..40, 1_u64..900), 1..120)) {
            let mut ledger = Ledger::default();
            for name in ["a", "b", "c"] { ledger.set_node(&node(name, "2")); }
            for (come, id, cpu) in steps {
                let uid = id.to_string();
                if come && !ledger.placed.contains_key(&uid) {
                    let _fits = ledger.choose(&pod(&uid, &format!("{cpu}m")));
                } else {
                    ledger.remove(&uid);
                }
                for (name, room) in &ledger.nodes {
                    prop_assert!(room.taken.cpu <= room.allocatable.cpu && room.taken.pods <= room.allocatable.pods);
                    prop_assert_eq!(room.taken, ledger.carried(name));
                }
            }
        }
    }
}
