//! The controller of HorizontalPodAutoscalers: reads what pods use and are asked, and sets the replicas of what they belong to.
//! How many that are is decided by the crate autoscaling.

mod measured;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{
    DEPLOYMENTS, HELD, HOLD, HORIZONTAL_POD_AUTOSCALERS, NODES, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, SERVICES, STATEFUL_SETS,
};
use osier_api::selector::LabelSelector;
use osier_api::{Object, Resource};
use osier_autoscaling::{History, Plan, Scene, Wanted, decide, rival, sleep};
use osier_client::{
    CONTROLLER, Change, Client, ClientError, Informer, Part, Recorder, Reference, WorkQueue,
};
use osier_process::clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::{Context, conditions, facts, reporting};
use conditions::Condition;

const WORKERS: usize = 4;
/// How often each is looked at: nodes take their readings as often.
const PERIOD: Duration = Duration::from_secs(10);
/// Upstream's name for it.
const NAME: &str = "horizontal-pod-autoscaler";
/// What has replicas.
static SCALED: [&Resource; 4] = [
    &DEPLOYMENTS,
    &STATEFUL_SETS,
    &REPLICA_SETS,
    &REPLICATION_CONTROLLERS,
];

struct Autoscaler {
    client: Client,
    recorder: Recorder,
    hpas: Arc<Informer>,
    pods: Arc<Informer>,
    services: Arc<Informer>,
    nodes: Arc<Informer>,
    /// Of [`SCALED`].
    scaled: Vec<Arc<Informer>>,
    /// By uid.
    histories: Mutex<HashMap<String, History>>,
    /// Those that let their targets sleep and were deleted a moment ago.
    gone: Mutex<HashMap<Key, Arc<Object>>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let of = |resource| context.informers.of(resource).cloned();
    let (Some(hpas), Some(pods), Some(services), Some(nodes)) = (
        of(&HORIZONTAL_POD_AUTOSCALERS),
        of(&PODS),
        of(&SERVICES),
        of(&NODES),
    ) else {
        return;
    };
    let this = Arc::new(Autoscaler {
        client: context.client.clone(),
        recorder: context.recorder(NAME),
        hpas,
        pods,
        services,
        nodes,
        scaled: SCALED.iter().filter_map(|resource| of(resource)).collect(),
        histories: Mutex::default(),
        gone: Mutex::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run(NAME, &queue, tasks, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

/// Our own words about it are none.
fn is_news(change: &Change) -> bool {
    let generation = |object: &Object| object.generation();
    change
        .old()
        .is_none_or(|old| generation(old) != generation(change.object()))
}

impl Autoscaler {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (this, queue) = (Arc::clone(self), queue.clone());
        let own = queue.clone();
        self.hpas.on_change(move |change| {
            if change.is_deleted() {
                let hpa = change.object();
                this.histories.lock().remove(hpa.uid());
                if sleep::may_sleep(hpa) && sleep::sleeps(hpa) {
                    this.gone.lock().insert(Key::of(hpa), Arc::clone(hpa));
                }
                own.add(Key::of(hpa));
            } else if is_news(change) {
                own.add(Key::of(change.object()));
            }
        });
        let (this, own) = (Arc::clone(self), queue.clone());
        self.services.on_change(move |change| {
            let spec = |object: &Object| object.get(&["spec", "selector"]).cloned();
            let new = change.object();
            if change.old().is_none_or(|old| spec(old) != spec(new)) {
                this.look_at_sleepers(new.namespace(), &own);
            }
        });
        let this = Arc::clone(self);
        self.nodes.on_change(move |change| {
            let told = |node: &Object| node.annotation(HELD).map(str::to_owned);
            let new = change.object();
            if change.old().is_none_or(|old| told(old) != told(new)) {
                for (namespace, _) in sleep::waited_for(new).filter_map(|one| one.split_once('/')) {
                    this.look_at_sleepers(namespace, &queue);
                }
            }
        });
    }

    fn look_at_sleepers(&self, namespace: &str, queue: &WorkQueue<Key>) {
        for hpa in self.hpas.list_in(namespace) {
            if sleep::may_sleep(&hpa) {
                queue.add(Key::of(&hpa));
            }
        }
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        for informer in [&self.hpas, &self.pods, &self.services, &self.nodes]
            .into_iter()
            .chain(&self.scaled)
        {
            informer.synced().await;
        }
        self.hold(&key.namespace).await?;
        let gone = self.gone.lock().remove(key);
        let Some(hpa) = self.hpas.get(&key.namespace, &key.name) else {
            if let Some(gone) = gone {
                self.wake(&gone).await?;
            }
            return Ok(Outcome::Done);
        };
        let Some(target) = self.target(&hpa) else {
            self.lost(&hpa).await?;
            return Ok(Outcome::Again(PERIOD));
        };
        let others = self.hpas.list_in(&key.namespace);
        if let Some(other) = rival(&hpa, &others) {
            self.ambiguous(&hpa, other).await?;
            return Ok(Outcome::Again(PERIOD));
        }
        let plan = self.plan(&hpa, &target).await;
        self.carry_out(&hpa, &target, plan).await?;
        Ok(Outcome::Again(PERIOD))
    }

    /// Nobody would wake what slept when its autoscaler was deleted, and calls are held no more: it gets the pod that it would have had.
    async fn wake(&self, gone: &Object) -> Result<(), ClientError> {
        let others = self.hpas.list_in(gone.namespace());
        let target = self.target(gone).filter(|target| {
            let sleeps = target.get(&["spec", "replicas"]).and_then(Value::as_u64) == Some(0);
            sleeps && target.deletion_timestamp().is_none() && rival(gone, &others).is_none()
        });
        let Some(target) = target else { return Ok(()) };
        let why = "its HorizontalPodAutoscaler is gone, and nobody else would wake it";
        self.rescale(&Reference::to(&target), &target, (1, why))
            .await
    }

    /// Calls wait at some node for a target that may sleep.
    fn is_waited_for(&self, hpa: &Object, target: &Object) -> bool {
        let services = self.services.list_in(hpa.namespace());
        let leads = |waited_for: &str| {
            let (namespace, name) = waited_for.split_once('/').unwrap_or_default();
            let mut leading = sleep::leading(target, &services);
            namespace == hpa.namespace() && leading.any(|service| service.name() == name)
        };
        let nodes = self.nodes.list();
        sleep::may_sleep(hpa) && nodes.iter().any(|node| sleep::waited_for(node).any(leads))
    }

    /// Says of every Service of the namespace whether its calls are held, and how long.
    async fn hold(&self, namespace: &str) -> Result<(), ClientError> {
        let hpas = self.hpas.list_in(namespace);
        let sleepers = hpas.iter().filter(|hpa| sleep::may_sleep(hpa));
        let sleepers: Vec<_> = sleepers
            .filter_map(|hpa| Some((Arc::clone(hpa), self.target(hpa)?)))
            .collect();
        let services = self.services.list_in(namespace);
        let pairs = sleepers.iter().map(|(hpa, target)| (&**hpa, &**target));
        let holds = sleep::holds(pairs, &services);
        for service in services {
            let wanted = holds.get(service.name()).map(String::as_str);
            if service.annotation(HOLD) != wanted {
                let patch =
                    json!({"metadata": {"uid": service.uid(), "annotations": {HOLD: wanted}}});
                let of = (namespace, service.name());
                gone_is_fine(self.client.patch(&SERVICES, of, patch, Part::Whole).await)?;
            }
        }
        Ok(())
    }

    /// What the autoscaler speaks of.
    fn target(&self, hpa: &Object) -> Option<Arc<Object>> {
        let named = |field: &str| hpa.text(&["spec", "scaleTargetRef", field]);
        let mut informers = self.scaled.iter();
        let informer = informers.find(|informer| informer.resource().kind == named("kind"))?;
        informer.get(hpa.namespace(), named("name"))
    }

    async fn plan(&self, hpa: &Object, target: &Object) -> Plan {
        let wanted = Wanted::of(hpa);
        let selector = LabelSelector::of_controller(target).unwrap_or_default();
        let replicas = target.get(&["spec", "replicas"]).and_then(Value::as_u64);
        let current = u32::try_from(replicas.unwrap_or(1)).unwrap_or(u32::MAX);
        let mut pods = self.pods.list_in(hpa.namespace());
        pods.retain(|pod| facts::is_active(pod) && selector.selects(pod));
        let selectors = wanted.services().filter_map(|name| {
            let service = self.services.get(hpa.namespace(), name)?;
            Some((name.to_owned(), LabelSelector::of_controller(&service)?))
        });
        let readings = measured::Readings::take(
            &self.client,
            (hpa.namespace(), &selector),
            (wanted.asks_for_requests(), selectors.collect()),
        );
        let readings = if current > 0 {
            readings.await
        } else {
            measured::Readings::default()
        };
        let samples: Vec<_> = pods.iter().map(|pod| readings.sample(pod)).collect();
        let scene = Scene {
            current,
            pods: &samples,
            services: &readings.services,
            held: u32::from(self.is_waited_for(hpa, target)),
            now: clock::now(),
        };
        let mut histories = self.histories.lock();
        decide(
            hpa,
            &scene,
            histories.entry(hpa.uid().to_owned()).or_default(),
        )
    }

    async fn carry_out(
        &self,
        hpa: &Object,
        target: &Object,
        plan: Plan,
    ) -> Result<(), ClientError> {
        let about = Reference::to(hpa);
        for (reason, words) in plan.warnings {
            self.recorder.warning(&about, reason, words);
        }
        if let Some((replicas, why)) = plan.rescale {
            self.rescale(&about, target, (replicas, &why)).await?;
        }
        reporting::report(&self.client, &HORIZONTAL_POD_AUTOSCALERS, hpa, plan.status).await
    }

    async fn rescale(
        &self,
        about: &Reference,
        target: &Object,
        (replicas, why): (u32, &str),
    ) -> Result<(), ClientError> {
        let mut resources = SCALED.iter();
        let Some(resource) = resources.find(|resource| resource.kind == target.kind()) else {
            return Ok(());
        };
        let of = (target.namespace(), target.name());
        let patch = json!({"spec": {"replicas": replicas}});
        let scaled = self.client.patch(resource, of, patch, Part::Scale).await;
        let words = format!("New size: {replicas}; reason: {why}");
        match gone_is_fine(scaled) {
            Ok(()) => self.recorder.normal(about, "SuccessfulRescale", words),
            Err(error) => {
                let words = format!("{words}; error: {error}");
                self.recorder.warning(about, "FailedRescale", words);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The target is not there, or has no replicas.
    async fn ambiguous(&self, hpa: &Object, other: &Object) -> Result<(), ClientError> {
        let target = |field: &str| hpa.text(&["spec", "scaleTargetRef", field]);
        let (kind, name) = (target("kind"), target("name"));
        let words = format!(
            "{kind} {name} is controlled by several HorizontalPodAutoscalers: this one and {}; delete one of them",
            other.name()
        );
        let condition = Condition {
            kind: "ScalingActive",
            status: "False",
            reason: "AmbiguousSelector",
            message: words.clone(),
        };
        let said = facts::condition(hpa, "ScalingActive")
            .is_some_and(|said| said["reason"] == "AmbiguousSelector");
        if !said {
            let about = Reference::to(hpa);
            self.recorder.warning(&about, "AmbiguousSelector", words);
        }
        self.tell(hpa, condition).await
    }

    async fn tell(&self, hpa: &Object, condition: Condition) -> Result<(), ClientError> {
        let list = hpa.get(&["status", "conditions"]).and_then(Value::as_array);
        let mut list = list.cloned().unwrap_or_default();
        conditions::put(&mut list, condition, clock::now());
        let status = json!({"conditions": list, "observedGeneration": hpa.generation()});
        reporting::report(&self.client, &HORIZONTAL_POD_AUTOSCALERS, hpa, status).await
    }

    async fn lost(&self, hpa: &Object) -> Result<(), ClientError> {
        let target = |field: &str| hpa.text(&["spec", "scaleTargetRef", field]);
        let (kind, name) = (target("kind"), target("name"));
        let words = format!(
            "the target {kind} {name:?} is not there, or its kind has no replicas: it must be a Deployment, StatefulSet, ReplicaSet or ReplicationController"
        );
        self.recorder
            .warning(&Reference::to(hpa), "FailedGetScale", words.as_str());
        let condition = Condition {
            kind: "AbleToScale",
            status: "False",
            reason: "FailedGetScale",
            message: format!(
                "the HPA controller was unable to get the target's current scale: {words}"
            ),
        };
        self.tell(hpa, condition).await
    }
}
