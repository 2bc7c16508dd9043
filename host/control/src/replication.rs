//! Replication controllers and replica sets: each keeps the number of pods that its spec asks for.

mod decide;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use osier_api::resources::{PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use osier_api::{Object, Resource};
use osier_client::{CONTROLLER, Client, ClientError, Informer, Part, WorkQueue};
use osier_process::clock;
use serde_json::{Value, json};

use crate::Context;
use crate::owned::OwnedPods;
use crate::ownership;
use crate::pod_control::{Orders, PodControl};
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::template;
use decide::{Counts, Wanted, decide};

/// Controllers of a kind that are reconciled at once.
const WORKERS: usize = 4;

struct Replication {
    resource: &'static Resource,
    client: Client,
    control: PodControl,
    controllers: Arc<Informer>,
    pods: Arc<Informer>,
    owned: Arc<OwnedPods>,
}

/// Starts the controllers of both kinds.
pub(crate) fn start(context: &Context, owned: &Arc<OwnedPods>) {
    for (resource, component) in [
        (&REPLICATION_CONTROLLERS, "replication-controller"),
        (&REPLICA_SETS, "replicaset-controller"),
    ] {
        start_kind(context, resource, component, owned);
    }
}

fn start_kind(
    context: &Context,
    resource: &'static Resource,
    component: &'static str,
    owned: &Arc<OwnedPods>,
) {
    let informers = &context.informers;
    let (Some(controllers), Some(pods)) = (informers.of(resource), informers.of(&PODS)) else {
        return;
    };
    let this = Arc::new(Replication {
        resource,
        client: context.client.clone(),
        control: PodControl::new(context, &context.recorder(component)),
        controllers: Arc::clone(controllers),
        pods: Arc::clone(pods),
        owned: Arc::clone(owned),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run(component, &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Replication {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, this) = (queue.clone(), Arc::clone(self));
        self.controllers.on_change(move |change| {
            if change.is_deleted() {
                this.control.forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        let (queue, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            this.control.note(change);
            for key in ownership::concerned(change, &this.controllers) {
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
        let fulfilled = self.control.fulfilled(controller.uid());
        let pods = self.owned.of(&key.namespace, controller.uid());
        let plan = decide(&wanted, &pods, clock::now());
        self.control.settle(&controller, &plan.claim).await?;
        let managed = if fulfilled {
            let orders = Orders {
                create: vec![template::pod(&controller); plan.create],
                delete: plan.delete,
            };
            self.control.execute(&controller, orders).await
        } else {
            Ok(())
        };
        let failure = match &managed {
            Err(error) => Failure::Found(error.to_string()),
            Ok(()) if fulfilled => Failure::None,
            Ok(()) => Failure::Unknown,
        };
        self.report(&controller, plan.counts, &failure).await?;
        managed?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    async fn report(
        &self,
        controller: &Object,
        counts: Counts,
        failure: &Failure,
    ) -> Result<(), ClientError> {
        let status = status(controller, counts, failure);
        if covers(controller.get(&["status"]), &status) {
            return Ok(());
        }
        let of = (controller.namespace(), controller.name());
        let patch = json!({"status": status});
        gone_is_fine(
            self.client
                .patch(self.resource, of, patch, Part::Status)
                .await,
        )
    }
}

/// What is known of why pods are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// Nothing failed.
    None,
    /// Nothing was tried.
    Unknown,
    /// The words of the first failure.
    Found(String),
}

/// The status to write; `null` removes a condition that no longer holds. A failure that is told already is not told again in
/// other words, for each has the name of another pod: every write would bring the next try at once, whatever the back-off.
fn status(controller: &Object, counts: Counts, failure: &Failure) -> Value {
    let told = crate::facts::condition(controller, "ReplicaFailure");
    let condition = match (told, failure) {
        (_, Failure::None) | (None, Failure::Unknown) => Value::Null,
        (Some(told), _) => json!([told]),
        (None, Failure::Found(message)) => json!([{"type": "ReplicaFailure", "status": "True",
            "reason": "FailedCreate", "message": message, "lastTransitionTime": clock::seconds(clock::now())}]),
    };
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
