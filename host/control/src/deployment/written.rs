//! The replica sets that were written and whose new state the mirror does not show yet. No decision
//! is made before it does: an old size counted as the size of now would break the bounds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use osier_api::Object;
use osier_client::Informer;
use parking_lot::Mutex;

use crate::reconcile::Key;

/// A write that was not seen after this long is forgotten: the replica set may be gone.
const PATIENCE: Duration = Duration::from_secs(10);

struct Unseen {
    set: Key,
    revision: u64,
    at: Instant,
}

/// Unseen writes by the uid of the Deployment. Bounded by the replica sets of a Deployment: a write
/// takes the place of the one before.
#[derive(Default)]
pub(super) struct Written(Mutex<HashMap<String, Vec<Unseen>>>);

impl Written {
    /// The state of a replica set that was written for the Deployment.
    pub(super) fn note(&self, deployment: &str, set: &Object) {
        let unseen = Unseen {
            set: Key::of(set),
            revision: set.resource_version(),
            at: Instant::now(),
        };
        let mut all = self.0.lock();
        let writes = all.entry(deployment.to_owned()).or_default();
        writes.retain(|write| write.set != unseen.set);
        writes.push(unseen);
    }

    /// Everything written for the Deployment is visible in the mirror, or overdue.
    pub(super) fn seen(&self, deployment: &str, sets: &Informer) -> bool {
        let mut all = self.0.lock();
        let Some(writes) = all.get_mut(deployment) else {
            return true;
        };
        writes.retain(|write| {
            let shown = sets.get(&write.set.namespace, &write.set.name);
            let is_shown = shown.is_some_and(|set| set.resource_version() >= write.revision);
            !is_shown && write.at.elapsed() < PATIENCE
        });
        writes.is_empty()
    }

    /// The Deployment is gone.
    pub(super) fn forget(&self, deployment: &str) {
        self.0.lock().remove(deployment);
    }
}
