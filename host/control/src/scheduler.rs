//! The scheduler: gives every pod without a node the one that suits it best, and pushes out less important pods for one that fits
//! nowhere. What fits and suits is decided by the crate scheduling.
//!
//! The ledger of what each node carries is kept up to date by the informers and by the scheduler's
//! own decisions, so that two pods decided at once never count on the same room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{NAMESPACES, NODES, POD_DISRUPTION_BUDGETS, PODS};
use osier_claims::{Reserved, Write};
use osier_client::{
    Backoff, Change, Client, ClientError, Informer, Part, Recorder, Reference, WorkQueue,
};
use osier_process::clock;
use osier_scheduling::node_affinity::Site;
use osier_scheduling::{
    Budget, Evicted, Extender, Ledger, Opinions, Refusal, Refused, is_gated, looks_at_neighbours,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Context;
use crate::claims::{self, Mirrors};
use crate::facts;
use crate::leaving::{self, Why};
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

/// Decisions are made one at a time; this many bindings are written at once, which the store commits together.
const WORKERS: usize = 32;
/// A pod that fits nowhere is tried again when the cluster changes, and after this long anyway.
const UNSCHEDULABLE: Duration = Duration::from_secs(60);
/// Who has a say and gave no answer, or refused every node, is asked again after this long.
const UNANSWERED: Duration = Duration::from_secs(5);
const NAME: &str = "default-scheduler";
/// Why a pod with gates waits, in upstream's words.
const GATED: &str = "SchedulingGated";
const BLOCKED: &str = "Scheduling is blocked due to non-empty scheduling gates";
const UNHELPFUL: &str = "Preemption is not helpful for scheduling.";

struct Scheduler {
    client: Client,
    recorder: Recorder,
    pods: Arc<Informer>,
    nodes: Arc<Informer>,
    namespaces: Arc<Informer>,
    budgets: Arc<Informer>,
    claims: Mirrors,
    extender: Arc<dyn Extender>,
    /// Held for a whole decision: what one pod gets, the next one's plugins see. Whoever waits for it leaves its thread to others.
    turn: tokio::sync::Mutex<()>,
    ledger: Mutex<Ledger>,
    /// Pods that fitted nowhere when last tried.
    parked: Mutex<BTreeMap<Key, Parked>>,
}

/// A pod that waits for a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Waiting {
    priority: i32,
    key: Key,
}

/// What a pod that fitted nowhere waits for.
#[derive(Debug, Clone, Copy)]
struct Parked {
    priority: i32,
    /// A pod that comes to another place may make it fit.
    looks_at_neighbours: bool,
    /// A volume may make it fit.
    has_claims: bool,
}

/// What becomes of a pod.
enum Decision {
    /// It was given a node already.
    Given,
    Bind(String),
    /// It is promised a node, for which its claims get their volumes first.
    Reserve(Vec<Write>),
    /// It fits nowhere; perhaps others leave a node for it.
    Refuse(Refusal, Result<(String, Vec<Evicted>), Refused>),
    /// Somebody who has a say gives no answer.
    Unanswered(Refusal),
}

/// Starts the scheduler.
pub(crate) fn start(context: &Context, extender: Arc<dyn Extender>) {
    let of = |resource| context.informers.of(resource).cloned();
    let (Some(pods), Some(nodes), Some(namespaces), Some(budgets), Some(claims)) = (
        of(&PODS),
        of(&NODES),
        of(&NAMESPACES),
        of(&POD_DISRUPTION_BUDGETS),
        Mirrors::of(&context.informers),
    ) else {
        return;
    };
    let this = Arc::new(Scheduler {
        client: context.client.clone(),
        recorder: context.recorder(NAME),
        pods,
        nodes,
        namespaces,
        budgets,
        claims,
        extender,
        turn: tokio::sync::Mutex::default(),
        ledger: Mutex::default(),
        parked: Mutex::default(),
    });
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let queue = WorkQueue::ranked(backoff, |waiting: &Waiting| -i64::from(waiting.priority));
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run("scheduler", &queue, tasks, move |waiting| {
        let this = Arc::clone(&this);
        async move { this.schedule(&waiting).await }
    });
}

