//! The actor of one pod: waits for what happens, lets the pure rules of [`osier_life`] decide,
//! starts and stops containers, and reports.

mod ending;
mod faults;
mod health;
mod hooks;
mod order;
mod starting;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_client::Reference;
use osier_podspec::{self as spec, Place, Slot, volumes};
use osier_process::{CancellationToken, clock};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::create::NEVER_PULLED;
use super::follow::follow;
use super::mailbox::{Receiver, Sender, mailbox};
use super::{Event, Shared, exceeding};
use crate::components::Components;
use crate::live::Running;
use osier_images::InUse;
use osier_life::kept;
use osier_life::{Life, Phase, Record, Report};

/// Words of containers that may wait for the actor; faults beyond it are not told one by one.
const WAITING: usize = 64;
/// Instances that fail one after the other are reported together, at most this often.
const FAULTS: Duration = Duration::from_secs(1);
/// Why a pod was ended that used more than it may.
const EVICTED: &str = "Evicted";
/// Why a pod was ended that was active for too long, and kubelet's words for it.
const DEADLINE: &str = "DeadlineExceeded";
const TOO_LONG: &str = "Pod was active on the node longer than the specified deadline";
/// What a container waits for that has no image.
const WITHOUT_IMAGE: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", NEVER_PULLED];
/// What it waits for that could not be made as its pod says.
const UNMADE: [&str; 2] = ["CreateContainerError", "CreateContainerConfigError"];
/// How often a pod that waits for an image looks whether it was imported.
const LOOK_FOR_IMAGE: Duration = Duration::from_secs(1);

