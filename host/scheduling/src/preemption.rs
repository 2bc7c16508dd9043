//! Whom a pod that fits nowhere may push out: pods of less importance, as few and as unimportant as will do, and if possible none that
//! a budget asks to stay. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;
use osier_api::selector::LabelSelector;

use crate::ask::Ask;
use crate::ledger::{Ledger, refuse};
use crate::neighbours::Neighbours;
use crate::refusal::{Reason, sentence};
use crate::world::Standing;

/// Looking for the best node ends when this many would do.
const ENOUGH: usize = 100;

/// A PodDisruptionBudget.
#[derive(Debug, Clone)]
pub struct Budget {
    namespace: String,
    selector: LabelSelector,
    allowed: i64,
}

/// A pod that is to leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// Why nobody is pushed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Others are leaving for this pod already.
    Waits(String),
    /// It would not help, or is not wanted. In kube-scheduler's words.
    No(String),
}

impl Refused {
    /// In kube-scheduler's words.
    pub fn words(&self) -> &str {
        match self {
            Self::Waits(words) | Self::No(words) => words,
        }
    }
}

/// The pods that would have to leave one node.
struct Victims {
    uids: Vec<Arc<str>>,
    /// How many of them a budget asks to stay.
    violations: usize,
    /// Of the most important one.
    highest: i32,
    /// Of all; each counts, so that fewer are better.
    sum: i64,
    /// When the oldest of the most important ones was created.
    since: i64,
}

impl Budget {
    /// Reads a budget; one without a selector speaks of no pod.
    pub fn of(budget: &Object) -> Option<Self> {
        let selector = budget.get(&["spec", "selector"])?;
        let selector = LabelSelector::from_object(selector).ok()?;
        let allowed = budget.get(&["status", "disruptionsAllowed"]);
        Some(Self {
            namespace: budget.namespace().to_owned(),
            selector,
            allowed: allowed.and_then(serde_json::Value::as_i64).unwrap_or(0),
        })
    }
}

impl Ledger {
    /// Chooses a node for a pod that [`Ledger::choose`] refused, keeps the place for it, and says who is to leave it.
    pub fn preempt(
        &mut self,
        pod: &Object,
        budgets: &[Budget],
    ) -> Result<(String, Vec<Evicted>), Refused> {
        let ask = Ask::of(pod);
        if ask.spec["preemptionPolicy"] == "Never" {
            let words = "not eligible due to preemptionPolicy=Never.";
            return Err(Refused::No(words.to_owned()));
        }
        if self.others_are_leaving(&ask) {
            let words = "not eligible due to a terminating pod on the nominated node.";
            return Err(Refused::Waits(words.to_owned()));
        }
        let candidates = self.candidates(&ask);
        let nodes = self.world.known().count();
        let mut found: Vec<(usize, Victims)> = Vec::new();
        let any = self.world.has_lower(ask.priority);
        for number in candidates.iter().filter(|_| any) {
            if let Some(victims) = self.victims(&ask, *number, budgets) {
                found.push((*number, victims));
            }
            if found.len() >= ENOUGH {
                break;
            }
        }
        let best = found.into_iter().min_by_key(|(number, victims)| {
            let Victims {
                violations,
                highest,
                sum,
                ..
            } = *victims;
            (
                violations,
                highest,
                sum,
                victims.uids.len(),
                Reverse(victims.since),
                *number,
            )
        });
        let Some((number, victims)) = best else {
            return Err(Refused::No(nobody(nodes, candidates.len())));
        };
        let node = self.world.rooms[number].name.clone();
        let evicted = victims.uids.iter().filter_map(|uid| self.evicted(uid));
        let evicted = evicted.collect();
        self.nominate(pod, &node);
        Ok((node, evicted))
    }

    /// The nodes that could be right without some of their pods.
    fn candidates(&mut self, ask: &Ask<'_>) -> Vec<usize> {
        let neighbours = Neighbours::of(ask, &self.world, &mut self.topologies);
        let reserved = self.reserved(ask);
        let known = self.world.known();
        let helps = |(number, room)| {
            let reasons = refuse(
                (ask, self.reach(ask)),
                &neighbours,
                (number, room),
                &reserved,
            )?;
            let mut reasons = reasons.into_iter().flatten();
            reasons.all(Reason::yields_to_preemption).then_some(number)
        };
        known.filter_map(helps).collect()
    }