impl Scheduler {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Waiting>) {
        let (this, own) = (Arc::clone(self), queue.clone());
        self.pods
            .on_change(move |change| this.pod_changed(change, &own));
        let (this, own) = (Arc::clone(self), queue.clone());
        self.nodes
            .on_change(move |change| this.node_changed(change, &own));
        let (this, own) = (Arc::clone(self), queue.clone());
        self.namespaces
            .on_change(move |change| this.namespace_changed(change, &own));
        for mirror in self.claims.of_storage() {
            let (this, own) = (Arc::clone(self), queue.clone());
            mirror.on_change(move |_| this.unpark(&own, |parked| parked.has_claims));
        }
    }

    fn pod_changed(&self, change: &Change, queue: &WorkQueue<Waiting>) {
        let pod = change.object();
        let node = facts::node(pod);
        if change.is_deleted() || facts::is_finished(pod) {
            let freed = self.ledger.lock().remove(pod.uid());
            self.parked.lock().remove(&Key::of(pod));
            if freed {
                self.unpark(queue, |_| true);
            }
        } else if !node.is_empty() {
            if stands_anew(change) {
                self.ledger.lock().place(pod, node);
                self.parked.lock().remove(&Key::of(pod));
                self.unpark(queue, |parked| parked.looks_at_neighbours);
            }
        } else if is_ours(pod) && changes_fit(change) {
            let nominated = pod.text(&["status", "nominatedNodeName"]);
            if change.old().is_none() && !nominated.is_empty() {
                self.ledger.lock().nominate(pod, nominated);
            }
            queue.add(Waiting::of(pod));
        }
    }

    fn node_changed(&self, change: &Change, queue: &WorkQueue<Waiting>) {
        let mut ledger = self.ledger.lock();
        let better = if change.is_deleted() {
            ledger.remove_node(change.object().name());
            false
        } else {
            ledger.set_node(change.object())
        };
        drop(ledger);
        if better {
            self.unpark(queue, |_| true);
        }
    }

    fn namespace_changed(&self, change: &Change, queue: &WorkQueue<Waiting>) {
        let namespace = change.object();
        if change.is_deleted() {
            self.ledger.lock().remove_namespace(namespace.name());
            return;
        }
        let same = |old: &Object| old.labels() == namespace.labels();
        if change.old().is_some_and(|old| same(old)) {
            return;
        }
        self.ledger.lock().set_namespace(namespace);
        self.unpark(queue, |parked| parked.looks_at_neighbours);
    }

    /// Pods that waited for something like this are tried again.
    fn unpark(&self, queue: &WorkQueue<Waiting>, wanted: impl Fn(Parked) -> bool) {
        let mut parked = self.parked.lock();
        parked.retain(|key, one| {
            let leaves = wanted(*one);
            if leaves {
                queue.add(Waiting {
                    priority: one.priority,
                    key: key.clone(),
                });
            }
            !leaves
        });
    }

    async fn schedule(&self, waiting: &Waiting) -> Result<Outcome, ClientError> {
        for informer in [&self.nodes, &self.pods, &self.namespaces, &self.budgets] {
            informer.synced().await;
        }
        let key = &waiting.key;
        let pod = self.pods.get(&key.namespace, &key.name);
        let Some(pod) = pod.filter(|pod| is_ours(pod) && facts::node(pod).is_empty()) else {
            return Ok(Outcome::Done);
        };
        if is_gated(&pod) {
            return self.gated(&pod).await;
        }
        self.claims.synced().await;
        let turn = self.turn.lock().await;
        let decision = self.decide(&pod, waiting);
        drop(turn);
        match decision {
            Decision::Given => return Ok(Outcome::Done),
            Decision::Reserve(writes) => {
                claims::execute(&self.client, writes).await?;
            }
            Decision::Bind(node) => return self.bind(&pod, &node).await,
            Decision::Refuse(refusal, Ok((node, evicted))) => {
                self.refuse(&pod, &refusal, Some(&node)).await?;
                self.push_out(&pod, &node, &evicted).await?;
            }
            Decision::Refuse(mut refusal, Err(why)) => {
                why.words().clone_into(&mut refusal.preemption);
                let nominated = pod.text(&["status", "nominatedNodeName"]);
                let waits = matches!(why, Refused::Waits(_)).then_some(nominated);
                self.refuse(&pod, &refusal, waits).await?;
            }
            Decision::Unanswered(refusal) => {
                self.refuse(&pod, &refusal, None).await?;
                return Ok(Outcome::Again(UNANSWERED));
            }
        }
        // Nobody tells when those who have a say change their minds.
        let heard = [UNSCHEDULABLE, UNANSWERED][usize::from(self.extender.is_there())];
        Ok(Outcome::Again(heard))
    }

    fn decide(&self, pod: &Object, waiting: &Waiting) -> Decision {
        // What changes from here on may make it fit, and takes it out again.
        let parked = Parked {
            priority: waiting.priority,
            looks_at_neighbours: looks_at_neighbours(pod),
            has_claims: osier_claims::claims(pod).next().is_some(),
        };
        self.parked.lock().insert(waiting.key.clone(), parked);
        let decision = self.look(pod);
        if !matches!(decision, Decision::Refuse(..) | Decision::Reserve(_)) {
            self.parked.lock().remove(&waiting.key);
        }
        decision
    }

    /// What those who have a say think of the nodes that the pod fits. They are asked without the ledger: it need not wait for them.
    fn opinions(&self, pod: &Object) -> Result<Opinions, Refusal> {
        if !self.extender.is_there() {
            return Ok(Opinions::default());
        }
        let candidates = self.ledger.lock().feasible(pod);
        match self.extender.opinions(pod, &candidates) {
            Ok(opinions) => Ok(Opinions::of(candidates, opinions)),
            Err(reason) => Err(Refusal {
                nodes: candidates.len(),
                reasons: [(reason, candidates.len())].into(),
                preemption: String::new(),
            }),
        }
    }

    fn look(&self, pod: &Object) -> Decision {
        if self.ledger.lock().holds(pod.uid()) {
            return Decision::Given;
        }
        let given = |uid: &str| self.ledger.lock().holds(uid);
        match osier_claims::reach(pod, &self.claims, &given) {
            Ok(reach) => self.ledger.lock().reaches(pod, reach),
            Err(why) => return self.unreachable(pod, why),
        }
        match self.opinions(pod) {
            Ok(opinions) => self.choose(pod, &opinions),
            Err(refusal) => Decision::Unanswered(refusal),
        }
    }

    fn choose(&self, pod: &Object, opinions: &Opinions) -> Decision {
        let mut ledger = self.ledger.lock();
        let refusal = match ledger.choose(pod, opinions) {
            Ok(node) => return self.reserve(&mut ledger, pod, node),
            Err(refusal) => refusal,
        };
        let budgets = self.budgets.list();
        let budgets: Vec<Budget> = budgets.iter().filter_map(|one| Budget::of(one)).collect();
        let preempted = ledger.preempt(pod, &budgets);
        if matches!(preempted, Err(Refused::No(_))) {
            ledger.denominate(pod.uid());
        }
        Decision::Refuse(refusal, preempted)
    }

    /// No node will do as long as its claims are as they are.
    fn unreachable(&self, pod: &Object, why: String) -> Decision {
        let mut ledger = self.ledger.lock();
        ledger.denominate(pod.uid());
        let nodes = ledger.nodes();
        let words = format!("0/{nodes} nodes are available: {nodes} {UNHELPFUL}");
        Decision::Refuse(Refusal::everywhere(nodes, why), Err(Refused::No(words)))
    }

    /// A pod is bound when its claims have their volumes; until then its place is kept.
    fn reserve(&self, ledger: &mut Ledger, pod: &Object, node: String) -> Decision {
        let none = BTreeMap::new();
        let site = Site {
            name: &node,
            labels: ledger.labels(&node).unwrap_or(&none),
        };
        match osier_claims::reserve(pod, site, &self.claims) {
            Reserved::Ready => Decision::Bind(node),
            Reserved::Waits(writes) => {
                ledger.remove(pod.uid());
                ledger.nominate(pod, &node);
                Decision::Reserve(writes)
            }
        }
    }

    async fn bind(&self, pod: &Object, node: &str) -> Result<Outcome, ClientError> {
        match self.client.bind(pod.namespace(), pod.name(), node).await {
            Ok(()) => {
                let message = format!(
                    "Successfully assigned {}/{} to {node}",
                    pod.namespace(),
                    pod.name()
                );
                self.recorder
                    .normal(&Reference::to(pod), "Scheduled", message);
                Ok(Outcome::Done)
            }
            Err(error) => {
                self.ledger.lock().remove(pod.uid());
                if error.is_not_found() || error.is_conflict() {
                    return Ok(Outcome::Done);
                }
                let message = format!("Binding to {node} failed: {error}");
                self.recorder
                    .warning(&Reference::to(pod), "FailedScheduling", message);
                Err(error)
            }
        }
    }

    /// Says why the pod waits, and for which node if it is promised one.
    async fn refuse(
        &self,
        pod: &Object,
        refusal: &Refusal,
        nominated: Option<&str>,
    ) -> Result<(), ClientError> {
        let message = refusal.to_string();
        let said = facts::condition(pod, "PodScheduled").is_some_and(|condition| {
            condition["status"] == "False" && condition["message"] == message.as_str()
        });
        let same = pod.text(&["status", "nominatedNodeName"]) == nominated.unwrap_or_default();
        if said && same {
            return Ok(());
        }
        if !said {
            self.recorder
                .warning(&Reference::to(pod), "FailedScheduling", message.as_str());
        }
        let patch = json!({"status": {"phase": "Pending", "nominatedNodeName": nominated,
            "conditions": with_condition(pod, "Unschedulable", &message)}});
        let of = (pod.namespace(), pod.name());
        gone_is_fine(self.client.patch(&PODS, of, patch, Part::Status).await)
    }

    /// Says that the pod waits until somebody takes its gates away; that is a change of it, which brings it back.
    async fn gated(&self, pod: &Object) -> Result<Outcome, ClientError> {
        let said = facts::condition(pod, "PodScheduled");
        if said.is_none_or(|said| said["reason"] != GATED) {
            let conditions = with_condition(pod, GATED, BLOCKED);
            let patch = json!({"status": {"phase": "Pending", "conditions": conditions}});
            let of = (pod.namespace(), pod.name());
            gone_is_fine(self.client.patch(&PODS, of, patch, Part::Status).await)?;
        }
        Ok(Outcome::Done)
    }

    async fn push_out(
        &self,
        pod: &Object,
        node: &str,
        evicted: &[Evicted],
    ) -> Result<(), ClientError> {
        let words = format!("Preempted by pod {} on node {node}", pod.uid());
        let why = Why {
            reason: "PreemptionByScheduler",
            message: format!("{NAME}: preempting to accommodate a higher priority pod"),
        };
        for one in evicted {
            let mut about = Reference::named(&PODS, &one.namespace, &one.name);
            about.uid.clone_from(&one.uid);
            self.recorder.normal(&about, "Preempted", words.as_str());
            let of = (one.namespace.as_str(), one.name.as_str());
            leaving::evict(&self.client, of, &one.uid, &why).await?;
        }
        Ok(())
    }
}

