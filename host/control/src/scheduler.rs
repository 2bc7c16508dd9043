//! The scheduler: gives every pod without a node one that fits, the least allocated first.
//!
//! The ledger of what each node carries is kept up to date by the informers and by the scheduler's
//! own decisions, so that two pods decided at once never count on the same room.

mod fit;
mod ledger;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{NODES, PODS};
use osier_client::{
    Backoff, Change, Client, ClientError, Informer, Part, Recorder, Reference, WorkQueue,
};
use osier_process::clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Context;
use crate::facts;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use fit::{Demand, Refusal};
use ledger::Ledger;

/// Decisions are made one at a time; this many bindings are written at once.
const WORKERS: usize = 8;
/// A pod that fits nowhere is tried again when the cluster changes, and after this long anyway.
const UNSCHEDULABLE: Duration = Duration::from_secs(60);
const NAME: &str = "default-scheduler";

struct Scheduler {
    client: Client,
    recorder: Recorder,
    pods: Arc<Informer>,
    nodes: Arc<Informer>,
    ledger: Mutex<Ledger>,
    /// Pods that fitted nowhere when last tried.
    parked: Mutex<BTreeSet<Key>>,
}

/// Starts the scheduler.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(pods), Some(nodes)) = (informers.of(&PODS), informers.of(&NODES)) else {
        return;
    };
    let this = Arc::new(Scheduler {
        client: context.client.clone(),
        recorder: context.recorder(NAME),
        pods: Arc::clone(pods),
        nodes: Arc::clone(nodes),
        ledger: Mutex::new(Ledger::default()),
        parked: Mutex::new(BTreeSet::new()),
    });
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let queue = WorkQueue::new(backoff);
    this.listen(&queue);
    reconcile::run("scheduler", &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.schedule(&key).await }
    });
}

impl Scheduler {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (this, own) = (Arc::clone(self), queue.clone());
        self.pods
            .on_change(move |change| this.pod_changed(change, &own));
        let (this, queue) = (Arc::clone(self), queue.clone());
        self.nodes
            .on_change(move |change| this.node_changed(change, &queue));
    }

    fn pod_changed(&self, change: &Change, queue: &WorkQueue<Key>) {
        let pod = change.object();
        let gone = change.is_deleted() || facts::is_finished(pod);
        if gone {
            self.ledger.lock().remove(pod.uid());
            self.parked.lock().remove(&Key::of(pod));
            if !facts::node(pod).is_empty() {
                self.unpark(queue);
            }
        } else if !facts::node(pod).is_empty() {
            self.ledger
                .lock()
                .place(pod.uid(), facts::node(pod), Demand::of(pod));
            self.parked.lock().remove(&Key::of(pod));
        } else if is_ours(pod) && changes_fit(change) {
            queue.add(Key::of(pod));
        }
    }

    fn node_changed(&self, change: &Change, queue: &WorkQueue<Key>) {
        let mut ledger = self.ledger.lock();
        let better = if change.is_deleted() {
            ledger.remove_node(change.object().name());
            false
        } else {
            ledger.set_node(change.object())
        };
        drop(ledger);
        if better {
            self.unpark(queue);
        }
    }

    fn unpark(&self, queue: &WorkQueue<Key>) {
        for key in std::mem::take(&mut *self.parked.lock()) {
            queue.add(key);
        }
    }

    async fn schedule(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.nodes.synced().await;
        self.pods.synced().await;
        let pod = self.pods.get(&key.namespace, &key.name);
        let Some(pod) = pod.filter(|pod| is_ours(pod) && facts::node(pod).is_empty()) else {
            return Ok(Outcome::Done);
        };
        let chosen = self.ledger.lock().choose(&pod);
        match chosen {
            Ok(node) => self.bind(&pod, &node).await,
            Err(refusal) => self.refuse(&pod, key, &refusal).await,
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

    async fn refuse(
        &self,
        pod: &Object,
        key: &Key,
        refusal: &Refusal,
    ) -> Result<Outcome, ClientError> {
        self.parked.lock().insert(key.clone());
        let message = refusal.to_string();
        let before = facts::condition(pod, "PodScheduled");
        if before.is_some_and(|condition| {
            condition["status"] == "False" && condition["message"] == message.as_str()
        }) {
            return Ok(Outcome::Again(UNSCHEDULABLE));
        }
        self.recorder
            .warning(&Reference::to(pod), "FailedScheduling", message.as_str());
        let patch =
            json!({"status": {"phase": "Pending", "conditions": with_condition(pod, &message)}});
        gone_is_fine(
            self.client
                .patch(&PODS, key.pair(), patch, Part::Status)
                .await,
        )?;
        Ok(Outcome::Again(UNSCHEDULABLE))
    }
}

/// A pod that waits for this scheduler.
fn is_ours(pod: &Object) -> bool {
    let name = pod.text(&["spec", "schedulerName"]);
    facts::is_active(pod) && (name.is_empty() || name == NAME)
}

/// Our own status writes must not make us try again.
fn changes_fit(change: &Change) -> bool {
    change
        .old()
        .is_none_or(|old| old.get(&["spec"]) != change.object().get(&["spec"]) || !is_ours(old))
}

fn with_condition(pod: &Object, message: &str) -> Vec<Value> {
    let conditions = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let mut conditions = conditions.cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(
        json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": message, "lastTransitionTime": clock::seconds(clock::now())}),
    );
    conditions
}
