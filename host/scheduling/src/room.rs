//! What is known of a node, whether it is right for a pod, and how well. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::ask::Ask;
use crate::demand::Demand;
use crate::node_affinity::Site;
use crate::refusal::{Reason, Reasons, one};
use crate::taints::Taint;

/// A node with its pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    pub(crate) name: String,
    /// The Node is there; pods may stand on one that is not (yet).
    pub(crate) known: bool,
    pub(crate) ready: bool,
    pub(crate) unschedulable: bool,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) allocatable: Demand,
    /// What the pods there have asked for.
    pub(crate) taken: Demand,
    /// The pods there, by uid.
    pub(crate) pods: BTreeSet<Arc<str>>,
}

impl Room {
    /// Reads a Node; what its pods take is kept by the world.
    pub(crate) fn of(node: &Object) -> Self {
        let labels = node.get(&["metadata", "labels"]).and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let allocatable = node.get(&["status", "allocatable"]);
        let conditions = node.get(&["status", "conditions"]);
        let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
        Self {
            name: node.name().to_owned(),
            known: true,
            ready: conditions.any(|one| one["type"] == "Ready" && one["status"] == "True"),
            unschedulable: node.get(&["spec", "unschedulable"]) == Some(&Value::Bool(true)),
            labels: labels
                .map(|(key, value)| (key.clone(), word(value)))
                .collect(),
            taints: Taint::all(node),
            allocatable: Demand::from_quantities(allocatable.unwrap_or(&Value::Null)),
            taken: Demand::default(),
            pods: BTreeSet::new(),
        }
    }

    /// The same but for what it carries.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let said = |room: &Self| (room.known, room.ready, room.unschedulable);
        let same = said(self) == said(other) && self.allocatable == other.allocatable;
        same && self.labels == other.labels && self.taints == other.taints
    }

    /// Why the pod cannot run here whatever its neighbours are; `reserved` is promised to other pods.
    pub(crate) fn refuses<'a>(
        &'a self,
        ask: &'a Ask<'_>,
        reserved: Option<&Demand>,
    ) -> Option<Reasons<'a>> {
        if let Some(why) = self.keeps_away(ask) {
            return Some(one(why));
        }
        if !self.ready {
            return Some(one(Reason::NotReady));
        }
        if !ask.required.admits(self.site()) {
            return Some(one(Reason::NodeAffinity));
        }
        self.lacks(&ask.demand, reserved)
    }

    /// It is cordoned, which is a taint like others, or has a taint that the pod does not tolerate.
    pub(crate) fn keeps_away(&self, ask: &Ask<'_>) -> Option<Reason<'_>> {
        if self.unschedulable && !ask.tolerates(&Taint::unschedulable()) {
            return Some(Reason::Unschedulable);
        }
        let mut taints = self.taints.iter();
        let taint = taints.find(|taint| taint.keeps_away() && !ask.tolerates(taint));
        taint.map(Reason::Taint)
    }

    pub(crate) fn site(&self) -> Site<'_> {
        Site {
            name: &self.name,
            labels: &self.labels,
        }
    }

    fn lacks<'a>(&'a self, wanted: &'a Demand, reserved: Option<&Demand>) -> Option<Reasons<'a>> {
        let mut free = self.allocatable.minus(&self.taken);
        if let Some(reserved) = reserved {
            free = free.minus(reserved);
        }
        let full = |free: u64, wanted: u64, why| (wanted > 0 && wanted > free).then_some(why);
        let lacks = [
            full(free.pods, wanted.pods, Reason::Pods),
            full(free.cpu, wanted.cpu, Reason::Cpu),
            full(free.memory, wanted.memory, Reason::Memory),
            full(free.storage, wanted.storage, Reason::Storage),
            free.extra.lacks(&wanted.extra).map(Reason::Extended),
        ];
        lacks.iter().any(Option::is_some).then_some(lacks)
    }

    /// 0 to 1000: the mean free share of CPU, memory and pod places with the pod here.
    pub(crate) fn free_share(&self, wanted: &Demand) -> u64 {
        let left = self.allocatable.minus(&self.taken).minus(wanted);
        let share = |left: u64, all: u64| {
            let share = u128::from(left) * 1000 / u128::from(all.max(1));
            u64::try_from(share).unwrap_or(0)
        };
        let sum = share(left.cpu, self.allocatable.cpu)
            + share(left.memory, self.allocatable.memory)
            + share(left.pods, self.allocatable.pods);
        sum / 3
    }
}
