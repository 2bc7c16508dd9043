//! What every node carries, kept by increments: a decision costs one look at each node, whatever the number of pods. Pure.

use std::collections::{BTreeMap, HashMap};

use osier_api::Object;

use crate::ask::Ask;
use crate::demand::Demand;
use crate::neighbours::Neighbours;
use crate::opinion::{Candidate, Opinions};
use crate::reach::Reach;
use crate::refusal::{Reason, Reasons, Refusal, Tally, one};
use crate::room::Room;
use crate::score;
use crate::topology::Topologies;
use crate::world::{Standing, World, controller};

/// A pod for which others are pushed out of a node: its place is kept from those of less importance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nomination {
    pub(crate) node: String,
    demand: Demand,
    priority: i32,
}

/// Nodes, the pods placed on them, and those that will be.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) world: World,
    pub(crate) topologies: Topologies,
    /// By uid of the pod.
    pub(crate) nominated: HashMap<String, Nomination>,
    /// Where the volumes of pods without a node can be had, by uid of the pod.
    pub(crate) reaches: HashMap<String, Reach>,
    /// The number of the node at which the next look begins.
    next: usize,
}

impl Ledger {
    /// Takes a node's present state; true when pods that did not fit may fit now.
    pub fn set_node(&mut self, node: &Object) -> bool {
        let before = self.world.set(node);
        let now = self.world.number(node.name());
        let now = now.and_then(|number| self.world.rooms.get(number));
        let Some(now) = now else {
            return false;
        };
        if before.known != now.known || before.labels != now.labels {
            self.topologies.forget();
        }
        !before.says_the_same(now)
    }

    /// The node is gone.
    pub fn remove_node(&mut self, name: &str) {
        self.topologies.forget();
        self.world.unset(name);
    }

    /// Takes a namespace's present labels: `namespaceSelector` of pods speaks of them.
    pub fn set_namespace(&mut self, namespace: &Object) {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let labels = namespace.labels().into_iter().map(owned).collect();
        let name = namespace.name().to_owned();
        self.world.namespaces.insert(name, labels);
    }

    /// The namespace is gone.
    pub fn remove_namespace(&mut self, name: &str) {
        self.world.namespaces.remove(name);
    }

    /// From where the volumes of a pod that waits can be had, as of now.
    pub fn reaches(&mut self, pod: &Object, reach: Reach) {
        if reach == Reach::default() {
            self.reaches.remove(pod.uid());
        } else {
            self.reaches.insert(pod.uid().to_owned(), reach);
        }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.world.known().count()
    }

    /// The labels of a node.
    pub fn labels(&self, node: &str) -> Option<&BTreeMap<String, String>> {
        let room = self.world.rooms.get(self.world.number(node)?)?;
        Some(&room.labels)
    }

    /// A pod stands on a node, by our decision or anybody's.
    pub fn place(&mut self, pod: &Object, node: &str) {
        self.nominated.remove(pod.uid());
        self.reaches.remove(pod.uid());
        self.world.place(pod, node);
    }

    /// A pod is gone, finished, or was not bound after all; true if it had a place, or was promised one.
    pub fn remove(&mut self, uid: &str) -> bool {
        let promised = self.nominated.remove(uid).is_some();
        self.reaches.remove(uid);
        self.world.remove(uid) || promised
    }

    /// The pod stands on a node, or was given one that others do not know of yet.
    pub fn holds(&self, uid: &str) -> bool {
        self.world.placed.contains_key(uid)
    }

    /// A pod waits for a place on a node, which others leave for it.
    pub fn nominate(&mut self, pod: &Object, node: &str) {
        let ask = Ask::of(pod);
        let nomination = Nomination {
            node: node.to_owned(),
            demand: ask.demand.clone(),
            priority: ask.priority,
        };
        self.nominated.insert(ask.uid.to_owned(), nomination);
    }

    /// A pod waits for no place in particular any more.
    pub fn denominate(&mut self, uid: &str) {
        self.nominated.remove(uid);
    }

    /// The nodes that a pod fits, for whoever has a say in which it gets; none if it fits nowhere.
    pub fn feasible(&mut self, pod: &Object) -> Vec<Candidate> {
        let ask = Ask::of(pod);
        let neighbours = Neighbours::of(&ask, &self.world, &mut self.topologies);
        let fitting = self.fitting(&ask, &neighbours, (&Opinions::default(), usize::MAX));
        let controller = controller(pod);
        let candidate = |number: usize| {
            let room = self.world.rooms.get(number)?;
            let standing = room
                .pods
                .iter()
                .filter_map(|uid| self.world.placed.get(uid));
            let own = |one: &&Standing| controller.is_some() && one.controller == controller;
            Some(Candidate {
                name: room.name.clone(),
                labels: room.labels.clone(),
                free: room.allocatable.minus(&room.taken),
                pods: room.pods.len(),
                siblings: standing.filter(own).count(),
            })
        };
        let fitting = fitting.unwrap_or_default();
        fitting.into_iter().filter_map(candidate).collect()
    }

