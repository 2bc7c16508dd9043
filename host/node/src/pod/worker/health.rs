//! How a running container is: asks by probes, and acts on what they say.

use serde_json::Value;

use super::Worker;
use crate::life::Ended;
use crate::pod::create::Running;
use crate::pod::probe::{Check, Kind, Listener, Probe};
use crate::pod::{Slot, spec};

impl Worker {
    pub(super) fn probe(&mut self, slot: Slot, life: u32) {
        let Slot::Main(index) = slot else { return };
        let Some(container) = spec::container(&self.pod, slot).cloned() else {
            return;
        };
        let startup = Probe::of(&container, Kind::Startup);
        if let Some(alive) = self.alive.get_mut(&slot) {
            alive.up = startup.is_none();
        }
        match startup {
            Some(probe) => {
                self.set_ready(slot, false);
                self.ask(index, life, probe);
            }
            None => self.probe_running(index, life, &container),
        }
    }

    fn probe_running(&mut self, index: usize, life: u32, container: &Value) {
        let readiness = Probe::of(container, Kind::Readiness);
        self.set_ready(Slot::Main(index), readiness.is_none());
        for probe in readiness
            .into_iter()
            .chain(Probe::of(container, Kind::Liveness))
        {
            self.ask(index, life, probe);
        }
    }

    fn ask(&self, index: usize, life: u32, probe: Probe) {
        let Some(alive) = self.alive.get(&Slot::Main(index)) else {
            return;
        };
        // A command cannot be asked over HTTP: it counts as well while it runs.
        let Running::Serves(container) = &alive.body else {
            return;
        };
        let listener = Listener {
            index,
            life,
            events: self.sender.clone(),
        };
        let (container, stop) = (container.clone(), alive.stop.clone());
        self.shared.tasks.spawn("probe", async move {
            tokio::select! {
                () = probe.run(container, listener) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    pub(super) fn probed(&mut self, index: usize, life: u32, check: Check) {
        let slot = Slot::Main(index);
        if !check.failure.is_empty() {
            let message = format!("{} probe failed: {}", check.kind.word(), check.failure);
            self.shared
                .recorder
                .warning(&self.about(slot), "Unhealthy", message);
        }
        match (check.kind, check.verdict) {
            (Kind::Readiness, Some(ready)) => self.set_ready(slot, ready),
            (Kind::Startup, Some(true)) => {
                if let Some(alive) = self.alive.get_mut(&slot) {
                    alive.up = true;
                }
                let container = spec::container(&self.pod, slot).cloned();
                if let Some(container) = container {
                    self.probe_running(index, life, &container);
                }
            }
            (Kind::Startup | Kind::Liveness, Some(false)) => {
                self.restart_unhealthy(slot, check.kind)
            }
            (Kind::Liveness, Some(true)) | (_, None) => {}
        }
    }

    fn restart_unhealthy(&mut self, slot: Slot, kind: Kind) {
        let name = self
            .record(slot)
            .map_or_else(String::new, |record| record.name.clone());
        let message = format!(
            "Container {name} failed {} probe, will be restarted",
            kind.word().to_lowercase()
        );
        self.shared
            .recorder
            .normal(&self.about(slot), "Killing", message);
        self.ended(
            slot,
            Ended::new(
                137,
                "Error",
                format!("the {} probe failed", kind.word().to_lowercase()),
            ),
        );
    }
}
