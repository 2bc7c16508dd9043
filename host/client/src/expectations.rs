//! What a controller has ordered and not yet seen come true. Until then its view of the world is
//! old and it must not order again: this is why it never overshoots. Pure: time is passed in.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::informer::Change;

/// An order that was not seen to come true after this long is forgotten: a watch event may have
/// been lost with its server, and the controller must go on.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Ordered {
    creations: usize,
    deletions: HashSet<String>,
    at: Timestamp,
}

/// Open orders by the uid of the controller object.
#[derive(Debug, Default)]
pub struct Expectations(HashMap<String, Ordered>);

impl Expectations {
    /// Everything ordered for `controller` has been seen, or is overdue.
    pub fn fulfilled(&self, controller: &str, now: Timestamp) -> bool {
        self.0.get(controller).is_none_or(|ordered| {
            let done = ordered.creations == 0 && ordered.deletions.is_empty();
            done || Duration::try_from(now.duration_since(ordered.at)).unwrap_or_default()
                > PATIENCE
        })
    }

    /// Orders `creations` and the deletion of `deletions`, in place of earlier orders.
    pub fn order(
        &mut self,
        controller: &str,
        creations: usize,
        deletions: HashSet<String>,
        now: Timestamp,
    ) {
        let ordered = Ordered {
            creations,
            deletions,
            at: now,
        };
        self.0.insert(controller.to_owned(), ordered);
    }

    /// `count` creations were seen, or failed and will not come.
    pub fn created(&mut self, controller: &str, count: usize) {
        if let Some(ordered) = self.0.get_mut(controller) {
            ordered.creations = ordered.creations.saturating_sub(count);
        }
    }

    /// A pod is going or gone, or its deletion failed.
    pub fn deleted(&mut self, controller: &str, pod: &str) {
        if let Some(ordered) = self.0.get_mut(controller) {
            ordered.deletions.remove(pod);
        }
    }

    /// Takes note of what a change of a pod fulfils.
    pub fn note(&mut self, change: &Change) {
        let pod = change.object();
        let Some(owner) = pod.controller_of() else {
            return;
        };
        if change.is_deleted() || pod.deletion_timestamp().is_some() {
            self.deleted(&owner.uid, pod.uid());
        }
        if matches!(change, Change::Added(_)) {
            self.created(&owner.uid, 1);
        }
    }

    /// The controller object is gone.
    pub fn forget(&mut self, controller: &str) {
        self.0.remove(controller);
    }
}
