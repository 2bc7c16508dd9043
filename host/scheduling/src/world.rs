//! Nodes with the pods on them, kept by increments. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use osier_api::Object;

use crate::ask;
use crate::demand::Demand;
use crate::kinds::{Key, Kinds};
use crate::room::Room;
use crate::terms::Namespaces;

/// A pod on a node.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) name: Box<str>,
    /// The number of the node.
    pub(crate) node: usize,
    /// The number of its kind.
    pub(crate) kind: usize,
    pub(crate) demand: Demand,
    pub(crate) priority: i32,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Uid of its controller.
    pub(crate) controller: Option<Box<str>>,
}

/// The uid of a pod's controller.
pub(crate) fn controller(pod: &Object) -> Option<Box<str>> {
    let mut owners = pod.owner_references().into_iter();
    let owner = owners.find(|owner| owner.controller)?;
    Some(owner.uid.into())
}

/// Nodes and the pods that stand on them.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// By number. A node keeps its number as long as it is known or has pods.
    pub(crate) rooms: Vec<Room>,
    free: Vec<usize>,
    numbers: HashMap<String, usize>,
    pub(crate) placed: HashMap<Arc<str>, Standing>,
    /// How many of them have each priority.
    priorities: BTreeMap<i32, usize>,
    pub(crate) kinds: Kinds,
    pub(crate) namespaces: Namespaces,
}

impl World {
    pub(crate) fn number(&self, node: &str) -> Option<usize> {
        self.numbers.get(node).copied()
    }

    /// The nodes that are there, with their numbers.
    pub(crate) fn known(&self) -> impl Iterator<Item = (usize, &Room)> {
        let all = self.rooms.iter().enumerate();
        all.filter(|(_, room)| room.known)
    }

    /// The same, beginning with a number and going round.
    pub(crate) fn known_from(&self, first: usize) -> impl Iterator<Item = (usize, &Room)> {
        let first = first.min(self.rooms.len());
        let all = self.rooms.iter().enumerate();
        let (before, after) = (all.clone().take(first), all.skip(first));
        after.chain(before).filter(|(_, room)| room.known)
    }

    /// The room of a node, which may be one that nothing is known of.
    fn room(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let unknown = Room {
            name: name.to_owned(),
            ..Room::default()
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.rooms[number] = unknown;
                number
            }
            None => {
                self.rooms.push(unknown);
                self.rooms.len() - 1
            }
        };
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Takes a node's present state and returns what was known before.
    pub(crate) fn set(&mut self, node: &Object) -> Room {
        let number = self.room(node.name());
        let mut now = Room::of(node);
        let room = &mut self.rooms[number];
        now.taken = std::mem::take(&mut room.taken);
        now.pods = std::mem::take(&mut room.pods);
        std::mem::replace(room, now)
    }

    /// Nothing is known of the node any more.
    pub(crate) fn unset(&mut self, name: &str) {
        let Some(number) = self.number(name) else {
            return;
        };
        let room = &mut self.rooms[number];
        let (pods, taken) = (
            std::mem::take(&mut room.pods),
            std::mem::take(&mut room.taken),
        );
        *room = Room {
            name: name.to_owned(),
            taken,
            pods,
            ..Room::default()
        };
        self.tidy(number);
    }

    /// A node that is neither known nor has pods gives its number back.
    fn tidy(&mut self, number: usize) {
        let room = &mut self.rooms[number];
        if !room.known && room.pods.is_empty() {
            self.numbers.remove(&std::mem::take(&mut room.name));
            self.free.push(number);
        }
    }

    pub(crate) fn place(&mut self, pod: &Object, node: &str) {
        self.remove(pod.uid());
        let number = self.room(node);
        let created = pod.creation_timestamp().unwrap_or_default();
        let standing = Standing {
            name: pod.name().into(),
            node: number,
            kind: self.kinds.join(Key::of(pod), number),
            demand: Demand::of(pod),
            priority: ask::priority(pod),
            created: created.parse().map_or(0, Timestamp::as_second),
            controller: controller(pod),
        };
        let uid: Arc<str> = pod.uid().into();
        let room = &mut self.rooms[number];
        room.taken = room.taken.plus(&standing.demand);
        room.pods.insert(Arc::clone(&uid));
        *self.priorities.entry(standing.priority).or_default() += 1;
        self.placed.insert(uid, standing);
    }

    /// True if the pod stood somewhere.
    pub(crate) fn remove(&mut self, uid: &str) -> bool {
        let Some(standing) = self.placed.remove(uid) else {
            return false;
        };
        if let Some(count) = self.priorities.get_mut(&standing.priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&standing.priority);
            }
        }
        self.kinds.leave(standing.kind, standing.node);
        let room = &mut self.rooms[standing.node];
        room.taken = room.taken.minus(&standing.demand);
        room.pods.remove(uid);
        self.tidy(standing.node);
        true
    }

    /// Some pod on some node is less important.
    pub(crate) fn has_lower(&self, priority: i32) -> bool {
        let lowest = self.priorities.first_key_value();
        lowest.is_some_and(|(lowest, _)| *lowest < priority)
    }

    /// As if the pod were not there, until it is put back.
    pub(crate) fn lift(&mut self, pod: &Standing) {
        self.kinds.discount(pod.kind, pod.node);
        let room = &mut self.rooms[pod.node];
        room.taken = room.taken.minus(&pod.demand);
    }

    /// The pod is there again.
    pub(crate) fn put_back(&mut self, pod: &Standing) {
        self.kinds.count(pod.kind, pod.node);
        let room = &mut self.rooms[pod.node];
        room.taken = room.taken.plus(&pod.demand);
    }
}
