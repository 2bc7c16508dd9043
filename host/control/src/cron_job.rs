//! The CronJob controller: starts a Job at each time of its schedule.

use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::{CRON_JOBS, JOBS};
use osier_client::{
    CONTROLLER, Client, ClientError, DeleteOptions, Informer, Part, Propagation, Recorder,
    Reference, WorkQueue,
};
use osier_process::clock;
use osier_workloads::cron::{Plan, decide};
use serde_json::{Value, json};

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

const WORKERS: usize = 2;

struct CronJobs {
    client: Client,
    recorder: Recorder,
    crons: Arc<Informer>,
    jobs: Arc<Informer>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let informers = &context.informers;
    let (Some(crons), Some(jobs)) = (informers.of(&CRON_JOBS), informers.of(&JOBS)) else {
        return;
    };
    let this = Arc::new(CronJobs {
        client: context.client.clone(),
        recorder: context.recorder("cronjob-controller"),
        crons: Arc::clone(crons),
        jobs: Arc::clone(jobs),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    reconcile::run("cronjob", &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

impl CronJobs {
    fn listen(&self, queue: &WorkQueue<Key>) {
        let own = queue.clone();
        self.crons
            .on_change(move |change| own.add(Key::of(change.object())));
        let queue = queue.clone();
        self.jobs.on_change(move |change| {
            let job = change.object();
            let owner = job.controller_of();
            if let Some(owner) = owner.filter(|owner| owner.kind == CRON_JOBS.kind) {
                queue.add(Key::new(job.namespace(), &owner.name));
            }
        });
    }

    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        self.crons.synced().await;
        self.jobs.synced().await;
        let Some(cron) = self.crons.get(&key.namespace, &key.name) else {
            return Ok(Outcome::Done);
        };
        let mut jobs = self.jobs.list_in(&key.namespace);
        jobs.retain(|job| {
            job.controller_of()
                .is_some_and(|owner| owner.uid == cron.uid())
        });
        let mut plan = decide(&cron, &jobs, clock::now());
        self.execute(&cron, &mut plan).await?;
        self.report(&cron, &plan).await?;
        Ok(plan.look_again.map_or(Outcome::Done, Outcome::Again))
    }

    async fn execute(&self, cron: &Object, plan: &mut Plan) -> Result<(), ClientError> {
        let about = Reference::to(cron);
        if let Some((reason, words)) = &plan.warning {
            self.recorder.warning(&about, reason, words.clone());
        }
        for job in &plan.delete {
            let options = DeleteOptions {
                propagation: Some(Propagation::Background),
                ..DeleteOptions::exactly(job)
            };
            let of = (job.namespace(), job.name());
            gone_is_fine(self.client.delete(&JOBS, of, &options).await)?;
            let words = format!("Deleted job {}", job.name());
            self.recorder.normal(&about, "SuccessfulDelete", words);
        }
        let Some(job) = plan.create.take() else {
            return Ok(());
        };
        match self.client.create(&JOBS, &job).await {
            Ok(created) => {
                let words = format!("Created job {}", created.name());
                self.recorder.normal(&about, "SuccessfulCreate", words);
                self.name_active(plan, &created);
            }
            // An earlier look started it, and its report was lost.
            Err(error) if error.is_already_exists() => {}
            Err(error) => {
                let words = format!("Error creating job: {error}");
                self.recorder.warning(&about, "FailedCreate", words);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Names the uid of the Job that was created, which the plan could not know.
    fn name_active(&self, plan: &mut Plan, created: &Object) {
        let active = plan.status["active"].as_array_mut();
        for reference in active.into_iter().flatten() {
            if reference["name"] == created.name() {
                reference["uid"] = created.uid().into();
            }
        }
    }

    async fn report(&self, cron: &Object, plan: &Plan) -> Result<(), ClientError> {
        let fields = plan.status.as_object().into_iter().flatten();
        let said = cron.get(&["status"]).unwrap_or(&Value::Null);
        let is_said =
            |(field, value): (&String, &Value)| said.get(field).unwrap_or(&Value::Null) == value;
        if fields.into_iter().all(is_said) {
            return Ok(());
        }
        let patch = json!({"metadata": {"uid": cron.uid(), "resourceVersion": cron.resource_version().to_string()},
            "status": plan.status});
        let of = (cron.namespace(), cron.name());
        gone_is_fine(self.client.patch(&CRON_JOBS, of, patch, Part::Status).await)
    }
}
