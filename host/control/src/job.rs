//! The Job controller: runs pods until as many as asked for have succeeded, or too many failed.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{JOBS, PODS};
use osier_client::{
    CONTROLLER, Change, Client, ClientError, DeleteOptions, Informer, Part, Propagation, Recorder,
    Reference, WorkQueue,
};
use osier_process::clock;
use osier_workloads::job::{
    Done, End, FAILURES, FINALIZER, IGNORED, INDEX, Place, Plan, Wanted, decide, end, is_ours,
    status,
};
use serde_json::{Value, json};

use crate::Context;
use crate::pod_control::{Orders, PodControl};
use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::template;

const WORKERS: usize = 4;

struct Jobs {
    client: Client,
    recorder: Recorder,
    control: PodControl,
    jobs: Arc<Informer>,
    pods: Arc<Informer>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(jobs), Some(pods)) = (informers.of(&JOBS), informers.of(&PODS)) else {
        return;
    };
    let recorder = context.recorder("job-controller");
    let this = Arc::new(Jobs {
        client: context.client.clone(),
        control: PodControl::new(context, &recorder),
        recorder,
        jobs: Arc::clone(jobs),
        pods: Arc::clone(pods),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run("job", &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl Jobs {
    fn listen(self: &Arc<Self>, queue: &WorkQueue<Key>) {
        let (own, this) = (queue.clone(), Arc::clone(self));
        self.jobs.on_change(move |change| {
            if change.is_deleted() {
                this.control.forget(change.object().uid());
            }
            own.add(Key::of(change.object()));
        });
        let (queue, this) = (queue.clone(), Arc::clone(self));
        self.pods.on_change(move |change| {
            this.control.note(change);
            if let Some(key) = owner(change) {
                queue.add(key);
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.jobs.synced().await;
        self.pods.synced().await;
        let job = self.jobs.get(&key.namespace, &key.name);
        let fulfilled = job.as_ref().map(|job| self.control.fulfilled(job.uid()));
        let pods = self.pods.list_in(&key.namespace);
        let uid = job.as_ref().map_or("", |job| job.uid());
        let stray = |pod: &&Arc<Object>| is_of(pod, &key.name) && !is_owned(pod, uid);
        self.let_go(pods.iter().filter(stray)).await?;
        let Some(job) = job.filter(|job| is_ours(job)) else {
            return Ok(Outcome::Done);
        };
        if let Some((_, at)) = end(&job) {
            let mine = pods.iter().filter(|pod| is_of(pod, &key.name));
            self.let_go(mine).await?;
            return self.expire(&job, at).await;
        }
        let (wanted, done) = (Wanted::of(&job), Done::of(&job));
        let plan = decide(&wanted, &done, &pods, clock::now());
        self.control.settle(&job, &plan.claim).await?;
        self.let_go(plan.counted.iter()).await?;
        if plan.failure.is_none() {
            // What is not needed any longer does not count as failed.
            self.let_go(plan.delete.iter()).await?;
        }
        let managed = if fulfilled == Some(true) {
            let orders = orders(&job, &plan);
            self.control.execute(&job, orders).await
        } else {
            Ok(())
        };
        self.report(&job, &wanted, &plan).await?;
        managed?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    /// Takes our finalizer from pods that have been counted, or whose Job is gone or over.
    async fn let_go(
        &self,
        pods: impl Iterator<Item = &Arc<Object>>,
    ) -> Result<Outcome, ClientError> {
        for pod in pods {
            let finalizers = pod.finalizers();
            if !finalizers.contains(&FINALIZER) {
                continue;
            }
            let kept: Vec<&str> = finalizers
                .into_iter()
                .filter(|name| *name != FINALIZER)
                .collect();
            let patch = json!({"metadata": {"uid": pod.uid(), "finalizers": kept,
                "resourceVersion": pod.resource_version().to_string()}});
            let of = (pod.namespace(), pod.name());
            gone_is_fine(self.client.patch(&PODS, of, patch, Part::Whole).await)?;
        }
        Ok(Outcome::Done)
    }

    /// Deletes a Job that is over when its time to live has passed.
    async fn expire(&self, job: &Object, at: jiff::Timestamp) -> Result<Outcome, ClientError> {
        let Some(ttl) = Wanted::of(job)
            .ttl
            .filter(|_| job.deletion_timestamp().is_none())
        else {
            return Ok(Outcome::Done);
        };
        let passed = Duration::try_from(clock::now().duration_since(at)).unwrap_or_default();
        match ttl.checked_sub(passed).filter(|left| !left.is_zero()) {
            Some(left) => Ok(Outcome::Again(left)),
            None => {
                let options = DeleteOptions {
                    propagation: Some(Propagation::Foreground),
                    ..DeleteOptions::exactly(job)
                };
                let of = (job.namespace(), job.name());
                gone_is_fine(self.client.delete(&JOBS, of, &options).await)?;
                Ok(Outcome::Done)
            }
        }
    }

    async fn report(&self, job: &Object, wanted: &Wanted, plan: &Plan) -> Result<(), ClientError> {
        let status = status(job, wanted, plan, clock::now());
        if covers(job.get(&["status"]), &status) {
            return Ok(());
        }
        // Counted from this state of the Job and no other.
        let patch = json!({"metadata": {"uid": job.uid(), "resourceVersion": job.resource_version().to_string()},
            "status": status});
        let of = (job.namespace(), job.name());
        let patched = self.client.patch(&JOBS, of, patch, Part::Status).await;
        if let Ok(written) = &patched {
            self.tell(job, written);
        }
        gone_is_fine(patched)
    }

    /// The event of a Job's end.
    fn tell(&self, before: &Object, after: &Object) {
        let Some((how, _)) = end(after).filter(|_| end(before).is_none()) else {
            return;
        };
        let about = Reference::to(before);
        match how {
            End::Complete => self.recorder.normal(&about, "Completed", "Job completed"),
            End::Failed => {
                let condition = crate::facts::condition(after, "Failed");
                let text = |field: &str| {
                    condition
                        .and_then(|condition| condition[field].as_str())
                        .unwrap_or("Failed")
                };
                self.recorder
                    .warning(&about, text("reason"), text("message"));
            }
        }
    }
}

/// The Job of the pod; the key without a name stands for pods that their Job left behind.
fn owner(change: &Change) -> Option<Key> {
    let pod = change.object();
    match pod.controller_of() {
        Some(owner) if owner.kind == JOBS.kind => Some(Key::new(pod.namespace(), &owner.name)),
        None if pod.finalizers().contains(&FINALIZER) => Some(Key::new(pod.namespace(), "")),
        _ => None,
    }
}

fn is_of(pod: &Object, job: &str) -> bool {
    match pod.controller_of() {
        Some(owner) => owner.kind == JOBS.kind && owner.name == job,
        None => job.is_empty(),
    }
}

fn is_owned(pod: &Object, uid: &str) -> bool {
    pod.controller_of().is_some_and(|owner| owner.uid == uid)
}

fn orders(job: &Object, plan: &Plan) -> Orders {
    let pods = plan.create.iter().map(|place| pod(job, *place));
    Orders {
        create: pods.collect(),
        delete: plan.delete.clone(),
    }
}

/// A pod of the Job, which stays until it is counted; an index is told to it by label, annotation,
/// host name and environment.
fn pod(job: &Object, place: Option<Place>) -> Object {
    let mut pod = template::pod(job);
    let finalizers = pod
        .get(&["metadata", "finalizers"])
        .and_then(Value::as_array);
    let mut finalizers = finalizers.cloned().unwrap_or_default();
    finalizers.push(FINALIZER.into());
    pod.set(&["metadata", "finalizers"], finalizers.into());
    let Some(Place { index, failed }) = place else {
        return pod;
    };
    let text = index.to_string();
    for (name, count) in failed
        .into_iter()
        .flat_map(|(own, ignored)| [(FAILURES, own), (IGNORED, ignored)])
    {
        pod.set(&["metadata", "annotations", name], count.to_string().into());
    }
    for part in ["labels", "annotations"] {
        pod.set(&["metadata", part, INDEX], text.as_str().into());
    }
    let prefix = format!("{}-{index}-", job.name());
    pod.set(&["metadata", "generateName"], prefix.into());
    let host = format!("{}-{index}", job.name());
    pod.set(&["spec", "hostname"], host.into());
    let Some(Value::Object(spec)) = pod.as_map_mut().get_mut("spec") else {
        return pod;
    };
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let variable = json!({"name": "JOB_COMPLETION_INDEX", "value": text});
            match container.get_mut("env").and_then(Value::as_array_mut) {
                Some(env) => env.push(variable),
                None => container["env"] = json!([variable]),
            }
        }
    }
    pod
}

/// Writing `wanted` as a merge patch over `current` would change nothing.
fn covers(current: Option<&Value>, wanted: &Value) -> bool {
    match (current, wanted) {
        (None | Some(Value::Null), Value::Null) => true,
        (None | Some(Value::Null), Value::Object(wanted)) => {
            wanted.values().all(|value| covers(None, value))
        }
        (Some(Value::Object(current)), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| covers(current.get(key), value)),
        (current, wanted) => current == Some(wanted),
    }
}