    /// Pods of less importance leave the node that the pod waits for.
    fn others_are_leaving(&self, ask: &Ask<'_>) -> bool {
        let nomination = self.nominated.get(ask.uid);
        let number = nomination.and_then(|nomination| self.world.number(&nomination.node));
        let room = number.and_then(|number| self.world.rooms.get(number));
        let pods = room.into_iter().flat_map(|room| &room.pods);
        let mut pods = pods.filter_map(|uid| self.world.placed.get(uid));
        pods.any(|pod| {
            let kind = self.world.kinds.get(pod.kind);
            pod.priority < ask.priority && kind.is_some_and(|kind| kind.key.leaving)
        })
    }

    /// Who must leave a node for the pod to fit; `None` if it would not fit even without all that may leave.
    fn victims(&mut self, ask: &Ask<'_>, number: usize, budgets: &[Budget]) -> Option<Victims> {
        let pods = self.world.rooms.get(number)?.pods.iter();
        let with = |uid: &Arc<str>| Some((Arc::clone(uid), self.world.placed.get(uid)?.clone()));
        let mut lower: Vec<(Arc<str>, Standing)> = pods
            .filter_map(with)
            .filter(|(_, pod)| pod.priority < ask.priority)
            .collect();
        if lower.is_empty() {
            return None;
        }
        // The most important, and of these the oldest, is the first to be let stay.
        lower.sort_by_key(|(_, pod)| (Reverse(pod.priority), pod.created));
        let violating = self.violating(&lower, budgets);
        lower.iter().for_each(|(_, pod)| self.world.lift(pod));
        let mut leave = Vec::new();
        let fits = self.admits(ask, number);
        if fits {
            let order = |of: bool| {
                let all = lower.iter().zip(&violating);
                all.filter(move |(_, violating)| **violating == of)
            };
            for ((uid, pod), violating) in order(true).chain(order(false)) {
                self.world.put_back(pod);
                if !self.admits(ask, number) {
                    self.world.lift(pod);
                    leave.push((uid, pod, *violating));
                }
            }
            leave
                .iter()
                .for_each(|(_, pod, _)| self.world.put_back(pod));
        } else {
            lower.iter().for_each(|(_, pod)| self.world.put_back(pod));
        }
        let highest = leave.iter().map(|(_, pod, _)| pod.priority).max()?;
        let oldest = leave.iter().filter(|(_, pod, _)| pod.priority == highest);
        Some(Victims {
            violations: leave.iter().filter(|(_, _, violating)| *violating).count(),
            highest,
            sum: leave
                .iter()
                .map(|(_, pod, _)| i64::from(pod.priority) - i64::from(i32::MIN) + 1)
                .sum(),
            since: oldest.map(|(_, pod, _)| pod.created).min().unwrap_or(0),
            uids: leave.iter().map(|(uid, ..)| Arc::clone(uid)).collect(),
        })
    }

    /// Which of the pods a budget asks to stay, once those before them are gone.
    fn violating(&self, pods: &[(Arc<str>, Standing)], budgets: &[Budget]) -> Vec<bool> {
        let mut left: Vec<i64> = budgets.iter().map(|budget| budget.allowed).collect();
        let violates = |(_, pod): &(Arc<str>, Standing)| {
            let Some(kind) = self.world.kinds.get(pod.kind) else {
                return false;
            };
            let labels = kind.labels();
            let mut violates = false;
            for (budget, left) in budgets.iter().zip(&mut left) {
                if budget.namespace == kind.key.namespace && budget.selector.matches(&labels) {
                    *left -= 1;
                    violates |= *left < 0;
                }
            }
            violates
        };
        pods.iter().map(violates).collect()
    }

    fn admits(&mut self, ask: &Ask<'_>, number: usize) -> bool {
        let neighbours = Neighbours::of(ask, &self.world, &mut self.topologies);
        let reserved = self.reserved(ask);
        let room = self.world.rooms.get(number).filter(|room| room.known);
        room.is_some_and(|room| {
            refuse(
                (ask, self.reach(ask)),
                &neighbours,
                (number, room),
                &reserved,
            )
            .is_none()
        })
    }

    fn evicted(&self, uid: &Arc<str>) -> Option<Evicted> {
        let pod = self.world.placed.get(uid)?;
        let kind = self.world.kinds.get(pod.kind)?;
        Some(Evicted {
            namespace: kind.key.namespace.clone(),
            name: pod.name.to_string(),
            uid: uid.to_string(),
        })
    }
}

/// `0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.`
fn nobody(nodes: usize, tried: usize) -> String {
    let reasons = [
        ("No preemption victims found for incoming pod", tried),
        (
            "Preemption is not helpful for scheduling",
            nodes - tried.min(nodes),
        ),
    ];
    let reasons: BTreeMap<String, usize> = reasons
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(words, count)| (words.to_owned(), count))
        .collect();
    sentence(nodes, &reasons)
}
