//! The next step of a DaemonSet. Pure: a function of its spec, its revision, the nodes, its pods and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_api::typed::IntOrString;

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
            match &wanted.strategy {
                Strategy::OnDelete => {}
                Strategy::Rolling(share) => decision.roll(share, &places),
                Strategy::Surge(share) => decision.surge(share, &places),
            }
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
        let staying = pods
            .iter()
            .copied()
            .filter(|pod| pod.deletion_timestamp().is_none());
        let (ended, active): (Vec<&Arc<Object>>, Vec<&Arc<Object>>) =
            staying.partition(|pod| facts::is_finished(pod));
        let beyond: Vec<&Arc<Object>> = match fit {
            Fit::Refuses => active,
            Fit::Runs if pods.is_empty() => {
                self.plan.create.push(name.to_owned());
                Vec::new()
            }
            Fit::Runs | Fit::Keeps if matches!(self.wanted.strategy, Strategy::Surge(_)) => {
                self.beyond_two(active)
            }
            Fit::Runs | Fit::Keeps => active.into_iter().skip(1).collect(),
        };
        self.plan.delete.extend(beyond.into_iter().cloned());
        for pod in ended {
            let age = self.now.duration_since(facts::created(pod));
            let age = Duration::try_from(age).unwrap_or_default();
            match PAUSE.checked_sub(age).filter(|left| !left.is_zero()) {
                Some(left) => self.look_in(left),
                None => self.plan.delete.push(Arc::clone(pod)),
            }
        }
    }

    /// Of the pods of a node those that are too many where an old one stays until a new one is available.
    fn beyond_two<'b>(&self, active: Vec<&'b Arc<Object>>) -> Vec<&'b Arc<Object>> {
        let (new, old): (Vec<&Arc<Object>>, Vec<&Arc<Object>>) =
            active.into_iter().partition(|pod| self.is_new(pod));
        // One that serves stays rather than one that does not.
        let serving = |pods: &[&Arc<Object>]| pods.iter().position(|pod| self.serves(pod));
        let replaced = serving(&new).is_some();
        let (of_new, of_old) = (serving(&new).unwrap_or(0), serving(&old).unwrap_or(0));
        let new = new.into_iter().enumerate().filter(|(at, _)| *at != of_new);
        let old = old.into_iter().enumerate();
        let old = old.filter(|(at, _)| replaced || *at != of_old);
        new.chain(old).map(|(_, pod)| pod).collect()
    }

    fn is_new(&self, pod: &Object) -> bool {
        pod.label(LABEL) == Some(self.hash)
    }

    fn serves(&self, pod: &Object) -> bool {
        let waits = facts::becomes_available(self.wanted.min_ready, pod, self.now);
        is_ready(pod) && waits.is_none()
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
    fn roll(&mut self, share: &IntOrString, places: &[(&str, Fit, &Vec<&Arc<Object>>)]) {
        let most = share.rounded_up(self.plan.counts.desired).max(1);
        let (mut away, mut candidates) = (0, Vec::new());
        for (_, fit, pods) in places {
            let mut active = pods.iter().filter(|pod| facts::is_active(pod));
            let Some(pod) = active.next() else {
                away += usize::from(*fit == Fit::Runs);
                continue;
            };
            match self.serves(pod) {
                true if !self.is_new(pod) => candidates.push(Arc::clone(pod)),
                true => {}
                false => {
                    away += usize::from(*fit == Fit::Runs);
                    if !self.is_new(pod) {
                        self.plan.delete.push(Arc::clone(pod));
                    }
                }
            }
        }
        let may_go = most.saturating_sub(away);
        self.plan.delete.extend(candidates.into_iter().take(may_go));
    }

    /// Makes new pods beside old ones, on as many nodes as may have two at once; beside one that serves nobody at any rate.
    fn surge(&mut self, share: &IntOrString, places: &[(&str, Fit, &Vec<&Arc<Object>>)]) {
        let most = share.rounded_up(self.plan.counts.desired).max(1);
        let (mut doubled, mut candidates) = (0, Vec::new());
        for (name, fit, pods) in places {
            let active = pods.iter().filter(|pod| facts::is_active(pod));
            let (new, old): (Vec<&&Arc<Object>>, Vec<_>) = active.partition(|pod| self.is_new(pod));
            match (old.first(), new.is_empty()) {
                (Some(old), true) if *fit == Fit::Runs => match self.serves(old) {
                    true => candidates.push((*name).to_owned()),
                    false => self.plan.create.push((*name).to_owned()),
                },
                (Some(_), false) => doubled += 1,
                _ => {}
            }
        }
        let may_come = most.saturating_sub(doubled);
        self.plan
            .create
            .extend(candidates.into_iter().take(may_come));
    }
}

/// Is ready and stays.
fn is_ready(pod: &Object) -> bool {
    facts::is_active(pod) && facts::ready_since(pod).is_some()
}
