//! Stateful sets: pods with numbers for names that stay theirs, made and taken away in order, updated from the highest down.

mod decide;
mod pod;
#[cfg(test)]
mod tests;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{PODS, STATEFUL_SETS};
use osier_claims::Write;
use osier_client::{CONTROLLER, Client, ClientError, Informer, WorkQueue};
use osier_process::clock;
use serde_json::{Value, json};

use crate::claims::{self, Mirrors};
use crate::history::{Histories, History, LABEL};
use crate::owned::OwnedPods;
use crate::pod_control::{Orders, PodControl};
use crate::reconcile::{self, Key, Outcome};
use crate::{Context, facts, ownership, reporting};
use decide::{Plan, decide};
use wanted::{Revisions, Wanted};

const WORKERS: usize = 4;
/// The next look while a revision that was written is not seen yet.
const SOON: Duration = Duration::from_millis(20);

struct StatefulSets {
    client: Client,
    control: PodControl,
    sets: Arc<Informer>,
    pods: Arc<Informer>,
    owned: Arc<OwnedPods>,
    histories: Histories,
    claims: Mirrors,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, owned: &Arc<OwnedPods>) {
    let informers = &context.informers;
    let (Some(sets), Some(pods), Some(histories), Some(claims)) = (
        informers.of(&STATEFUL_SETS),
        informers.of(&PODS),
        Histories::new(context, &STATEFUL_SETS),
        Mirrors::of(informers),
    ) else {
        return;
    };
    let this = Arc::new(StatefulSets {
        client: context.client.clone(),
        control: PodControl::new(context, &context.recorder("statefulset-controller")),
        sets: Arc::clone(sets),
        pods: Arc::clone(pods),
        owned: Arc::clone(owned),
        histories,
        claims,
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run("stateful-set", &queue, tasks, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl StatefulSets {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, this) = (queue.clone(), Arc::clone(self));
        self.sets.on_change(move |change| {
            if change.is_deleted() {
                this.control.forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        self.histories.listen(queue);
        let (queue, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            this.control.note(change);
            for key in ownership::concerned(change, &this.sets) {
                queue.add(key);
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.sets.synced().await;
        self.pods.synced().await;
        self.histories.synced().await;
        self.claims.synced().await;
        let Some(set) = self.sets.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let wanted = Wanted::of(&set);
        let fulfilled = self.control.fulfilled(set.uid());
        let Some(history) = self.histories.of(&set, &wanted.owner).await? else {
            let waits = !wanted.owner.leaving;
            return Ok(waits.then_some(SOON).map_or(Outcome::Done, Outcome::Again));
        };
        let Some(revisions) = Revisions::of(&set, &history) else {
            return Ok(Outcome::Again(SOON));
        };
        let pods = self.owned.of(&key.namespace, set.uid());
        let plan = decide(&wanted, revisions.names(), &pods, clock::now());
        self.control.settle(&set, &plan.claim).await?;
        let managed = if fulfilled {
            let orders = orders(&set, &revisions, &plan);
            let claims = self.claims_of(&wanted, &set, &plan);
            claims::execute(&self.client, claims).await?;
            self.control.execute(&set, orders).await
        } else {
            Ok(())
        };
        let status = status(&set, &plan, revisions.names());
        reporting::report(&self.client, &STATEFUL_SETS, &set, status).await?;
        managed?;
        self.forget_history(&wanted, &history, (&revisions, &plan))
            .await?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    /// The claims that new pods lack, and whose those of the others are.
    fn claims_of(&self, wanted: &Wanted, set: &Object, plan: &Plan) -> Vec<Write> {
        let new = plan.create.iter();
        let mut writes: Vec<Write> = new
            .flat_map(|new| osier_claims::wanted(set, new.ordinal, &self.claims))
            .collect();
        for pod in &plan.claim.mine {
            if let Some(ordinal) = wanted.ordinal(pod.name()) {
                let condemned = !wanted.has(ordinal);
                writes.extend(self.claims_of_pod(set, (ordinal, pod), condemned));
            }
        }
        writes
    }

    fn claims_of_pod(&self, set: &Object, of: (usize, &Object), condemned: bool) -> Vec<Write> {
        let mut writes = osier_claims::owners(set, of, condemned, &self.claims);
        // A claim that went while its pod was waiting comes again.
        if facts::phase(of.1) == "Pending" && !condemned {
            writes.extend(osier_claims::wanted(set, of.0, &self.claims));
        }
        writes
    }

    /// Takes away revisions that no pod is of.
    async fn forget_history(
        &self,
        wanted: &Wanted,
        history: &History,
        (revisions, plan): (&Revisions, &Plan),
    ) -> Result<(), ClientError> {
        let (current, update) = revisions.names();
        let pods = plan.claim.mine.iter();
        let mut live: Vec<&str> = pods.filter_map(|pod| pod.label(LABEL)).collect();
        live.extend([current, update]);
        let live = |revision: &Object| live.contains(&revision.name());
        self.histories.prune(history, live, wanted.history).await
    }
}

fn orders(set: &Object, revisions: &Revisions, plan: &Plan) -> Orders {
    let pods = plan.create.iter().map(|new| {
        let revision = if new.updated {
            &revisions.update
        } else {
            &revisions.current
        };
        pod::pod(set, revision, new.ordinal)
    });
    Orders {
        create: pods.collect(),
        delete: plan.delete.clone(),
    }
}

fn status(set: &Object, plan: &Plan, (current, update): (&str, &str)) -> Value {
    let counts = plan.counts;
    let (current, of_current) = if plan.complete {
        (update, counts.updated)
    } else {
        (current, counts.current)
    };
    json!({
        "observedGeneration": set.generation(),
        "replicas": counts.replicas,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.available,
        "currentReplicas": of_current,
        "updatedReplicas": counts.updated,
        "currentRevision": current,
        "updateRevision": update,
    })
}
