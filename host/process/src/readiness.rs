//! Readiness by dropped guards: the process is ready when every part that asked to be waited for has let go.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// What the process still waits for before it may be called ready.
#[derive(Clone)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeSet<&'static str>>>,
    changed: watch::Sender<()>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            waiting: Arc::default(),
            changed: watch::channel(()).0,
        }
    }
}

impl Readiness {
    /// Nothing to wait for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes readiness wait for `part` until the guard is dropped.
    #[must_use = "readiness waits for this guard to be dropped"]
    pub fn wait_for(&self, part: &'static str) -> Guard {
        self.waiting.lock().insert(part);
        Guard {
            part,
            readiness: self.clone(),
        }
    }

    /// The parts that are not ready yet; empty means ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<&'static str> {
        self.waiting.lock().iter().copied().collect()
    }

    /// Returns when nothing is waited for.
    pub async fn ready(&self) {
        let mut changed = self.changed.subscribe();
        while !self.waiting.lock().is_empty() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Held by a part that is not ready yet.
pub struct Guard {
    part: &'static str,
    readiness: Readiness,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.readiness.waiting.lock().remove(self.part);
        self.readiness.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_the_last_guard_is_dropped() {
        let readiness = Readiness::new();
        let api = readiness.wait_for("api");
        let node = readiness.wait_for("node");
        drop(api);
        assert_eq!(readiness.waiting(), ["node"]);
        drop(node);
        readiness.ready().await;
    }
}
