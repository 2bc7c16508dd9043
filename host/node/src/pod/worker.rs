//! The actor of one pod: waits for what happens, lets the pure rules of [`crate::life`] decide,
//! starts and stops containers, and reports.

mod ending;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_client::Reference;
use osier_process::{CancellationToken, clock};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::create::{Created, Order, Refusal, Running, create};
use super::probe::{Check, Kind, Listener, Probe};
use super::{Event, Shared, Slot, failed_call, spec};
use crate::environment::Place;
use crate::life::{After, BACKOFF, Ended, Life, Phase, Record, Report, after_end};
use crate::served::Serving;

/// Words of containers that may wait for the actor; faults beyond it are not told one by one.
const WAITING: usize = 64;
/// A pod that is up sooner than this is reported once, as Running, and not first as Pending.
const SOON: Duration = Duration::from_millis(40);

/// The actor.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    pod: Arc<Object>,
    /// The pod as the API has it; `None` when it is gone.
    changes: watch::Receiver<Option<Arc<Object>>>,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    init: Vec<Record>,
    containers: Vec<Record>,
    /// What runs, and what ends with it.
    alive: HashMap<Slot, Alive>,
    /// When what is to be started.
    due: BTreeMap<Slot, Instant>,
    ip: Option<Ipv4Addr>,
    started: Timestamp,
    reported: Value,
}