impl Waiting {
    fn of(pod: &Object) -> Self {
        let priority = pod.get(&["spec", "priority"]).and_then(Value::as_i64);
        let priority = priority.and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
        Self {
            priority,
            key: Key::of(pod),
        }
    }
}

/// A pod that waits for this scheduler.
fn is_ours(pod: &Object) -> bool {
    let name = pod.text(&["spec", "schedulerName"]);
    facts::is_active(pod) && (name.is_empty() || name == NAME)
}

/// Our own status writes must not make us try again.
fn changes_fit(change: &Change) -> bool {
    change.old().is_none_or(|old| {
        let new = change.object();
        old.get(&["spec"]) != new.get(&["spec"]) || old.labels() != new.labels() || !is_ours(old)
    })
}

/// The pod came to its node, or means something else to its neighbours than before.
fn stands_anew(change: &Change) -> bool {
    let new = change.object();
    change.old().is_none_or(|old| {
        let leaves = |pod: &Object| pod.deletion_timestamp().is_some();
        facts::node(old) != facts::node(new)
            || facts::is_finished(old)
            || leaves(old) != leaves(new)
            || old.get(&["metadata", "labels"]) != new.get(&["metadata", "labels"])
            || old.get(&["spec", "containers"]) != new.get(&["spec", "containers"])
    })
}

fn with_condition(pod: &Object, reason: &str, message: &str) -> Vec<Value> {
    let conditions = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(
        json!({"type": "PodScheduled", "status": "False", "reason": reason,
        "message": message, "lastTransitionTime": clock::seconds(clock::now())}),
    );
    conditions
}
