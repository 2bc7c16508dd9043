//! In which order the containers of a pod start, and what follows from the end of one.

use std::time::Duration;

use osier_client::Reference;
use osier_podspec::{self as spec, Slot};
use osier_process::clock;
use tokio::time::Instant;

use super::Worker;
use osier_life::{After, Ended, Life, Phase, Record, after_end};

impl Worker {
    /// Decides what is to be started first.
    pub(super) fn begin(&mut self) {
        if self.failure.is_some() || matches!(self.phase(), Phase::Succeeded | Phase::Failed) {
            return;
        }
        // What ran before does not run in this process: its init containers run again.
        for record in self.init.iter_mut().filter(|record| !record.sidecar) {
            if record.ended().is_some_and(|ended| ended.exit_code == 0) {
                record.restarts = 0;
            }
        }
        match self.init.is_empty() {
            true => self.begin_containers(),
            false => drop(self.due.insert(Slot::Init(0), Instant::now())),
        }
    }

    fn begin_containers(&mut self) {
        let policy = spec::restart_policy(&self.pod);
        for (index, record) in self.containers.iter_mut().enumerate() {
            let waits = match &record.life {
                Life::Waiting { .. } => true,
                Life::Running { .. } => false,
                Life::Terminated(_) => after_end(policy, false, record) != After::Stay,
            };
            if waits {
                if record.last.is_none() && record.ended().is_none() {
                    record.wait("ContainerCreating", "");
                }
                self.due.insert(Slot::Main(index), Instant::now());
            }
        }
    }

    /// A container ended: what serves no more is taken away, and the policy says what follows.
    pub(super) fn ended(&mut self, slot: Slot, ended: Ended) {
        self.take_down(slot);
        self.tell_end(slot, &ended);
        let now = clock::now();
        let Some(record) = self.record_mut(slot) else {
            return;
        };
        record.end(ended, now);
        let policy = spec::restart_policy(&self.pod);
        let after = self.record(slot).map_or(After::Stay, |record| {
            after_end(policy, matches!(slot, Slot::Init(_)), record)
        });
        match after {
            After::Restart(delay) => self.back_off(slot, delay),
            After::Stay => match slot {
                Slot::Init(_) => self.advance(slot),
                Slot::Main(_) => self.end_sidecars(),
            },
        }
    }

    fn back_off(&mut self, slot: Slot, delay: Duration) {
        self.due.insert(slot, Instant::now() + delay);
        if delay.is_zero() {
            return;
        }
        let about = self.about(slot);
        let pod = format!(
            "{}_{}({})",
            self.pod.name(),
            self.pod.namespace(),
            self.pod.uid()
        );
        let Some(record) = self.record_mut(slot) else {
            return;
        };
        let name = record.name.clone();
        let message = format!(
            "back-off {} restarting failed container={name} pod={pod}",
            short(delay)
        );
        record.wait("CrashLoopBackOff", message);
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        self.shared.recorder.warning(&about, "BackOff", message);
    }

    /// It is up: a sidecar lets what comes after it begin.
    pub(super) fn up(&mut self, slot: Slot) {
        if let Some(record) = self.record_mut(slot) {
            record.started = record.is_running();
        }
        self.advance(slot);
    }

    /// The init container whose turn it is, once it is done, or up, lets the next one begin, and the last one the containers.
    fn advance(&mut self, slot: Slot) {
        let has_turn = slot == Slot::Init(self.past);
        if !has_turn || !self.record(slot).is_some_and(Record::is_past) {
            return;
        }
        self.past += 1;
        if self.past < self.init.len() {
            self.due.insert(Slot::Init(self.past), Instant::now());
        } else {
            self.begin_containers();
        }
    }

    /// The pod has used more than it may, or its time is over: all of it ends now, for good. Its object stays, and tells why.
    pub(super) fn fail(&mut self, reason: &'static str, message: String) {
        let about = Reference::to(&self.pod);
        self.shared
            .recorder
            .warning(&about, reason, message.clone());
        self.failure = Some((reason, message));
        self.due.clear();
        let alive: Vec<Slot> = self.alive.keys().copied().collect();
        for slot in alive {
            self.take_down(slot);
            if let Some(record) = self.record_mut(slot) {
                record.end(Ended::new(137, "Error", ""), clock::now());
            }
        }
    }

    /// Once all containers have ended for good, nobody needs the sidecars: they end in the reverse order of their start.
    fn end_sidecars(&mut self) {
        let policy = spec::restart_policy(&self.pod);
        let over = |record: &Record| {
            record.ended().is_some() && after_end(policy, false, record) == After::Stay
        };
        if !self.containers.iter().all(over) {
            return;
        }
        for index in (0..self.init.len()).rev() {
            let slot = Slot::Init(index);
            self.due.remove(&slot);
            if self.alive.contains_key(&slot) {
                self.take_down(slot);
            }
            if let Some(record) = self.record_mut(slot)
                && record.sidecar
                && record.ended().is_none()
            {
                record.end(Ended::new(0, "Completed", ""), clock::now());
            }
        }
    }
}

/// As Go prints durations: `10s`, `1m20s`, `5m0s`.
fn short(delay: Duration) -> String {
    match (delay.as_secs() / 60, delay.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}
