//! The next step of a DaemonSet. Pure: a function of its spec, its revision, the nodes, its pods and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;

use super::pod::node as node_of;
use super::wanted::{Fit, Strategy, Wanted};
use crate::facts;
use crate::history::LABEL;
use crate::ownership::Claim;

/// At most this many pods are created or deleted at a time.
const BURST: usize = 250;
/// A pod that ended is replaced when it is this old: one that a node refuses again and again would be made without pause.
const PAUSE: Duration = Duration::from_secs(5);

/// What to do, and what to report.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The pods that are ours, to be ours, and no longer ours.
    pub(crate) claim: Claim,
    /// The nodes that get a pod.
    pub(crate) create: Vec<String>,
    pub(crate) delete: Vec<Arc<Object>>,
    /// For the status.
    pub(crate) counts: Counts,
    /// When something will be due that no change tells of, if it will.
    pub(crate) look_again: Option<Duration>,
}

/// The numbers of `status`: nodes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) desired: usize,
    pub(crate) current: usize,
    pub(crate) misplaced: usize,
    pub(crate) ready: usize,
    pub(crate) available: usize,
    pub(crate) updated: usize,
}

/// Decides from the nodes, and from the set's pods and those of its namespace that nobody owns; `hash` is what pods of the template
/// of now are labelled with.
pub(crate) fn decide(
    wanted: &Wanted,
    hash: &str,
    (nodes, pods): (&[Arc<Object>], &[Arc<Object>]),
    now: Timestamp,
) -> Plan {
    let claim = wanted.owner.claim(pods);
    let mut by_node: BTreeMap<&str, Vec<&Arc<Object>>> = BTreeMap::new();
    for pod in &claim.mine {
        by_node.entry(node_of(pod)).or_default().push(pod);
    }
    for pods in by_node.values_mut() {
        // The oldest stays where there are several.
        pods.sort_by_key(|pod| (facts::created(pod), pod.name()));
    }
    let mut decision = Decision {
        wanted,
        hash,
        now,
        plan: Plan::default(),
    };
    let empty = Vec::new();
    let places: Vec<(&str, Fit, &Vec<&Arc<Object>>)> = nodes
        .iter()
        .map(|node| {
            let there = by_node.get(node.name()).unwrap_or(&empty);
            (node.name(), wanted.fit(node), there)
        })
        .collect();
    for (_, fit, pods) in &places {
        decision.count(*fit, pods);
    }
    if !wanted.owner.leaving {
        for (name, fit, pods) in &places {
            decision.manage(name, *fit, pods);
        }
        decision.clear(&by_node, nodes);
        if decision.plan.create.is_empty() && decision.plan.delete.is_empty() {
            decision.roll(&places);
        }
    }
    let mut plan = decision.plan;
    plan.create.truncate(BURST);
    plan.delete.truncate(BURST);
    Plan { claim, ..plan }
}

struct Decision<'a> {
    wanted: &'a Wanted,
    hash: &'a str,
    now: Timestamp,
    plan: Plan,
}

impl Decision<'_> {
    fn count(&mut self, fit: Fit, pods: &[&Arc<Object>]) {
        let counts = &mut self.plan.counts;
        let mut active = pods.iter().filter(|pod| facts::is_active(pod));
        let Some(pod) = active.next().or(pods.first()) else {
            counts.desired += usize::from(fit == Fit::Runs);
            return;
        };
        if fit != Fit::Runs {
            counts.misplaced += 1;
            return;
        }
        counts.desired += 1;
        counts.current += 1;
        counts.updated += usize::from(pod.label(LABEL) == Some(self.hash));
        if !is_ready(pod) {
            return;
        }
        counts.ready += 1;
        match facts::becomes_available(self.wanted.min_ready, pod, self.now) {
            None => counts.available += 1,
            Some(left) => self.look_in(left),
        }
    }

    fn look_in(&mut self, left: Duration) {
        let sooner = self.plan.look_again.map_or(left, |before| before.min(left));
        self.plan.look_again = Some(sooner);
    }

    /// One pod where there shall be one, none where there shall be none.
    fn manage(&mut self, name: &str, fit: Fit, pods: &[&Arc<Object>]) {
        let staying = pods.iter().filter(|pod| pod.deletion_timestamp().is_none());
        let (ended, active): (Vec<&&Arc<Object>>, Vec<&&Arc<Object>>) =
            staying.partition(|pod| facts::is_finished(pod));
        let delete = &mut self.plan.delete;
        match fit {
            Fit::Refuses => delete.extend(active.into_iter().map(|pod| Arc::clone(pod))),
            Fit::Runs if pods.is_empty() => self.plan.create.push(name.to_owned()),
            Fit::Runs | Fit::Keeps => {
                delete.extend(active.into_iter().skip(1).map(|pod| Arc::clone(pod)));
            }
        }
        for pod in ended {
            let age = self.now.duration_since(facts::created(pod));
            let age = Duration::try_from(age).unwrap_or_default();
            match PAUSE.checked_sub(age).filter(|left| !left.is_zero()) {
                Some(left) => self.look_in(left),
                None => self.plan.delete.push(Arc::clone(pod)),
            }
        }
    }

    /// Pods that wait for a node which is not there any more; those that run on one are not ours to end.
    fn clear(&mut self, by_node: &BTreeMap<&str, Vec<&Arc<Object>>>, nodes: &[Arc<Object>]) {
        let gone = |name: &str| !nodes.iter().any(|node| node.name() == name);
        let strays = by_node.iter().filter(|(name, _)| gone(name));
        let strays = strays.flat_map(|(_, pods)| pods);
        let strays = strays
            .filter(|pod| facts::node(pod).is_empty() && pod.deletion_timestamp().is_none())
            .map(|pod| Arc::clone(pod));
        self.plan.delete.extend(strays);
    }

    /// Takes away pods of an old template: those that serve nobody, and as many others as may be unavailable.
    fn roll(&mut self, places: &[(&str, Fit, &Vec<&Arc<Object>>)]) {
        let Strategy::Rolling(share) = &self.wanted.strategy else {
            return;
        };
        let most = share.rounded_up(self.plan.counts.desired).max(1);
        let (mut away, mut candidates) = (0, Vec::new());
        for (_, fit, pods) in places {
            let mut active = pods.iter().filter(|pod| facts::is_active(pod));
            let Some(pod) = active.next() else {
                away += usize::from(*fit == Fit::Runs);
                continue;
            };
            let is_old = pod.label(LABEL) != Some(self.hash);
            let waits = facts::becomes_available(self.wanted.min_ready, pod, self.now);
            match is_ready(pod) && waits.is_none() {
                true if is_old => candidates.push(Arc::clone(pod)),
                true => {}
                false => {
                    away += usize::from(*fit == Fit::Runs);
                    if is_old {
                        self.plan.delete.push(Arc::clone(pod));
                    }
                }
            }
        }
        let may_go = most.saturating_sub(away);
        self.plan.delete.extend(candidates.into_iter().take(may_go));
    }
}

/// Is ready and stays.
fn is_ready(pod: &Object) -> bool {
    facts::is_active(pod) && facts::ready_since(pod).is_some()
}
