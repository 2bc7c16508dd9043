//! What a pod's neighbours mean for it on each node: required affinity and anti-affinity, theirs and its own, and spreading. Counted
//! once for a decision, then looked up by node. Pure.

use std::sync::Arc;

use crate::ask::Ask;
use crate::kinds::Kind;
use crate::refusal::Reason;
use crate::terms::Spread;
use crate::topology::{Topologies, Topology};
use crate::world::World;

/// Pods by the domain that they are in.
#[derive(Debug)]
pub(crate) struct Counts {
    topology: Arc<Topology>,
    counts: Vec<u32>,
}

/// A constraint on how evenly pods are spread.
#[derive(Debug)]
struct Skew {
    counts: Counts,
    /// A domain with more of them gets no further one.
    most: u32,
}

/// What is asked of the places of a decision.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// Each must be near; by the term's own label.
    attracts: Vec<Counts>,
    /// The pod is the first of those that it wants to be near.
    is_first: bool,
    /// None may be near.
    repels: Vec<Counts>,
    /// Near these are pods that want this one to be far.
    guarded: Vec<Counts>,
    skews: Vec<Skew>,
}

impl Counts {
    pub(crate) fn new(topology: Arc<Topology>) -> Self {
        Self {
            counts: vec![0; topology.count],
            topology,
        }
    }

    /// Adds the pods of a kind where they are.
    fn add(&mut self, kind: &Kind) {
        for (node, count) in &kind.on {
            self.add_at(*node, *count);
        }
    }

    pub(crate) fn add_at(&mut self, node: usize, more: u32) {
        if let Some(domain) = self.topology.domain(node)
            && let Some(count) = self.counts.get_mut(domain)
        {
            *count = count.saturating_add(more);
        }
    }

    /// How many are near the node; `None` if it lacks the label.
    pub(crate) fn near(&self, node: usize) -> Option<u32> {
        let domain = self.topology.domain(node)?;
        self.counts.get(domain).copied()
    }

    /// How many domains there are.
    pub(crate) fn domains(&self) -> usize {
        self.topology.count
    }
}

impl Neighbours {
    pub(crate) fn of(ask: &Ask<'_>, world: &World, topologies: &mut Topologies) -> Self {
        let affinity = &ask.affinity;
        let namespaces = &world.namespaces;
        let mut made = Self::default();
        let mut of = |key: &str| Counts::new(topologies.of(key, &world.rooms));
        // A pod near which this one wants to be is one that all of its terms mean.
        let mut anybody = false;
        made.attracts = affinity.attracts.iter().map(|term| of(&term.key)).collect();
        if let Some((first, others)) = affinity.attracts.split_first() {
            let all = world.kinds.meant(first, namespaces).filter(|kind| {
                let labels = kind.labels();
                let mut others = others.iter();
                others.all(|term| {
                    term.speaks_of(&kind.key.namespace, namespaces) && term.selects(&labels)
                })
            });
            for kind in all {
                anybody |= !kind.on.is_empty();
                made.attracts.iter_mut().for_each(|counts| counts.add(kind));
            }
            let mut terms = affinity.attracts.iter();
            made.is_first = !anybody
                && terms.all(|term| {
                    term.speaks_of(ask.namespace, namespaces) && term.selects(&ask.labels)
                });
        }
        for term in &affinity.repels {
            let mut counts = of(&term.key);
            let kinds = world.kinds.meant(term, namespaces);
            kinds.for_each(|kind| counts.add(kind));
            made.repels.push(counts);
        }
        for kind in world.kinds.guarded() {
            let terms = kind.affinity.repels.iter().filter(|term| {
                term.speaks_of(ask.namespace, namespaces) && term.selects(&ask.labels)
            });
            for term in terms {
                let mut counts = of(&term.key);
                counts.add(kind);
                made.guarded.push(counts);
            }
        }
        made.skews = skews(ask, world, topologies);
        made
    }

    /// Why the neighbours keep the pod from a node.
    pub(crate) fn refuse(&self, node: usize) -> Option<Reason<'static>> {
        for skew in &self.skews {
            match skew.counts.near(node) {
                None => return Some(Reason::SpreadLabel),
                Some(count) if count > skew.most => return Some(Reason::Spread),
                Some(_) => {}
            }
        }
        let attracted = self.attracts.iter().all(|counts| {
            let near = counts.near(node);
            near.is_some_and(|near| near > 0 || self.is_first)
        });
        if !attracted {
            return Some(Reason::Affinity);
        }
        let near = |counts: &Counts| counts.near(node).is_some_and(|near| near > 0);
        if self.repels.iter().any(near) {
            return Some(Reason::AntiAffinity);
        }
        self.guarded.iter().any(near).then_some(Reason::Guarded)
    }
}

/// The required constraints on spreading.
fn skews(ask: &Ask<'_>, world: &World, topologies: &mut Topologies) -> Vec<Skew> {
    let required = ask.spreads.iter().filter(|spread| spread.required);
    let mut made: Vec<(&Spread, Counts)> = required
        .map(|spread| {
            let topology = topologies.of(&spread.key, &world.rooms);
            (spread, Counts::new(topology))
        })
        .collect();
    // A node counts if it has the label of every constraint.
    let keys: Vec<Arc<Topology>> = made
        .iter()
        .map(|(_, counts)| Arc::clone(&counts.topology))
        .collect();
    let labelled = |node: usize| keys.iter().all(|key| key.domain(node).is_some());
    made.iter_mut()
        .map(|(spread, counts)| {
            let there = standing(spread, ask, world);
            let mut seen = vec![false; counts.domains()];
            for (node, room) in world.known().filter(|(node, _)| labelled(*node)) {
                let wrong = spread.honors_affinity && !ask.required.admits(room.site());
                let tainted = spread.honors_taints && room.keeps_away(ask).is_some();
                if wrong || tainted {
                    continue;
                }
                if let Some(domain) = counts.topology.domain(node) {
                    seen[domain] = true;
                }
                counts.add_at(node, there.get(node).copied().unwrap_or(0));
            }
            let counts = std::mem::replace(counts, Counts::new(Arc::default()));
            skew(spread, ask, counts, &seen)
        })
        .collect()
}

fn skew(spread: &Spread, ask: &Ask<'_>, counts: Counts, seen: &[bool]) -> Skew {
    let domains = seen.iter().filter(|seen| **seen).count();
    let few = u32::try_from(domains).is_ok_and(|domains| domains < spread.min_domains);
    let of_seen = counts.counts.iter().zip(seen).filter(|(_, seen)| **seen);
    let least = of_seen.map(|(count, _)| *count).min().unwrap_or(0);
    let least = if few { 0 } else { least };
    let own = u32::from(spread.selects(&ask.labels));
    Skew {
        counts,
        // maxSkew is at least 1.
        most: spread.max_skew.saturating_add(least).saturating_sub(own),
    }
}

/// The pods that a constraint counts, by the number of their node.
pub(crate) fn standing(spread: &Spread, ask: &Ask<'_>, world: &World) -> Vec<u32> {
    let mut there = vec![0_u32; world.rooms.len()];
    let kinds = world.kinds.of_namespace(ask.namespace);
    for kind in kinds.filter(|kind| !kind.key.leaving && spread.selects(&kind.labels())) {
        for (node, count) in &kind.on {
            if let Some(sum) = there.get_mut(*node) {
                *sum = sum.saturating_add(*count);
            }
        }
    }
    there
}
