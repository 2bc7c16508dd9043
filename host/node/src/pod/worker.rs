//! The actor of one pod: waits for what happens, lets the pure rules of [`crate::life`] decide,
//! starts and stops containers, and reports.

mod ending;
mod health;
mod starting;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_client::Reference;
use osier_process::{CancellationToken, clock};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::create::Running;
use super::follow::follow;
use super::{Event, Shared, Slot, spec};
use crate::components::Components;
use crate::environment::Place;
use crate::kept;
use crate::life::{After, Ended, Life, Phase, Record, Report, after_end};
use crate::volumes;
use osier_images::InUse;

/// Words of containers that may wait for the actor; faults beyond it are not told one by one.
const WAITING: usize = 64;
/// Instances that fail one after the other are reported together, at most this often.
const FAULTS: Duration = Duration::from_secs(1);
/// How often a pod that waits for an image looks whether it was imported.
const LOOK_FOR_IMAGE: Duration = Duration::from_secs(1);

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
    /// The status as it was last told, as text: a pod lives long, and a tree of values is large.
    reported: Box<str>,
    /// When faults that were not reported yet will be.
    faults_due: Option<Instant>,
    /// Held until everything was started once, by pods that ran before the node did: it is not
    /// ready before them.
    resuming: Option<watch::Receiver<()>>,
}

/// What follows from something that happened.
enum Step {
    /// The pod is to end.
    End,
    /// The API may have to hear of it.
    Tell,
    /// Nothing.
    Quiet,
}

