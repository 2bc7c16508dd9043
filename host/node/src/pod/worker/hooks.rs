//! What a container declares to be done when it has started, and before it is stopped.

use std::sync::Arc;
use std::time::Duration;

use osier_podspec::{self as spec, Action, Hook, Slot};

use super::Worker;
use crate::pod::Event;
use crate::pod::doing::Doer;
use osier_life::Ended;

impl Worker {
    /// Who does something with a container that runs.
    pub(super) fn doer(&self, slot: Slot) -> Option<Doer> {
        let name = &self.record(slot)?.name;
        Some(Doer {
            live: self.shared.live.find(self.pod.uid(), name)?,
            uid: self.pod.uid().to_owned(),
            shared: Arc::clone(&self.shared),
        })
    }

    fn hook(&self, slot: Slot, hook: Hook) -> Option<(Doer, Action)> {
        let container = spec::container(&self.pod, slot)?;
        Some((self.doer(slot)?, spec::hook(container, hook)?))
    }

    /// What was just started is up when this is done; true when the pod is to end instead. Other containers wait for it, as in Kubernetes.
    pub(super) async fn post_start(&mut self, slot: Slot, life: u32) -> bool {
        if !self.is_life(slot, life) {
            return false;
        }
        if let Some((doer, action)) = self.hook(slot, Hook::PostStart) {
            let doing = doer.perform(&action);
            tokio::pin!(doing);
            let done = loop {
                tokio::select! {
                    done = &mut doing => break done,
                    changed = self.changes.changed() => if changed.is_err() || self.changed() {
                        return true;
                    },
                }
            };
            if let Err(words) = done {
                self.tell_hook(slot, Hook::PostStart, &words);
                let ended = Ended::new(137, "Error", format!("the postStart hook failed: {words}"));
                self.end_after_hook((slot, life), ended);
                return false;
            }
        }
        self.set_ready(slot, true);
        self.probe(slot, life);
        false
    }

    /// A container that has to go is told so first, if it wants to be, for no longer than the pod's grace.
    pub(super) fn end_after_hook(&mut self, (slot, life): (Slot, u32), ended: Ended) {
        let Some((doer, action)) = self.hook(slot, Hook::PreStop) else {
            return self.ended(slot, ended);
        };
        let grace = spec::grace(&self.pod);
        let (events, stop) = (self.sender.clone(), doer.live.stop.clone());
        self.shared.tasks.spawn("pre-stop", async move {
            tokio::select! {
                _told_or_not = tokio::time::timeout(grace, doer.perform(&action)) => {}
                () = stop.cancelled() => return,
            }
            let ended = Box::new(ended);
            // Nobody listens when the pod has ended meanwhile.
            let _told = events.send(Event::Ended { slot, life, ended }).await;
        });
    }

    /// Does what the containers of these slots want to be done before they stop, all at once and for no longer than this.
    pub(super) async fn pre_stop(&self, slots: &[Slot], grace: Duration) {
        let hooks = slots.iter().filter_map(|slot| {
            let (doer, action) = self.hook(*slot, Hook::PreStop)?;
            Some(async move {
                let done = tokio::time::timeout(grace, doer.perform(&action)).await;
                let late = |_| Err("it was not done within the grace period".to_owned());
                if let Err(words) = done.unwrap_or_else(late) {
                    self.tell_hook(*slot, Hook::PreStop, &words);
                }
            })
        });
        futures::future::join_all(hooks).await;
    }

    fn tell_hook(&self, slot: Slot, hook: Hook, words: &str) {
        let reason = match hook {
            Hook::PostStart => "FailedPostStartHook",
            Hook::PreStop => "FailedPreStopHook",
        };
        let message = format!("{}Hook failed: {words}", hook.word());
        self.shared
            .recorder
            .warning(&self.about(slot), reason, message);
    }
}