/// The actor.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    pod: Arc<Object>,
    /// The pod as the API has it; `None` when it is gone.
    changes: watch::Receiver<Option<Arc<Object>>>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    init: Vec<Record>,
    /// How many init containers are done, or up.
    past: usize,
    containers: Vec<Record>,
    /// What runs, and what ends with it.
    alive: HashMap<Slot, Alive>,
    /// When what is to be started.
    due: BTreeMap<Slot, Instant>,
    ip: Option<Ipv4Addr>,
    started: Timestamp,
    /// The pod as a whole was ended, and why.
    failure: Option<(&'static str, String)>,
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
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pod: Arc<Object>,
        changes: watch::Receiver<Option<Arc<Object>>>,
    ) -> Self {
        let (sender, events) = mailbox(WAITING);
        let known = kept::status(&pod);
        let started = known["startTime"].as_str().unwrap_or_default().parse();
        Self {
            shared,
            init: records((&pod, "initContainers"), &known["initContainerStatuses"]),
            past: 0,
            containers: records((&pod, "containers"), &known["containerStatuses"]),
            pod,
            changes,
            events,
            sender,
            alive: HashMap::new(),
            due: BTreeMap::new(),
            ip: None,
            started: started.unwrap_or_else(|_| clock::now()),
            failure: failure(&known),
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
        let bounded = volumes::Bounds::of(&self.pod);
        let place = (Arc::clone(&self.shared), self.pod.uid().to_owned());
        let measuring = (!bounded.is_empty())
            .then(|| Box::pin(exceeding::watch(place, bounded, self.sender.clone())));
        tokio::select! {
            () = self.live() => {}
            () = always(following) => {}
            () = always(measuring) => {}
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
        let over_at = self.over_at();
        let without_image = self.waiting(&WITHOUT_IMAGE);
        let imported = imported(Arc::clone(&self.shared.components), without_image);
        tokio::select! {
            biased;
            changed = self.changes.changed() => {
                let going = changed.is_err() || self.changed();
                if going { Step::End } else { Step::Tell }
            }
            event = self.events.recv() => self.hear(event),
            () = until(start_at) => match next {
                Some((slot, _)) if Box::pin(self.start(slot)).await => Step::End,
                _ => Step::Tell,
            },
            () = until(faults_at) => Step::Tell,
            () = until(over_at) => {
                self.fail(DEADLINE, TOO_LONG.to_owned());
                Step::Tell
            }
            slot = imported => {
                self.due.insert(slot, Instant::now());
                Step::Quiet
            }
        }
    }

    /// When the pod has been active for as long as it may be; nothing if it may for ever, or has ended.
    fn over_at(&self) -> Option<Instant> {
        let deadline = deadline(&self.pod)?;
        let ended = matches!(self.phase(), Phase::Succeeded | Phase::Failed);
        if self.failure.is_some() || ended {
            return None;
        }
        let active = clock::now().duration_since(self.started).unsigned_abs();
        Some(Instant::now() + deadline.saturating_sub(active))
    }

    /// The containers that wait for one of these reasons, with the names of their images.
    fn waiting(&self, reasons: &[&str]) -> Vec<(Slot, String)> {
        let init = self
            .init
            .iter()
            .enumerate()
            .map(|(index, record)| (Slot::Init(index), record));
        let main = self.containers.iter().enumerate();
        let all = init.chain(main.map(|(index, record)| (Slot::Main(index), record)));
        let waits = all.filter(|(_, record)| {
            matches!(record.life, Life::Waiting { reason, .. } if reasons.contains(&reason))
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
        let annotations = |pod: &Object| pod.get(&["metadata", "annotations"]).cloned();
        let mended = annotations(&pod) != annotations(&self.pod);
        self.pod = pod;
        if mended {
            // Perhaps granted now: who wrote it wants to see it run, and not the rest of its back-off.
            let unmade = self.waiting(&UNMADE).into_iter();
            self.due
                .extend(unmade.map(|(slot, _)| (slot, Instant::now())));
        }
        going
    }

    fn hear(&mut self, event: Event) -> Step {
        match event {
            Event::Ended { slot, life, ended } if self.is_life(slot, life) => {
                self.ended(slot, *ended);
            }
            Event::Probed { slot, life, check } if self.is_life(slot, life) => {
                self.probed((slot, life), check);
            }
            Event::Fault { slot, ended } => {
                if self.faults_due.is_none() {
                    self.tell_fault(slot, &ended);
                }
                if let Some(record) = self.record_mut(slot) {
                    record.replace_instance(*ended, clock::now());
                }
                self.faults_due.get_or_insert(Instant::now() + FAULTS);
                return Step::Quiet;
            }
            Event::Exceeded { message } => self.fail(EVICTED, message),
            Event::Ended { .. } | Event::Probed { .. } => return Step::Quiet,
        }
        Step::Tell
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
        self.shared.live.remove(self.pod.uid(), &name);
        self.shared.logs.close_container(self.pod.uid(), &name);
        match alive.body {
            Running::Serves(container) => {
                self.shared.served.remove(self.pod.uid(), &name);
                // What it was doing may end; the next life does not wait for it.
                self.shared.tasks.spawn("container-stop", async move {
                    container.stop(Duration::from_secs(5)).await
                });
            }
            Running::Runs(container) => container.kill(),
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
        // Who opens a gate is heard at once, also if this actor has not come to it yet.
        let newest = self.changes.borrow().clone();
        let report = Report {
            pod: newest.as_ref().unwrap_or(&self.pod),
            known: &told.unwrap_or_else(|| kept::status(&self.pod)),
            policy: spec::restart_policy(&self.pod),
            init: &self.init,
            containers: &self.containers,
            pod_ip: self.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            host_ip: &self.shared.settings.host_ip,
            started: self.started,
            failure: self.failure.clone(),
        };
        report.json(clock::now())
    }

    fn phase(&self) -> Phase {
        osier_life::phase(
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

/// How long the pod may be active on its node, from its start; for ever if it does not say.
fn deadline(pod: &Object) -> Option<Duration> {
    let seconds = pod.get(&["spec", "activeDeadlineSeconds"])?.as_u64()?;
    Some(Duration::from_secs(seconds))
}

/// The end of a pod that an earlier process of this node had told.
fn failure(known: &Value) -> Option<(&'static str, String)> {
    let mut reasons = [EVICTED, DEADLINE].into_iter();
    let reason = reasons.find(|reason| known["reason"] == *reason)?;
    let message = known["message"].as_str().unwrap_or_default();
    (known["phase"] == "Failed").then(|| (reason, message.to_owned()))
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
        let mut record = match field {
            "initContainers" => Record::new_init(container, reason),
            _ => Record::new(container, reason),
        };
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
