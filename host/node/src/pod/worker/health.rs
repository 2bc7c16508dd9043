//! How a running container is: asks by probes, and acts on what they say.

use osier_podspec::{self as spec, Kind, Probe, Slot};
use serde_json::Value;

use super::Worker;
use crate::pod::probe::{Check, Listener};
use osier_life::Ended;

impl Worker {
    /// It runs: it is up when its startup probe passes, at once if it has none.
    pub(super) fn probe(&mut self, slot: Slot, life: u32) {
        let sidecar = self.record(slot).is_some_and(|record| record.sidecar);
        if matches!(slot, Slot::Init(_)) && !sidecar {
            return self.set_ready(slot, true);
        }
        let Some(container) = spec::container(&self.pod, slot).cloned() else {
            return;
        };
        match Probe::of(&container, Kind::Startup) {
            Some(probe) => {
                self.set_ready(slot, false);
                self.ask(slot, life, probe);
            }
            None => {
                self.probe_running(slot, life, &container);
                self.up(slot);
            }
        }
    }

    fn probe_running(&mut self, slot: Slot, life: u32, container: &Value) {
        let readiness = Probe::of(container, Kind::Readiness);
        self.set_ready(slot, readiness.is_none());
        for probe in readiness
            .into_iter()
            .chain(Probe::of(container, Kind::Liveness))
        {
            self.ask(slot, life, probe);
        }
    }

    fn ask(&self, slot: Slot, life: u32, probe: Probe) {
        let (Some(alive), Some(doer)) = (self.alive.get(&slot), self.doer(slot)) else {
            return;
        };
        let listener = Listener {
            slot,
            life,
            events: self.sender.clone(),
        };
        let stop = alive.stop.clone();
        self.shared.tasks.spawn("probe", async move {
            tokio::select! {
                () = listener.ask(probe, &doer) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    pub(super) fn probed(&mut self, (slot, life): (Slot, u32), check: Check) {
        if !check.failure.is_empty() {
            let message = format!("{} probe failed: {}", check.kind.word(), check.failure);
            self.shared
                .recorder
                .warning(&self.about(slot), "Unhealthy", message);
        }
        match (check.kind, check.verdict) {
            (Kind::Readiness, Some(ready)) => self.set_ready(slot, ready),
            (Kind::Startup, Some(true)) => {
                let container = spec::container(&self.pod, slot).cloned();
                if let Some(container) = container {
                    self.probe_running(slot, life, &container);
                }
                self.up(slot);
            }
            (Kind::Startup | Kind::Liveness, Some(false)) => {
                self.restart_unhealthy((slot, life), check.kind)
            }
            (Kind::Liveness, Some(true)) | (_, None) => {}
        }
    }

    fn restart_unhealthy(&mut self, (slot, life): (Slot, u32), kind: Kind) {
        let name = self
            .record(slot)
            .map_or_else(String::new, |record| record.name.clone());
        let word = kind.word().to_lowercase();
        let message = format!("Container {name} failed {word} probe, will be restarted");
        self.shared
            .recorder
            .normal(&self.about(slot), "Killing", message);
        let ended = Ended::new(137, "Error", format!("the {word} probe failed"));
        self.end_after_hook((slot, life), ended);
    }
}
