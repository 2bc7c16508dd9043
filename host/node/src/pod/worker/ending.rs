//! How a pod ends: it leaves the mesh, finishes what it is doing, and is confirmed gone.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::PODS;
use osier_client::DeleteOptions;
use osier_podspec::{self as spec, Slot};
use osier_process::clock;
use tokio::time::Instant;

use super::{Alive, Worker};
use crate::live::Running;
use osier_life::Ended;

/// What a container gets that spent its grace in its hook, as kubelet has it.
const MOMENT: Duration = Duration::from_secs(2);
/// The proxies leave out a pod that is going within this; then it may refuse requests.
const LEAVE: Duration = Duration::from_secs(3);

impl Worker {
    /// Ends the pod in the order in which no request is lost: nobody routes to it, then it drains.
    pub(super) async fn end(&mut self) {
        let forced = self.changes.borrow().is_none();
        let grace = match forced {
            true => Duration::ZERO,
            false => spec::grace(&self.pod),
        };
        let deadline = Instant::now() + grace;
        self.due.clear();
        self.announce();
        let left = || deadline.saturating_duration_since(Instant::now());
        let main: Vec<Slot> = self.of_kind(|slot| matches!(slot, Slot::Main(_)));
        tokio::join!(self.leave(grace), self.pre_stop(&main, grace));
        self.stop(&main, left()).await;
        // Sidecars serve the containers to their end, and those that started earlier the later ones.
        let mut rest = self.of_kind(|_| true);
        rest.sort();
        for slot in rest.into_iter().rev() {
            self.pre_stop(&[slot], left()).await;
            self.stop(&[slot], left()).await;
        }
        if !forced {
            self.confirm().await;
        }
        self.clean().await;
    }

    fn of_kind(&self, kind: impl Fn(&Slot) -> bool) -> Vec<Slot> {
        self.alive.keys().copied().filter(kind).collect()
    }

    /// Nobody routes to the pod any more.
    async fn leave(&self, grace: Duration) {
        if self.serves() {
            let uid = self.pod.uid();
            self.shared.published.without(uid, LEAVE.min(grace)).await;
        }
    }

    fn serves(&self) -> bool {
        self.alive
            .values()
            .any(|alive| matches!(alive.body, Running::Serves(_)))
    }

    fn announce(&self) {
        for slot in self.alive.keys() {
            let name = self.record(*slot).map_or("", |record| record.name.as_str());
            self.shared.recorder.normal(
                &self.about(*slot),
                "Killing",
                format!("Stopping container {name}"),
            );
        }
    }

    /// Serving containers get the grace to finish, and a moment even if a hook has used it up; a command has no signal to obey and is killed.
    async fn stop(&mut self, slots: &[Slot], grace: Duration) {
        let taken = slots
            .iter()
            .filter_map(|slot| Some((*slot, self.alive.remove(slot)?)));
        let alive: Vec<(Slot, Alive)> = taken.collect();
        let hooked = |slot: Slot| {
            let container = spec::container(&self.pod, slot);
            container.is_some_and(|container| spec::hook(container, spec::Hook::PreStop).is_some())
        };
        let stops = alive.iter().map(|(slot, alive)| {
            let grace = if hooked(*slot) {
                grace.max(MOMENT)
            } else {
                grace
            };
            async move { (*slot, alive.stop(grace).await) }
        });
        let ends = futures::future::join_all(stops).await;
        for (slot, ended) in ends {
            self.note_end(slot, ended);
        }
    }

    fn note_end(&mut self, slot: Slot, ended: Ended) {
        let name = self
            .record(slot)
            .map_or_else(String::new, |record| record.name.clone());
        self.shared.meters.remove(self.pod.uid(), &name);
        self.shared.live.remove(self.pod.uid(), &name);
        self.shared.served.remove(self.pod.uid(), &name);
        self.shared.logs.close_container(self.pod.uid(), &name);
        if let Some(record) = self.record_mut(slot) {
            record.end(ended, clock::now());
        }
    }

    /// Writes the last status and removes the pod from the API, until it is done or somebody else did it.
    async fn confirm(&mut self) {
        let status = self.status();
        self.shared.statuses.write_last(&self.pod, status).await;
        let options = DeleteOptions {
            grace: Some(0),
            ..DeleteOptions::exactly(&self.pod)
        };
        let of = (self.pod.namespace().to_owned(), self.pod.name().to_owned());
        let mut failures = 0;
        while self.changes.borrow().is_some() {
            let client = &self.shared.client;
            match client.delete(&PODS, (&of.0, &of.1), &options).await {
                Ok(()) => return,
                Err(error) if error.is_not_found() || error.is_conflict() => return,
                Err(error) => {
                    tracing::debug!(%error, pod = of.1, "the pod's end is not confirmed yet")
                }
            }
            failures += 1;
            tokio::time::sleep(osier_client::RECONNECT.after(failures)).await;
        }
    }

    async fn clean(&self) {
        let uid = self.pod.uid().to_owned();
        self.shared.statuses.forget(&uid);
        self.shared.tokens.forget(&uid);
        self.shared.addresses.lock().release(&uid);
        self.shared.served.leave(&uid);
        let logs = self.shared.logs.clone();
        let volumes = Arc::clone(&self.shared.volumes);
        let removed = self
            .shared
            .tasks
            .spawn_blocking("remove-pod", move || {
                logs.remove_pod(&uid).and(volumes.remove(&uid))
            })
            .await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, pod = self.pod.name(), "the pod's folder could not be removed");
        }
    }

    /// The process stops: commands end now, what serves is drained by the node.
    pub(super) fn kill_commands(&self) {
        for alive in self.alive.values() {
            if let Running::Runs(container) = &alive.body {
                container.kill();
            }
        }
    }

    pub(super) fn stop_probes(&self) {
        for alive in self.alive.values() {
            alive.stop.cancel();
        }
    }
}

impl Alive {
    /// Stops it, and says how it ended.
    async fn stop(&self, grace: Duration) -> Ended {
        self.stop.cancel();
        match &self.body {
            Running::Serves(container) => {
                let started = Instant::now();
                container.stop(grace).await;
                if started.elapsed() <= grace {
                    return Ended::new(0, "Completed", "");
                }
            }
            Running::Runs(container) => container.kill(),
        }
        Ended::new(137, "Error", "")
    }
}
