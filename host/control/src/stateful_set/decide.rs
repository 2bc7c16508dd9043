//! The next step of a StatefulSet. Pure: a function of its spec, its revisions, its pods and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;

use super::wanted::{Strategy, Wanted};
use crate::facts;
use crate::history::LABEL;
use crate::ownership::Claim;

/// At most this many pods are created or deleted at a time.
const BURST: usize = 500;

/// What to do, and what to report.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The pods that are ours, to be ours, and no longer ours.
    pub(crate) claim: Claim,
    pub(crate) create: Vec<New>,
    pub(crate) delete: Vec<Arc<Object>>,
    /// For the status.
    pub(crate) counts: Counts,
    /// Every pod is of the template of now, which becomes the current one.
    pub(crate) complete: bool,
    /// When a ready pod will become available, if one will.
    pub(crate) look_again: Option<Duration>,
}

/// A pod to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct New {
    pub(crate) ordinal: usize,
    /// Of the template of now, not of the one that pods leave.
    pub(crate) updated: bool,
}

/// The numbers of `status`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) replicas: usize,
    pub(crate) ready: usize,
    pub(crate) available: usize,
    pub(crate) current: usize,
    pub(crate) updated: usize,
}

/// Decides from the set's pods and those of its namespace that nobody owns, and from the names of the current and the update
/// revision.
pub(crate) fn decide(
    wanted: &Wanted,
    (current, update): (&str, &str),
    pods: &[Arc<Object>],
    now: Timestamp,
) -> Plan {
    // A pod of another name is not taken up, even if it is selected.
    let candidates = pods
        .iter()
        .filter(|pod| wanted.owner.owns(pod) || wanted.ordinal(pod.name()).is_some());
    let claim = wanted.owner.claim(candidates);
    let mine = claim.mine.iter();
    let places: BTreeMap<usize, Arc<Object>> = mine
        .filter_map(|pod| Some((wanted.ordinal(pod.name())?, Arc::clone(pod))))
        .collect();
    let mut decision = Decision {
        wanted,
        update,
        places: &places,
        now,
        plan: Plan {
            claim,
            ..Plan::default()
        },
    };
    decision.count(current);
    if !wanted.owner.leaving {
        decision.manage();
    }
    decision.plan.create.truncate(BURST);
    decision.plan.delete.truncate(BURST);
    decision.plan
}

struct Decision<'a> {
    wanted: &'a Wanted,
    update: &'a str,
    places: &'a BTreeMap<usize, Arc<Object>>,
    now: Timestamp,
    plan: Plan,
}

impl Decision<'_> {
    fn count(&mut self, current: &str) {
        let counts = &mut self.plan.counts;
        for pod in self.places.values() {
            counts.replicas += 1;
            let leaving = pod.deletion_timestamp().is_some();
            counts.ready += usize::from(is_ready(pod));
            let waits = facts::becomes_available(self.wanted.min_ready, pod, self.now);
            counts.available += usize::from(is_ready(pod) && waits.is_none());
            let of = |revision: &str| usize::from(!leaving && pod.label(LABEL) == Some(revision));
            counts.current += of(current);
            counts.updated += of(self.update);
        }
        let numbers = [counts.replicas, counts.ready, counts.updated];
        let rolls = matches!(self.wanted.strategy, Strategy::Rolling { .. });
        self.plan.complete = rolls && numbers == [self.wanted.replicas; 3];
        let waits = self
            .places
            .values()
            .filter_map(|pod| facts::becomes_available(self.wanted.min_ready, pod, self.now));
        self.plan.look_again = waits.min();
    }

    /// Each part goes on only where the one before it leaves nothing to wait for.
    fn manage(&mut self) {
        if self.fill() && self.condemn() {
            self.update();
        }
    }

    /// Makes the pods that are missing, from the first up. Whether the rest may go on.
    fn fill(&mut self) -> bool {
        let ordinals = self.wanted.start..self.wanted.start.saturating_add(self.wanted.replicas);
        for ordinal in ordinals {
            let fine = match self.places.get(&ordinal) {
                None => {
                    let updated = self.wanted.updates(ordinal);
                    self.plan.create.push(New { ordinal, updated });
                    false
                }
                Some(pod) if pod.deletion_timestamp().is_some() => false,
                Some(pod) if facts::is_finished(pod) => {
                    self.plan.delete.push(Arc::clone(pod));
                    false
                }
                Some(pod) => self.is_healthy(pod),
            };
            if self.wanted.ordered && !fine {
                return false;
            }
        }
        true
    }

    /// Takes away the pods that are too many, from the last down. Whether the rest may go on.
    fn condemn(&mut self) -> bool {
        let first_sick = self.places.values().find(|pod| {
            let leaving = pod.deletion_timestamp().is_some();
            !leaving && !facts::is_finished(pod) && !self.is_healthy(pod)
        });
        let condemned = self.places.iter().rev();
        for (_, pod) in condemned.filter(|(ordinal, _)| !self.wanted.has(**ordinal)) {
            let leaving = pod.deletion_timestamp().is_some();
            let is_first_sick = first_sick.is_some_and(|first| first.uid() == pod.uid());
            // In order, a sick pod is waited for if there is another one below it. One that ended is not sick.
            let sick = !facts::is_finished(pod) && !self.is_healthy(pod);
            let waits = leaving || (sick && !is_first_sick);
            if self.wanted.ordered && waits {
                return false;
            }
            if !leaving {
                self.plan.delete.push(Arc::clone(pod));
            }
            if self.wanted.ordered {
                return false;
            }
        }
        true
    }

    /// Takes away pods of an old template, from the last down, as many at once as may be away.
    fn update(&mut self) {
        let Strategy::Rolling {
            partition,
            unavailable,
        } = self.wanted.strategy
        else {
            return;
        };
        // Who is away for any other reason counts: a new template in the middle of a rollout takes no more than the first.
        let ordinals = self.wanted.start..self.wanted.start.saturating_add(self.wanted.replicas);
        let serves = |ordinal: &usize| {
            let pod = self.places.get(ordinal);
            pod.is_some_and(|pod| self.is_healthy(pod))
        };
        let away = ordinals.clone().filter(|ordinal| !serves(ordinal)).count();
        let (mut budget, mut gone) = (unavailable.saturating_sub(away), Vec::new());
        for ordinal in ordinals.skip(partition).rev() {
            let place = self.places.get(&ordinal);
            let active = place.filter(|pod| facts::is_active(pod));
            let Some(old) = active.filter(|pod| pod.label(LABEL) != Some(self.update)) else {
                continue;
            };
            let costs = usize::from(serves(&ordinal));
            if costs <= budget {
                budget -= costs;
                gone.push(Arc::clone(old));
            }
        }
        self.plan.delete.extend(gone);
    }

    fn is_healthy(&self, pod: &Object) -> bool {
        let waits = facts::becomes_available(self.wanted.min_ready, pod, self.now);
        is_ready(pod) && waits.is_none()
    }
}

/// Runs and is ready, and is not on its way out.
fn is_ready(pod: &Object) -> bool {
    let runs = facts::phase(pod) == "Running" && pod.deletion_timestamp().is_none();
    runs && facts::ready_since(pod).is_some()
}