    /// The best node for a pod, which is placed there at once. Those who have a say were asked about its candidates.
    pub fn choose(&mut self, pod: &Object, opinions: &Opinions) -> Result<String, Refusal> {
        let ask = Ask::of(pod);
        let neighbours = Neighbours::of(&ask, &self.world, &mut self.topologies);
        let chosen = match self.promised(&ask, &neighbours, opinions) {
            Some(number) => Some(number),
            None => {
                // Who has a say was asked about all.
                let most = match opinions.is_empty() {
                    true => enough(self.world.rooms.len()),
                    false => usize::MAX,
                };
                let fitting = self.fitting(&ask, &neighbours, (opinions, most))?;
                self.next = fitting.last().map_or(0, |last| last + 1);
                let seen = (&self.world, opinions);
                score::best(&ask, &fitting, seen, &mut self.topologies)
            }
        };
        let room = chosen.and_then(|number| self.world.rooms.get(number));
        let name = room.map(|room| room.name.clone()).unwrap_or_default();
        self.place(pod, &name);
        Ok(name)
    }

    /// The node that the pod waits for, when it is free.
    fn promised(
        &self,
        ask: &Ask<'_>,
        neighbours: &Neighbours,
        opinions: &Opinions,
    ) -> Option<usize> {
        let nomination = self.nominated.get(ask.uid)?;
        let number = self.world.number(&nomination.node)?;
        let room = self.world.rooms.get(number).filter(|room| room.known)?;
        let reserved = self.reserved(ask);
        let refused = refuse(
            (ask, self.reach(ask)),
            neighbours,
            (number, room),
            &reserved,
        );
        let free = refused.is_none() && opinions.refuse(&room.name).is_none();
        free.then_some(number)
    }

    /// The nodes that are right for the pod, at most so many; at least one, or why there is none.
    fn fitting(
        &self,
        ask: &Ask<'_>,
        neighbours: &Neighbours,
        (opinions, most): (&Opinions, usize),
    ) -> Result<Vec<usize>, Refusal> {
        let reserved = self.reserved(ask);
        let (mut fitting, mut tally) = (Vec::new(), Tally::default());
        for (number, room) in self.world.known_from(self.next) {
            let own = refuse(
                (ask, self.reach(ask)),
                neighbours,
                (number, room),
                &reserved,
            );
            let others = || {
                opinions
                    .refuse(&room.name)
                    .map(|why| one(Reason::Opinion(why)))
            };
            match own.or_else(others) {
                None => fitting.push(number),
                Some(reasons) => tally.add(reasons),
            }
            if fitting.len() >= most {
                break;
            }
        }
        if fitting.is_empty() {
            return Err(tally.refusal());
        }
        Ok(fitting)
    }

    /// From where the volumes of a pod can be had, if it has any.
    pub(crate) fn reach(&self, ask: &Ask<'_>) -> Option<&Reach> {
        self.reaches.get(ask.uid)
    }

    /// What is kept on nodes for other pods that are as important at least.
    pub(crate) fn reserved(&self, ask: &Ask<'_>) -> HashMap<usize, Demand> {
        let mut reserved = HashMap::<usize, Demand>::new();
        let others = self.nominated.iter().filter(|(uid, nomination)| {
            uid.as_str() != ask.uid && nomination.priority >= ask.priority
        });
        for (_, nomination) in others {
            if let Some(number) = self.world.number(&nomination.node) {
                let sum = reserved.entry(number).or_default();
                *sum = sum.plus(&nomination.demand);
            }
        }
        reserved
    }
}

/// How many fitting nodes are weighed against each other: as upstream, all of a small cluster and fewer the larger it is, down to a
/// twentieth. The next pod's look begins where this one ended, so that all have their turn.
fn enough(nodes: usize) -> usize {
    const ALL: usize = 100;
    let percent = 50_usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(ALL)
}

/// Why a pod cannot run on a node; `None` if it can.
pub(crate) fn refuse<'a>(
    (ask, reach): (&'a Ask<'_>, Option<&Reach>),
    neighbours: &Neighbours,
    (number, room): (usize, &'a Room),
    reserved: &HashMap<usize, Demand>,
) -> Option<Reasons<'a>> {
    let own = room.refuses(ask, reserved.get(&number));
    let volumes = || reach?.refuses(room.site()).map(one);
    let near = || neighbours.refuse(number).map(one);
    own.or_else(volumes).or_else(near)
}
