//! Which nodes are near each other, by a label: kept for each label that some pod names. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::room::Room;

/// Labels that are kept at once; people use two or three.
const KEPT: usize = 64;

/// The domains of one label: nodes with the same value.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    /// By the number of the node; `None` without the label.
    domains: Vec<Option<usize>>,
    /// How many different values there are.
    pub(crate) count: usize,
}

impl Topology {
    fn of(key: &str, rooms: &[Room]) -> Self {
        let mut numbers = HashMap::<&str, usize>::new();
        let mut domains = Vec::with_capacity(rooms.len());
        for room in rooms {
            let value = room.labels.get(key).filter(|_| room.known);
            domains.push(value.map(|value| {
                let next = numbers.len();
                *numbers.entry(value).or_insert(next)
            }));
        }
        Self {
            domains,
            count: numbers.len(),
        }
    }

    /// The domain of a node.
    pub(crate) fn domain(&self, node: usize) -> Option<usize> {
        self.domains.get(node).copied().flatten()
    }
}

/// Topologies by label.
#[derive(Debug, Default)]
pub(crate) struct Topologies(HashMap<String, Arc<Topology>>);

impl Topologies {
    /// The topology of a label, from the nodes as they were since the last [`Topologies::forget`].
    pub(crate) fn of(&mut self, key: &str, rooms: &[Room]) -> Arc<Topology> {
        if let Some(known) = self.0.get(key) {
            return Arc::clone(known);
        }
        if self.0.len() >= KEPT {
            self.forget();
        }
        let made = Arc::new(Topology::of(key, rooms));
        self.0.insert(key.to_owned(), Arc::clone(&made));
        made
    }

    /// Nodes came, went or changed their labels.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}
