//! Probes: asks a container how it is, beside the mesh and not through it, and says so when the answer changes.

use osier_podspec::{Kind, Probe, Slot};

use super::Event;
use super::doing::Doer;
use super::mailbox::Sender;

/// A verdict, or a failure that has no verdict yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) kind: Kind,
    /// The verdict changed to this.
    pub(crate) verdict: Option<bool>,
    /// What the last attempt failed with; empty if it did not.
    pub(crate) failure: String,
}

/// Who wants to know, and about which life of which container.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub(super) slot: Slot,
    pub(super) life: u32,
    pub(super) events: Sender<Event>,
}

impl Listener {
    /// Asks until nobody listens. A startup probe ends with its first verdict.
    pub(super) async fn ask(self, mut probe: Probe, doer: &Doer) {
        tokio::time::sleep(probe.initial_delay).await;
        let mut ticks = tokio::time::interval(probe.period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked = tokio::time::timeout(probe.timeout, doer.perform(&probe.action)).await;
            let late = |_| Err(format!("no answer within {} s", probe.timeout.as_secs()));
            let failure = asked.unwrap_or_else(late).err().unwrap_or_default();
            let verdict = probe.judge.take(failure.is_empty());
            if verdict.is_none() && failure.is_empty() {
                continue;
            }
            let check = Check {
                kind: probe.kind,
                verdict,
                failure,
            };
            if !self.tell(check).await || (probe.kind == Kind::Startup && verdict.is_some()) {
                return;
            }
        }
    }

    async fn tell(&self, check: Check) -> bool {
        let (slot, life) = (self.slot, self.life);
        self.events
            .send(Event::Probed { slot, life, check })
            .await
            .is_ok()
    }
}
