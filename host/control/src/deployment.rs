//! The Deployment controller: one replica set a revision of the template, and a rollout from one to
//! the next within the bounds that the strategy gives.

mod decide;
mod revision;
mod status;
#[cfg(test)]
mod tests;
mod wanted;
mod written;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use osier_client::{
    CONTROLLER, Change, Client, ClientError, DeleteOptions, Informer, Part, Recorder, Reference,
    WorkQueue,
};
use osier_process::clock;
use serde_json::{Value, json};

use crate::Context;
use crate::facts;
use crate::ownership::{self, Owner};
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use decide::{Plan, Step, Write, decide};
use revision::{REVISION, same_template};
use status::{News, Report};
use wanted::{Strategy, Wanted};
use written::Written;

const WORKERS: usize = 4;
/// The next look while a write of ours is not seen yet.
const SOON: Duration = Duration::from_millis(20);

struct Deployments {
    client: Client,
    recorder: Recorder,
    deployments: Arc<Informer>,
    sets: Arc<Informer>,
    pods: Arc<Informer>,
    written: Written,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(deployments), Some(sets), Some(pods)) = (
        informers.of(&DEPLOYMENTS),
        informers.of(&REPLICA_SETS),
        informers.of(&PODS),
    ) else {
        return;
    };
    let this = Arc::new(Deployments {
        client: context.client.clone(),
        recorder: context.recorder("deployment-controller"),
        deployments: Arc::clone(deployments),
        sets: Arc::clone(sets),
        pods: Arc::clone(pods),
        written: Written::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run(
        "deployment",
        &queue,
        (WORKERS, &context.tasks),
        move |key| {
            let this = Arc::clone(&this);
            async move { this.reconcile(&key).await }
        },
    );
}

impl Deployments {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, this) = (queue.clone(), Arc::clone(self));
        self.deployments.on_change(move |change| {
            if change.is_deleted() {
                this.written.forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        let (of_sets, this) = (queue.clone(), Arc::clone(self));
        self.sets.on_change(move |change| {
            for key in this.concerned(change) {
                of_sets.add(key);
            }
        });
        let (queue, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            if let Some(key) = this.waits_for(change) {
                queue.add(key);
            }
        });
    }

    /// The Deployments that a change of a replica set concerns: its owner now and before, or all
    /// that could adopt it.
    fn concerned(&self, change: &Change) -> Vec<Key> {
        let set = change.object();
        let states = [Some(set), change.old()].into_iter().flatten();
        let owners = states.filter_map(|set| set.controller_of());
        let mut keys: Vec<Key> = owners
            .filter(|owner| owner.kind == DEPLOYMENTS.kind)
            .map(|owner| Key::new(set.namespace(), &owner.name))
            .collect();
        if set.controller_of().is_none() && !change.is_deleted() {
            let candidates = self.deployments.list_in(set.namespace());
            let selecting = candidates
                .iter()
                .filter(|deployment| Owner::of(deployment).selects(set));
            keys.extend(selecting.map(|deployment| Key::of(deployment)));
        }
        keys.dedup();
        keys
    }

    /// The Deployment that recreates and may wait for the end of this pod.
    fn waits_for(&self, change: &Change) -> Option<Key> {
        let pod = change.object();
        if !change.is_deleted() && !facts::is_finished(pod) {
            return None;
        }
        let owner = pod.controller_of()?;
        let set = self.sets.get(pod.namespace(), &owner.name)?;
        let owner = set.controller_of()?;
        let deployment = self.deployments.get(pod.namespace(), &owner.name)?;
        let recreates = Wanted::of(&deployment).strategy == Strategy::Recreate;
        recreates.then(|| Key::of(&deployment))
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        for informer in [&self.deployments, &self.sets, &self.pods] {
            informer.synced().await;
        }
        let Some(deployment) = self.deployments.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        if !self.written.seen(deployment.uid(), &self.sets) {
            return Ok(Outcome::Again(SOON));
        }
        let wanted = Wanted::of(&deployment);
        let populated = self.populated(&deployment, &wanted);
        let sets = self.sets.list_in(&key.namespace);
        let plan = decide(&deployment, &wanted, &sets, &populated);
        let (resource, claim) = (&REPLICA_SETS, &plan.claim);
        ownership::settle(&self.client, resource, &deployment, claim).await?;
        let mut report = plan.report(&deployment, &wanted, clock::now());
        let done = self.execute(&deployment, &wanted, &plan).await;
        if let (Err(error), News::Created(name)) = (&done, &report.news) {
            report.news = News::Failed(name.clone(), error.to_string());
        }
        self.note_revision(&deployment, &plan).await?;
        let status = self
            .report(&report, done.as_ref().copied().unwrap_or(false))
            .await?;
        done?;
        let again = report.look_again(&status);
        Ok(again.map_or(Outcome::Done, Outcome::Again))
    }

    /// Replica sets with pods that have not ended; only who recreates needs to know.
    fn populated(&self, deployment: &Object, wanted: &Wanted) -> HashSet<String> {
        if wanted.strategy != Strategy::Recreate {
            return HashSet::new();
        }
        let pods = self.pods.list_in(deployment.namespace());
        pods.iter()
            .filter(|pod| !facts::is_finished(pod) && wanted.owner.selects(pod))
            .filter_map(|pod| Some(pod.controller_of()?.uid))
            .collect()
    }

    /// Takes the steps in turn. The result is whether the name of the new replica set is taken.
    async fn execute(
        &self,
        deployment: &Object,
        wanted: &Wanted,
        plan: &Plan,
    ) -> Result<bool, ClientError> {
        for step in &plan.steps {
            match step {
                Step::Create(set) => {
                    if self.create(deployment, wanted, set).await? {
                        return Ok(true);
                    }
                }
                Step::Write(write) => self.write(deployment, write).await?,
                Step::Delete(set) => {
                    let of = (set.namespace(), set.name());
                    let options = DeleteOptions::exactly(set);
                    gone_is_fine(self.client.delete(&REPLICA_SETS, of, &options).await)?;
                }
            }
        }
        Ok(false)
    }

    /// Creates the new replica set. `true` if another one has its name.
    async fn create(
        &self,
        deployment: &Object,
        wanted: &Wanted,
        set: &Object,
    ) -> Result<bool, ClientError> {
        match self.client.create(&REPLICA_SETS, set).await {
            Ok(created) => {
                self.written.note(deployment.uid(), &created);
                let replicas = set.get(&["spec", "replicas"]).and_then(Value::as_u64);
                if let Some(replicas) = replicas.filter(|replicas| *replicas > 0) {
                    self.scaled(deployment, set, (0, replicas));
                }
                Ok(false)
            }
            Err(error) if error.is_already_exists() => {
                let (namespace, name) = (set.namespace(), set.name());
                let there = self.client.get(&REPLICA_SETS, namespace, name).await?;
                let ours = wanted.owner.owns(&there) && same_template(&wanted.template, &there);
                if ours {
                    self.written.note(deployment.uid(), &there);
                }
                Ok(!ours)
            }
            Err(error) => {
                let words = format!("Failed to create new replica set {:?}: {error}", set.name());
                let about = Reference::to(deployment);
                self.recorder
                    .warning(&about, "ReplicaSetCreateError", words);
                Err(error)
            }
        }
    }

    async fn write(&self, deployment: &Object, write: &Write) -> Result<(), ClientError> {
        let set = &write.set;
        // Decided from this state of the replica set and no other.
        let patch = json!({
            "metadata": {"resourceVersion": set.resource_version().to_string(), "uid": set.uid(),
                "annotations": write.annotations},
            "spec": {"replicas": write.replicas, "minReadySeconds": write.min_ready},
        });
        let of = (set.namespace(), set.name());
        let written = self
            .client
            .patch(&REPLICA_SETS, of, patch, Part::Whole)
            .await?;
        self.written.note(deployment.uid(), &written);
        if write.before != write.replicas {
            let sizes = (write.before as u64, write.replicas as u64);
            self.scaled(deployment, set, sizes);
        }
        Ok(())
    }

    fn scaled(&self, deployment: &Object, set: &Object, (before, now): (u64, u64)) {
        let way = if now > before { "up" } else { "down" };
        let words = format!(
            "Scaled {way} replica set {} from {before} to {now}",
            set.name()
        );
        let about = Reference::to(deployment);
        self.recorder.normal(&about, "ScalingReplicaSet", words);
    }

    async fn note_revision(&self, deployment: &Object, plan: &Plan) -> Result<(), ClientError> {
        let Some(revision) = plan.revision.map(|revision| revision.to_string()) else {
            return Ok(());
        };
        if deployment.annotation(REVISION) == Some(revision.as_str()) {
            return Ok(());
        }
        let patch =
            json!({"metadata": {"uid": deployment.uid(), "annotations": {REVISION: revision}}});
        let of = (deployment.namespace(), deployment.name());
        let patched = self
            .client
            .patch(&DEPLOYMENTS, of, patch, Part::Whole)
            .await;
        gone_is_fine(patched)
    }

    /// Writes the status if it says something new; `collided` counts one more collision of names.
    async fn report(&self, report: &Report<'_>, collided: bool) -> Result<Value, ClientError> {
        let deployment = report.deployment;
        let mut status = report.status();
        if collided {
            status["collisionCount"] = (report.wanted.collisions + 1).into();
        }
        let said = deployment.get(&["status"]).unwrap_or(&Value::Null);
        let fields = status.as_object().into_iter().flatten();
        let mut news = fields.filter(|(field, value)| said.get(field) != Some(value));
        if news.next().is_some() {
            let of = (deployment.namespace(), deployment.name());
            let patch = json!({"status": status});
            let patched = self.client.patch(&DEPLOYMENTS, of, patch, Part::Status);
            gone_is_fine(patched.await)?;
        }
        Ok(status)
    }
}
