//! The controller of PodDisruptionBudgets: counts the pods that each speaks of, and how many of them evictions may take.

mod decide;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use osier_api::resources::{
    DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS,
};
use osier_api::{Object, Resource};
use osier_client::{CONTROLLER, Change, Client, ClientError, Informer, WorkQueue};
use osier_process::clock;
use serde_json::Value;

use crate::reconcile::{self, Key, Outcome};
use crate::{Context, reporting};
use decide::{Counted, decide, selects};

const WORKERS: usize = 2;
/// What says how many pods there shall be.
static SCALED: [&Resource; 4] = [
    &REPLICATION_CONTROLLERS,
    &REPLICA_SETS,
    &STATEFUL_SETS,
    &DEPLOYMENTS,
];

struct Budgets {
    client: Client,
    budgets: Arc<Informer>,
    pods: Arc<Informer>,
    /// Of [`SCALED`].
    scaled: Vec<Arc<Informer>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(budgets), Some(pods)) = (informers.of(&POD_DISRUPTION_BUDGETS), informers.of(&PODS))
    else {
        return;
    };
    let scaled = SCALED.iter().filter_map(|resource| informers.of(resource));
    let this = Arc::new(Budgets {
        client: context.client.clone(),
        budgets: Arc::clone(budgets),
        pods: Arc::clone(pods),
        scaled: scaled.cloned().collect(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run("disruption", &queue, tasks, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Budgets {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let own = queue.clone();
        self.budgets
            .on_change(move |change| own.add(Key::of(change.object())));
        let (of_pods, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            for budget in this.budgets.list_in(change.object().namespace()) {
                if concerns(&budget, change) {
                    of_pods.add(Key::of(&budget));
                }
            }
        });
        for informer in &self.scaled {
            let (queue, this) = (queue.clone(), Arc::clone(self));
            informer.on_change(move |change| this.scaled(change, &queue));
        }
    }

    /// How many pods there should be may have changed.
    fn scaled(&self, change: &Change, queue: &WorkQueue<Key>) {
        let size = |object: &Object| object.get(&["spec", "replicas"]).cloned();
        let new = change.object();
        if change.old().is_some_and(|old| size(old) == size(new)) {
            return;
        }
        for budget in self.budgets.list_in(new.namespace()) {
            queue.add(Key::of(&budget));
        }
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.budgets.synced().await;
        self.pods.synced().await;
        for informer in &self.scaled {
            informer.synced().await;
        }
        let Some(budget) = self.budgets.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let mut pods = self.pods.list_in(&key.namespace);
        pods.retain(|pod| selects(&budget, pod));
        let counted: Vec<Counted> = pods
            .iter()
            .map(|pod| Counted {
                pod: Arc::clone(pod),
                scale: self.scale(pod),
            })
            .collect();
        let plan = decide(&budget, &counted, clock::now());
        // An eviction may have spent of the budget meanwhile: counted from this state and no other.
        let written =
            reporting::report_from(&self.client, &POD_DISRUPTION_BUDGETS, &budget, plan.status);
        written.await?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    /// Who decides how many pods of this kind there are, by uid, and how many that shall be.
    fn scale(&self, pod: &Object) -> Option<(String, usize)> {
        let owner = self.owner_of(pod)?;
        let top = self.owner_of(&owner).unwrap_or(owner);
        let replicas = top.get(&["spec", "replicas"]).and_then(Value::as_u64);
        let replicas = usize::try_from(replicas.unwrap_or(1)).unwrap_or(usize::MAX);
        Some((top.uid().to_owned(), replicas))
    }

    fn owner_of(&self, object: &Object) -> Option<Arc<Object>> {
        let owner = object.controller_of()?;
        let mut informers = self.scaled.iter();
        let informer = informers.find(|informer| informer.resource().kind == owner.kind)?;
        let found = informer.get(object.namespace(), &owner.name)?;
        (found.uid() == owner.uid).then_some(found)
    }
}

/// The change alters what the budget counts.
fn concerns(budget: &Object, change: &Change) -> bool {
    let new = change.object();
    let seen = |pod: &Object| (selects(budget, pod), decide::is_healthy(pod));
    match change.old() {
        Some(old) => (selects(budget, new) || selects(budget, old)) && seen(old) != seen(new),
        None => selects(budget, new),
    }
}
