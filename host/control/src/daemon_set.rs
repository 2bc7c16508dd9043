//! Daemon sets: one pod on each node that fits, replaced a few at a time.

mod decide;
mod pod;
#[cfg(test)]
mod tests;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{DAEMON_SETS, NODES, PODS};
use osier_client::{CONTROLLER, Change, Client, ClientError, Informer, WorkQueue};
use osier_process::clock;
use serde_json::{Value, json};

use crate::history::{Histories, LABEL, hash};
use crate::owned::OwnedPods;
use crate::pod_control::{Orders, PodControl};
use crate::reconcile::{self, Key, Outcome};
use crate::{Context, ownership, reporting};
use decide::{Plan, decide};
use wanted::Wanted;

const WORKERS: usize = 2;
/// The next look while a revision that was written is not seen yet.
const SOON: Duration = Duration::from_millis(20);

struct DaemonSets {
    client: Client,
    control: PodControl,
    sets: Arc<Informer>,
    pods: Arc<Informer>,
    nodes: Arc<Informer>,
    owned: Arc<OwnedPods>,
    histories: Histories,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, owned: &Arc<OwnedPods>) {
    let informers = &context.informers;
    let (Some(sets), Some(pods), Some(nodes), Some(histories)) = (
        informers.of(&DAEMON_SETS),
        informers.of(&PODS),
        informers.of(&NODES),
        Histories::new(context, &DAEMON_SETS),
    ) else {
        return;
    };
    let this = Arc::new(DaemonSets {
        client: context.client.clone(),
        control: PodControl::new(context, &context.recorder("daemonset-controller")),
        sets: Arc::clone(sets),
        pods: Arc::clone(pods),
        nodes: Arc::clone(nodes),
        owned: Arc::clone(owned),
        histories,
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run("daemon-set", &queue, tasks, move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl DaemonSets {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, this) = (queue.clone(), Arc::clone(self));
        self.sets.on_change(move |change| {
            if change.is_deleted() {
                this.control.forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        self.histories.listen(queue);
        let (of_pods, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            this.control.note(change);
            for key in ownership::concerned(change, &this.sets) {
                of_pods.add(key);
            }
        });
        let (queue, this) = (queue.clone(), Arc::clone(self));
        self.nodes.on_change(move |change| {
            if concerns_all(change) {
                for set in this.sets.list() {
                    queue.add(Key::of(&set));
                }
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        for informer in [&self.sets, &self.pods, &self.nodes] {
            informer.synced().await;
        }
        self.histories.synced().await;
        let Some(set) = self.sets.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let wanted = Wanted::of(&set);
        let fulfilled = self.control.fulfilled(set.uid());
        let history = self.histories.of(&set, &wanted.owner).await?;
        let Some((history, newest)) = history
            .as_ref()
            .and_then(|history| Some((history, history.newest()?)))
        else {
            let waits = !wanted.owner.leaving;
            return Ok(waits.then_some(SOON).map_or(Outcome::Done, Outcome::Again));
        };
        let (nodes, pods) = (self.nodes.list(), self.owned.of(&key.namespace, set.uid()));
        let plan = decide(&wanted, hash(newest), (&nodes, &pods), clock::now());
        self.control.settle(&set, &plan.claim).await?;
        let managed = if fulfilled {
            let orders = orders(&set, hash(newest), &plan);
            self.control.execute(&set, orders).await
        } else {
            Ok(())
        };
        reporting::report(&self.client, &DAEMON_SETS, &set, status(&set, &plan)).await?;
        managed?;
        let pods = plan.claim.mine.iter();
        let labels: Vec<&str> = pods.filter_map(|pod| pod.label(LABEL)).collect();
        self.histories
            .prune(history, |old| labels.contains(&hash(old)), wanted.history)
            .await?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }
}

/// A node came, went, or changed in what decides about pods on it.
fn concerns_all(change: &Change) -> bool {
    let new = change.object();
    let same = |old: &Object| {
        let part = |node: &Object, path: &[&str]| node.get(path).cloned();
        [["metadata", "labels"], ["spec", "taints"]]
            .iter()
            .all(|path| part(old, path) == part(new, path))
    };
    change.is_deleted() || !change.old().is_some_and(|old| same(old))
}

fn orders(set: &Object, hash: &str, plan: &Plan) -> Orders {
    let pods = plan.create.iter().map(|node| pod::pod(set, hash, node));
    Orders {
        create: pods.collect(),
        delete: plan.delete.clone(),
    }
}

fn status(set: &Object, plan: &Plan) -> Value {
    let counts = plan.counts;
    json!({
        "observedGeneration": set.generation(),
        "desiredNumberScheduled": counts.desired,
        "currentNumberScheduled": counts.current,
        "numberMisscheduled": counts.misplaced,
        "numberReady": counts.ready,
        "numberAvailable": counts.available,
        "numberUnavailable": counts.desired.saturating_sub(counts.available),
        "updatedNumberScheduled": counts.updated,
    })
}
