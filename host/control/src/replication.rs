//! The replication controller: keeps the number of pods that its spec asks for.

mod decide;
mod expectations;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::{PODS, REPLICATION_CONTROLLERS};
use osier_client::{
    CONTROLLER, Change, Client, ClientError, DeleteOptions, Informer, Part, Recorder, Reference,
    WorkQueue,
};
use osier_process::clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use decide::{Counts, Plan, Wanted, decide, owner_reference, pod_from_template};
use expectations::Expectations;

/// Controllers reconciled at once.
const WORKERS: usize = 4;
/// Pods deleted at once.
const DELETIONS: usize = 32;

struct Replication {
    client: Client,
    recorder: Recorder,
    controllers: Arc<Informer>,
    pods: Arc<Informer>,
    expectations: Arc<Mutex<Expectations>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(controllers), Some(pods)) =
        (informers.of(&REPLICATION_CONTROLLERS), informers.of(&PODS))
    else {
        return;
    };
    let this = Arc::new(Replication {
        client: context.client.clone(),
        recorder: context.recorder("replication-controller"),
        controllers: Arc::clone(controllers),
        pods: Arc::clone(pods),
        expectations: Arc::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run(
        "replication",
        &queue,
        (WORKERS, &context.tasks),
        move |key| {
            let this = Arc::clone(&this);
            async move { this.reconcile(&key).await }
        },
    );
}

impl Replication {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, orders) = (queue.clone(), Arc::clone(&self.expectations));
        self.controllers.on_change(move |change| {
            if change.is_deleted() {
                orders.lock().forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        let (queue, expectations) = (queue.clone(), Arc::clone(&self.expectations));
        let controllers = Arc::clone(&self.controllers);
        self.pods.on_change(move |change| {
            note(&mut expectations.lock(), change);
            for key in concerned(change, &controllers) {
                queue.add(key);
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.controllers.synced().await;
        self.pods.synced().await;
        let Some(controller) = self.controllers.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let wanted = Wanted::of(&controller);
        let now = clock::now();
        // Asked before the pods are read: what is fulfilled here is visible in the list below.
        let fulfilled = self.expectations.lock().fulfilled(&wanted.uid, now);
        let plan = decide(&wanted, &self.pods.list_in(&key.namespace), now);
        self.claim(&controller, &plan).await?;
        let managed = if fulfilled {
            self.manage(&controller, &wanted, &plan).await
        } else {
            Ok(())
        };
        let failure = managed.as_ref().err().map(ToString::to_string);
        self.report(&controller, plan.counts, failure.as_deref())
            .await?;
        managed?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    async fn claim(&self, controller: &Object, plan: &Plan) -> Result<(), ClientError> {
        for pod in &plan.adopt {
            let mut owners = owners(pod);
            owners.push(owner_reference(controller));
            self.set_owners(pod, owners).await?;
        }
        for pod in &plan.release {
            let mut owners = owners(pod);
            owners.retain(|owner| owner["uid"] != controller.uid());
            self.set_owners(pod, owners).await?;
        }
        Ok(())
    }

    async fn set_owners(&self, pod: &Object, owners: Vec<Value>) -> Result<(), ClientError> {
        // With uid and revision, so that another pod of this name, or a race for it, is a conflict.
        let patch = json!({"metadata": {
            "uid": pod.uid(), "resourceVersion": pod.resource_version().to_string(), "ownerReferences": owners}});
        gone_is_fine(
            self.client
                .patch(&PODS, (pod.namespace(), pod.name()), patch, Part::Whole)
                .await,
        )
    }

    async fn manage(
        &self,
        controller: &Object,
        wanted: &Wanted,
        plan: &Plan,
    ) -> Result<(), ClientError> {
        let deletions: HashSet<String> =
            plan.delete.iter().map(|pod| pod.uid().to_owned()).collect();
        if plan.create == 0 && deletions.is_empty() {
            return Ok(());
        }
        self.expectations
            .lock()
            .order(&wanted.uid, plan.create, deletions, clock::now());
        self.create(controller, plan.create).await?;
        // Each is tried, whatever becomes of the others: what was expected must be seen or taken back.
        let mut outcome = Ok(());
        for pods in plan.delete.chunks(DELETIONS) {
            let deletions = pods.iter().map(|pod| self.delete(controller, pod));
            let deleted = futures::future::join_all(deletions).await;
            outcome = outcome.and(deleted.into_iter().collect());
        }
        outcome
    }

    /// Creates pods in batches of 1, 2, 4 and so on: when all would fail for one reason (a quota,
    /// an admission), it fails once and not five hundred times.
    async fn create(&self, controller: &Object, count: usize) -> Result<(), ClientError> {
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let size = batch.min(left);
            let created =
                futures::future::join_all((0..size).map(|_| self.create_one(controller))).await;
            left -= size;
            batch *= 2;
            let failed = created.iter().filter(|result| result.is_err()).count();
            if let Some(Err(error)) = created.into_iter().find(Result::is_err) {
                self.expectations
                    .lock()
                    .created(controller.uid(), left + failed);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn create_one(&self, controller: &Object) -> Result<(), ClientError> {
        let about = Reference::to(controller);
        let pod = Object::from_value(pod_from_template(controller).into()).map_err(|error| {
            ClientError::Malformed {
                request: format!("the template of {}", controller.name()),
                reason: error.to_string(),
            }
        })?;
        match self.client.create(&PODS, &pod).await {
            Ok(created) => {
                self.recorder.normal(
                    &about,
                    "SuccessfulCreate",
                    format!("Created pod: {}", created.name()),
                );
                Ok(())
            }
            Err(error) => {
                self.recorder
                    .warning(&about, "FailedCreate", format!("Error creating: {error}"));
                Err(error)
            }
        }
    }

    async fn delete(&self, controller: &Object, pod: &Object) -> Result<(), ClientError> {
        let about = Reference::to(controller);
        let deleted = self
            .client
            .delete(
                &PODS,
                (pod.namespace(), pod.name()),
                &DeleteOptions::exactly(pod),
            )
            .await;
        match deleted {
            Ok(()) => {
                self.recorder.normal(
                    &about,
                    "SuccessfulDelete",
                    format!("Deleted pod: {}", pod.name()),
                );
                Ok(())
            }
            Err(error) => {
                self.expectations
                    .lock()
                    .deleted(controller.uid(), pod.uid());
                if error.is_not_found() {
                    return Ok(());
                }
                self.recorder
                    .warning(&about, "FailedDelete", format!("Error deleting: {error}"));
                Err(error)
            }
        }
    }

    async fn report(
        &self,
        controller: &Object,
        counts: Counts,
        failure: Option<&str>,
    ) -> Result<(), ClientError> {
        let status = status(controller, counts, failure);
        if covers(controller.get(&["status"]), &status) {
            return Ok(());
        }
        let of = (controller.namespace(), controller.name());
        let patch = json!({"status": status});
        gone_is_fine(
            self.client
                .patch(&REPLICATION_CONTROLLERS, of, patch, Part::Status)
                .await,
        )
    }
}

/// Tells the expectations what a change of a pod fulfils.
fn note(expectations: &mut Expectations, change: &Change) {
    let pod = change.object();
    let Some(owner) = pod.controller_of() else {
        return;
    };
    let going = change.is_deleted() || pod.deletion_timestamp().is_some();
    if going {
        expectations.deleted(&owner.uid, pod.uid());
    }
    if matches!(change, Change::Added(_)) {
        expectations.created(&owner.uid, 1);
    }
}

/// The controllers that a change of a pod concerns: its owner now and before, or all that could
/// adopt it.
fn concerned(change: &Change, controllers: &Informer) -> Vec<Key> {
    let pod = change.object();
    let states = [Some(pod), change.old()];
    let owners = states
        .into_iter()
        .flatten()
        .filter_map(|pod| pod.controller_of());
    let mut keys: Vec<Key> = owners
        .filter(|owner| owner.kind == REPLICATION_CONTROLLERS.kind)
        .map(|owner| Key::new(pod.namespace(), &owner.name))
        .collect();
    if pod.controller_of().is_none() && !change.is_deleted() {
        let candidates = controllers.list_in(pod.namespace());
        keys.extend(
            candidates
                .iter()
                .filter(|rc| Wanted::of(rc).selects(pod))
                .map(|rc| Key::of(rc)),
        );
    }
    keys.dedup();
    keys
}

fn owners(pod: &Object) -> Vec<Value> {
    let owners = pod
        .get(&["metadata", "ownerReferences"])
        .and_then(Value::as_array);
    owners.cloned().unwrap_or_default()
}

/// The status to write; `null` removes a condition that no longer holds.
fn status(controller: &Object, counts: Counts, failure: Option<&str>) -> Value {
    let condition = failure.map(|message| {
        let before = crate::facts::condition(controller, "ReplicaFailure");
        let since = before.and_then(|condition| condition["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| clock::seconds(clock::now()), ToOwned::to_owned);
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": message, "lastTransitionTime": since}])
    });
    json!({
        "replicas": counts.replicas,
        "fullyLabeledReplicas": counts.fully_labeled,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "observedGeneration": controller.generation(),
        "conditions": condition,
    })
}

/// Writing `wanted` as a merge patch over `current` would change nothing. Absent and zero numbers
/// are the same: Kubernetes leaves zeros out.
fn covers(current: Option<&Value>, wanted: &Value) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    fields.into_iter().all(|(key, value)| {
        let now = current
            .and_then(|current| current.get(key))
            .unwrap_or(&Value::Null);
        now == value || (now.is_null() && value.as_u64() == Some(0) && key != "replicas")
    })
}