struct Alive {
    body: Running,
    life: u32,
    /// Ends the probes.
    stop: CancellationToken,
    /// The startup probe has passed, or there is none.
    up: bool,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, pod: Arc<Object>, changes: watch::Receiver<Option<Arc<Object>>>) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let started = pod.text(&["status", "startTime"]).parse().unwrap_or_else(|_| clock::now());
        Self {
            shared,
            init: records(&pod, "initContainers", "initContainerStatuses"),
            containers: records(&pod, "containers", "containerStatuses"),
            pod,
            changes,
            events,
            sender,
            alive: HashMap::new(),
            due: BTreeMap::new(),
            ip: None,
            started,
            reported: Value::Null,
        }
    }

    /// Lives as long as the pod does. When the process stops it ends at once; the node stops what serves.
    pub(crate) async fn run(mut self) {
        let stopping = self.shared.tasks.stopping();
        tokio::select! {
            () = self.live() => {}
            () = stopping.cancelled() => self.kill_commands(),
        }
        self.stop_probes();
    }

    async fn live(&mut self) {
        let before = self.pod.text(&["status", "podIP"]).parse().ok();
        self.ip = self.shared.addresses.lock().assign(self.pod.uid(), before);
        self.begin();
        loop {
            if self.wait().await {
                return self.end().await;
            }
            self.report();
        }
    }

    /// Handles the next thing that happens; true when the pod is to end.
    async fn wait(&mut self) -> bool {
        let next = self.due.iter().min_by_key(|(_, at)| **at).map(|(slot, at)| (*slot, *at));
        let (slot, at) = next.unwrap_or((Slot::Main(usize::MAX), Instant::now() + Duration::from_secs(86_400)));
        tokio::select! {
            biased;
            changed = self.changes.changed() => return changed.is_err() || self.changed(),
            event = self.events.recv() => if let Some(event) = event {
                self.hear(event);
            },
            () = tokio::time::sleep_until(at), if next.is_some() => return self.start(slot).await,
        }
        false
    }

    /// Takes the pod's new state; true when it is going or gone.
    fn changed(&mut self) -> bool {
        let current = self.changes.borrow_and_update().clone();
        let Some(pod) = current else { return true };
        let going = pod.deletion_timestamp().is_some();
        self.pod = pod;
        going
    }

    /// Decides what is to be started first.
    fn begin(&mut self) {
        if self.pod.deletion_timestamp().is_some() || matches!(self.phase(), Phase::Succeeded | Phase::Failed) {
            return;
        }
        // What ran before does not run in this process: its init containers run again.
        for record in &mut self.init {
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

    /// Starts a container; true when the pod is to end instead.
    async fn start(&mut self, slot: Slot) -> bool {
        self.due.remove(&slot);
        let Some(record) = self.record(slot) else { return false };
        let life = record.restarts + u32::from(record.last.is_some() || record.ended().is_some());
        let order = Order {
            pod: Arc::clone(&self.pod),
            slot,
            life,
            place: self.place(),
        };
        let shared = Arc::clone(&self.shared);
        let making = async move { create(&shared, &order).await };
        tokio::pin!(making);
        let mut told = false;
        let made = loop {
            tokio::select! {
                made = &mut making => break made,
                () = tokio::time::sleep(SOON), if !told => {
                    self.report();
                    told = true;
                }
                changed = self.changes.changed() => if changed.is_err() || self.changed() {
                    return true;
                },
            }
        };
        match made {
            Ok(created) => self.launch(slot, life, created).await,
            Err(refusal) => self.refuse(slot, refusal),
        }
        false
    }

    async fn launch(&mut self, slot: Slot, life: u32, created: Created) {
        let name = self.record(slot).map_or_else(String::new, |record| record.name.clone());
        let image = self.record(slot).map_or_else(String::new, |record| record.image.clone());
        let about = self.about(slot);
        let recorder = self.shared.recorder.clone();
        recorder.normal(&about, "Pulled", format!("Container image \"{image}\" already present on machine"));
        recorder.normal(&about, "Created", format!("Created container: {name}"));
        let now = clock::now();
        if let Some(record) = self.record_mut(slot) {
            record.image_id = created.image_id;
            record.start(now, created.container_id);
        }
        let alive = Alive {
            body: created.body.clone(),
            life,
            stop: CancellationToken::new(),
            up: true,
        };
        self.alive.insert(slot, alive);
        match created.body {
            Running::Serves(container) => {
                if let Err(error) = container.start().await {
                    let ended = failed_call(&error).unwrap_or_else(|| Ended::new(1, "StartError", error.to_string()));
                    return self.ended(slot, ended);
                }
                self.serve(slot, life, container);
            }
            Running::Runs(container) => {
                let sender = self.sender.clone();
                self.shared.tasks.spawn("container", async move {
                    let ended = Ended::of(&container.run().await);
                    // Nobody listens when the pod has ended meanwhile.
                    let _told = sender.send(Event::Ended { slot, life, ended }).await;
                });
            }
        }
        recorder.normal(&about, "Started", format!("Started container {name}"));
        self.set_ready(slot, true);
        self.probe(slot, life);
    }

    fn serve(&self, slot: Slot, life: u32, container: osier_engine::HttpContainer) {
        // A serving init container has no end to wait for: it is done when it is up.
        if let Slot::Init(_) = slot {
            let ended = Ended::new(0, "Completed", "it serves requests, and has nothing to run to its end");
            let _full = self.sender.try_send(Event::Ended { slot, life, ended });
            return;
        }
        let Slot::Main(index) = slot else { return };
        let Some(container_spec) = spec::container(&self.pod, slot) else { return };
        let serving = Serving {
            name: container_spec["name"].as_str().unwrap_or_default().to_owned(),
            ports: spec::ports(container_spec),
            container,
            faults: self.sender.clone(),
            index,
        };
        self.shared.served.add(self.pod.uid(), serving);
    }

    fn probe(&mut self, slot: Slot, life: u32) {
        let Slot::Main(index) = slot else { return };
        let Some(container) = spec::container(&self.pod, slot).cloned() else { return };
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
        for probe in readiness.into_iter().chain(Probe::of(container, Kind::Liveness)) {
            self.ask(index, life, probe);
        }
    }

    fn ask(&self, index: usize, life: u32, probe: Probe) {
        let Some(alive) = self.alive.get(&Slot::Main(index)) else { return };
        // A command cannot be asked over HTTP: it counts as well while it runs.
        let Running::Serves(container) = &alive.body else { return };
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

    fn refuse(&mut self, slot: Slot, refusal: Refusal) {
        let about = self.about(slot);
        let Some(record) = self.record_mut(slot) else { return };
        record.failures = record.failures.saturating_add(1);
        let again = record.failures > 1;
        let reason = if again { refusal.again } else { refusal.reason };
        let message = if again && reason == "ImagePullBackOff" {
            format!("Back-off pulling image \"{}\": {}: {}", record.image, refusal.reason, refusal.message)
        } else {
            refusal.message.clone()
        };
        record.wait(reason, message);
        let delay = BACKOFF.after(record.failures);
        let image = record.image.clone();
        self.due.insert(slot, Instant::now() + delay);
        let recorder = &self.shared.recorder;
        match refusal.reason {
            "ErrImagePull" => {
                recorder.warning(&about, "Failed", format!("Failed to pull image \"{image}\": {}", refusal.message));
                recorder.warning(&about, "Failed", format!("Error: {reason}"));
                recorder.normal(&about, "BackOff", format!("Back-off pulling image \"{image}\""));
            }
            "InvalidImageName" => recorder.warning(&about, "InspectFailed", refusal.message),
            _ => recorder.warning(&about, "Failed", format!("Error: {}", refusal.message)),
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ended { slot, life, ended } if self.is_life(slot, life) => self.ended(slot, ended),
            Event::Fault { index, ended } => {
                if let Some(record) = self.containers.get_mut(index) {
                    record.replace_instance(ended, clock::now());
                }
            }
            Event::Probed { index, life, check } if self.is_life(Slot::Main(index), life) => self.probed(index, life, check),
            Event::Ended { .. } | Event::Probed { .. } => {}
        }
    }

    fn probed(&mut self, index: usize, life: u32, check: Check) {
        let slot = Slot::Main(index);
        if !check.failure.is_empty() {
            let message = format!("{} probe failed: {}", check.kind.word(), check.failure);
            self.shared.recorder.warning(&self.about(slot), "Unhealthy", message);
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
            (Kind::Startup | Kind::Liveness, Some(false)) => self.restart_unhealthy(slot, check.kind),
            (Kind::Liveness, Some(true)) | (_, None) => {}
        }
    }

    fn restart_unhealthy(&mut self, slot: Slot, kind: Kind) {
        let name = self.record(slot).map_or_else(String::new, |record| record.name.clone());
        let message = format!("Container {name} failed {} probe, will be restarted", kind.word().to_lowercase());
        self.shared.recorder.normal(&self.about(slot), "Killing", message);
        self.ended(slot, Ended::new(137, "Error", format!("the {} probe failed", kind.word().to_lowercase())));
    }

    /// A container ended: what serves no more is taken away, and the policy says what follows.
    fn ended(&mut self, slot: Slot, ended: Ended) {
        self.take_down(slot);
        let now = clock::now();
        let Some(record) = self.record_mut(slot) else { return };
        record.end(ended, now);
        let policy = spec::restart_policy(&self.pod);
        let after = self.record(slot).map_or(After::Stay, |record| after_end(policy, matches!(slot, Slot::Init(_)), record));
        match after {
            After::Restart(delay) => self.back_off(slot, delay),
            After::Stay => self.advance(slot),
        }
    }

    fn back_off(&mut self, slot: Slot, delay: Duration) {
        self.due.insert(slot, Instant::now() + delay);
        if delay.is_zero() {
            return;
        }
        let about = self.about(slot);
        let pod = format!("{}_{}({})", self.pod.name(), self.pod.namespace(), self.pod.uid());
        let Some(record) = self.record_mut(slot) else { return };
        let name = record.name.clone();
        let message = format!("back-off {} restarting failed container={name} pod={pod}", short(delay));
        record.wait("CrashLoopBackOff", message);
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        self.shared.recorder.warning(&about, "BackOff", message);
    }

    /// An init container is done: the next one, or the containers.
    fn advance(&mut self, slot: Slot) {
        let Slot::Init(index) = slot else { return };
        let succeeded = self.init.get(index).and_then(Record::ended).is_some_and(|ended| ended.exit_code == 0);
        if !succeeded {
            return;
        }
        if index + 1 < self.init.len() {
            self.due.insert(Slot::Init(index + 1), Instant::now());
        } else {
            self.begin_containers();
        }
    }

    fn take_down(&mut self, slot: Slot) {
        let Some(alive) = self.alive.remove(&slot) else { return };
        alive.stop.cancel();
        let name = self.record(slot).map_or_else(String::new, |record| record.name.clone());
        self.shared.logs.close_container(self.pod.uid(), &name);
        if let Running::Serves(container) = alive.body {
            self.shared.served.remove(self.pod.uid(), &name);
            // What it was doing may end; the next life does not wait for it.
            self.shared.tasks.spawn("container-stop", async move { container.stop(Duration::from_secs(5)).await });
        }
    }

    fn report(&mut self) {
        let status = self.status();
        if status != self.reported {
            self.shared.statuses.put(&self.pod, status.clone());
            self.reported = status;
        }
    }

    fn status(&self) -> Value {
        let report = Report {
            pod: &self.pod,
            policy: spec::restart_policy(&self.pod),
            init: &self.init,
            containers: &self.containers,
            pod_ip: self.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            host_ip: &self.shared.settings.host_ip,
            started: self.started,
            failure: None,
        };
        report.json(clock::now())
    }

    fn phase(&self) -> Phase {
        crate::life::phase(spec::restart_policy(&self.pod), &self.init, &self.containers)
    }

    fn place(&self) -> Place {
        Place {
            pod_ip: self.ip.unwrap_or(Ipv4Addr::UNSPECIFIED),
            host_ip: self.shared.settings.host_ip.clone(),
            allocatable_cpu: self.shared.settings.capacity.cpu_millis,
            allocatable_memory: spec::DEFAULT_MEMORY,
        }
    }

    fn is_life(&self, slot: Slot, life: u32) -> bool {
        self.alive.get(&slot).is_some_and(|alive| alive.life == life)
    }

    fn set_ready(&mut self, slot: Slot, ready: bool) {
        if let Some(record) = self.record_mut(slot) {
            record.ready = ready && record.is_running();
        }
    }

    fn record(&self, slot: Slot) -> Option<&Record> {
        match slot {
            Slot::Init(index) => self.init.get(index),
            Slot::Main(index) => self.containers.get(index),
        }
    }

    fn record_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        match slot {
            Slot::Init(index) => self.init.get_mut(index),
            Slot::Main(index) => self.containers.get_mut(index),
        }
    }

    fn about(&self, slot: Slot) -> Reference {
        let name = self.record(slot).map_or("", |record| record.name.as_str());
        Reference::to(&self.pod).at(spec::field_path(slot, name))
    }
}

fn records(pod: &Object, field: &str, statuses: &str) -> Vec<Record> {
    let initializing = field == "containers" && !spec::containers(pod, "initContainers").is_empty();
    let reason = if initializing { "PodInitializing" } else { "ContainerCreating" };
    let known = pod.get(&["status", statuses]).and_then(Value::as_array);
    let resume = |container: &Value| {
        let mut record = Record::new(container, reason);
        let reported = known.into_iter().flatten().find(|status| status["name"] == record.name.as_str());
        if let Some(reported) = reported {
            record.resume(reported);
        }
        record
    };
    spec::containers(pod, field).iter().map(resume).collect()
}

/// As Go prints durations: `10s`, `1m20s`, `5m0s`.
fn short(delay: Duration) -> String {
    match (delay.as_secs() / 60, delay.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}