struct Alive {
    body: Running,
    _image: InUse,
    life: u32,
    /// Ends the probes.
    stop: CancellationToken,
    /// The startup probe has passed, or there is none.
    up: bool,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pod: Arc<Object>,
        changes: watch::Receiver<Option<Arc<Object>>>,
    ) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let known = kept::status(&pod);
        let started = known["startTime"].as_str().unwrap_or_default().parse();
        Self {
            shared,
            init: records((&pod, "initContainers"), &known["initContainerStatuses"]),
            containers: records((&pod, "containers"), &known["containerStatuses"]),
            pod,
            changes,
            events,
            sender,
            alive: HashMap::new(),
            due: BTreeMap::new(),
            ip: None,
            started: started.unwrap_or_else(|_| clock::now()),
            reported: Box::default(),
            faults_due: None,
            resuming: None,
        }
    }

    /// The node is not ready before this pod is back.
    pub(crate) fn resuming(mut self, guard: Option<watch::Receiver<()>>) -> Self {
        self.resuming = guard;
        self
    }

    /// Lives as long as the pod does. When the process stops it ends at once; the node stops what serves.
    pub(crate) async fn run(mut self) {
        let stopping = self.shared.tasks.stopping();
        // Boxed: few pods have files to follow.
        let following = volumes::follows(&self.pod)
            .then(|| Box::pin(follow(Arc::clone(&self.shared), self.changes.clone())));
        tokio::select! {
            () = self.live() => {}
            () = always(following) => {}
            () = stopping.cancelled() => self.kill_commands(),
        }
        self.stop_probes();
    }

    async fn live(&mut self) {
        let before = self.pod.text(&["status", "podIP"]).parse().ok();
        self.ip = self.shared.addresses.lock().assign(self.pod.uid(), before);
        if self.pod.deletion_timestamp().is_some() {
            return Box::pin(self.end()).await;
        }
        self.begin();
        loop {
            let now = Instant::now();
            if self.due.values().all(|at| *at > now) {
                self.resuming = None;
            }
            match self.wait().await {
                // Boxed, as starting is: a pod rests for days, and should not keep the room that its ends need.
                Step::End => return Box::pin(self.end()).await,
                Step::Tell => self.report(),
                Step::Quiet => {}
            }
        }
    }

    /// Handles the next thing that happens.
    async fn wait(&mut self) -> Step {
        let next = self.due.iter().min_by_key(|(_, at)| **at);
        let next = next.map(|(slot, at)| (*slot, *at));
        let start_at = next.map(|(_, at)| at);
        let faults_at = self.faults_due;
        let imported = imported(Arc::clone(&self.shared.components), self.without_image());
        tokio::select! {
            biased;
            changed = self.changes.changed() => {
                let going = changed.is_err() || self.changed();
                if going { Step::End } else { Step::Tell }
            }
            event = self.events.recv() => event.map_or(Step::Quiet, |event| self.hear(event)),
            () = until(start_at) => match next {
                Some((slot, _)) if Box::pin(self.start(slot)).await => Step::End,
                _ => Step::Tell,
            },
            () = until(faults_at) => Step::Tell,
            slot = imported => {
                self.due.insert(slot, Instant::now());
                Step::Quiet
            }
        }
    }

    /// The containers that wait for an image, with its name.
    fn without_image(&self) -> Vec<(Slot, String)> {
        let init = self
            .init
            .iter()
            .enumerate()
            .map(|(index, record)| (Slot::Init(index), record));
        let main = self.containers.iter().enumerate();
        let all = init.chain(main.map(|(index, record)| (Slot::Main(index), record)));
        let waits = all.filter(|(_, record)| {
            matches!(
                record.life,
                Life::Waiting {
                    reason: "ErrImagePull" | "ImagePullBackOff",
                    ..
                }
            )
        });
        waits
            .map(|(slot, record)| (slot, record.image.clone()))
            .collect()
    }

    /// Takes the pod's new state; true when it is going or gone.
    fn changed(&mut self) -> bool {
        let current = self.changes.borrow_and_update().clone();
        let Some(pod) = current else { return true };
        let going = pod.deletion_timestamp().is_some();
        if kept::is_lost(&pod) {
            // It was said while this node was not heard: what is true is told again.
            self.reported = Box::default();
        }
        self.pod = pod;
        going
    }

    /// Decides what is to be started first.
    fn begin(&mut self) {
        if matches!(self.phase(), Phase::Succeeded | Phase::Failed) {
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

    fn hear(&mut self, event: Event) -> Step {
        match event {
            Event::Ended { slot, life, ended } if self.is_life(slot, life) => {
                self.ended(slot, *ended);
            }
            Event::Probed { index, life, check } if self.is_life(Slot::Main(index), life) => {
                self.probed(index, life, check);
            }
            Event::Fault { index, ended } => {
                if let Some(record) = self.containers.get_mut(index) {
                    record.replace_instance(*ended, clock::now());
                }
                self.faults_due.get_or_insert(Instant::now() + FAULTS);
                return Step::Quiet;
            }
            Event::Ended { .. } | Event::Probed { .. } => return Step::Quiet,
        }
        Step::Tell
    }

    /// A container ended: what serves no more is taken away, and the policy says what follows.
    fn ended(&mut self, slot: Slot, ended: Ended) {
        self.take_down(slot);
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
            After::Stay => self.advance(slot),
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

    /// An init container is done: the next one, or the containers.
    fn advance(&mut self, slot: Slot) {
        let Slot::Init(index) = slot else { return };
        let succeeded = self
            .init
            .get(index)
            .and_then(Record::ended)
            .is_some_and(|ended| ended.exit_code == 0);
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
        let Some(alive) = self.alive.remove(&slot) else {
            return;
        };
        alive.stop.cancel();
        let name = self
            .record(slot)
            .map_or_else(String::new, |record| record.name.clone());
        self.shared.meters.remove(self.pod.uid(), &name);
        self.shared.logs.close_container(self.pod.uid(), &name);
        if let Running::Serves(container) = alive.body {
            self.shared.served.remove(self.pod.uid(), &name);
            // What it was doing may end; the next life does not wait for it.
            self.shared.tasks.spawn("container-stop", async move {
                container.stop(Duration::from_secs(5)).await
            });
        }
    }

    fn report(&mut self) {
        self.faults_due = None;
        let status = self.status();
        let told = status.to_string();
        if *told != *self.reported {
            self.shared.statuses.put(&self.pod, status);
            self.reported = told.into_boxed_str();
        }
    }

    fn status(&self) -> Value {
        let told = serde_json::from_str(&self.reported).ok();
        let report = Report {
            pod: &self.pod,
            known: &told.unwrap_or_else(|| kept::status(&self.pod)),
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
        crate::life::phase(
            spec::restart_policy(&self.pod),
            &self.init,
            &self.containers,
        )
    }

    fn place(&self) -> Place {
        self.shared.place(self.ip.unwrap_or(Ipv4Addr::UNSPECIFIED))
    }

    fn is_life(&self, slot: Slot, life: u32) -> bool {
        self.alive
            .get(&slot)
            .is_some_and(|alive| alive.life == life)
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

/// Waits until one of the images is in the store: whoever imports it wants to see the pod run, and
/// not the rest of its back-off.
async fn imported(components: Arc<Components>, waiting: Vec<(Slot, String)>) -> Slot {
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_FOR_IMAGE).await;
        let found = waiting
            .iter()
            .find(|(_, image)| components.images.digest(image).is_some());
        if let Some((slot, _)) = found {
            return *slot;
        }
    }
}

/// Polls what never ends, if it is there.
async fn always(work: Option<Pin<Box<impl Future<Output = ()>>>>) {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Waits until then; forever if there is no such time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The containers of a field of the spec, as their statuses say that they were.
fn records((pod, field): (&Object, &str), statuses: &Value) -> Vec<Record> {
    let initializing = field == "containers" && !spec::containers(pod, "initContainers").is_empty();
    let reason = if initializing {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let known = statuses.as_array();
    let resume = |container: &Value| {
        let mut record = Record::new(container, reason);
        let reported = known
            .into_iter()
            .flatten()
            .find(|status| status["name"] == record.name.as_str());
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
