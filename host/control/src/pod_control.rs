//! Creates and deletes pods for a controller, and remembers what it ordered until that is seen.

use std::collections::HashSet;
use std::sync::Arc;

use osier_api::Object;
use osier_api::resources::PODS;
use osier_client::{Change, Client, ClientError, DeleteOptions, Recorder, Reference};
use osier_process::clock;
use parking_lot::Mutex;

use crate::Context;
use crate::expectations::Expectations;
use crate::ownership::{self, Claim};

/// Pods deleted at once.
const DELETIONS: usize = 32;

/// The pods of one kind of controller.
pub(crate) struct PodControl {
    client: Client,
    recorder: Recorder,
    expectations: Mutex<Expectations>,
}

/// What a controller wants to be done.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) create: Vec<Object>,
    pub(crate) delete: Vec<Arc<Object>>,
}

impl PodControl {
    pub(crate) fn new(context: &Context, recorder: &Recorder) -> Self {
        Self {
            client: context.client.clone(),
            recorder: recorder.clone(),
            expectations: Mutex::default(),
        }
    }

    /// Everything ordered for the controller has been seen. To be asked before the pods are read:
    /// what is fulfilled then is visible in the list that follows.
    pub(crate) fn fulfilled(&self, controller: &str) -> bool {
        self.expectations.lock().fulfilled(controller, clock::now())
    }

    /// Takes note of what a change of a pod fulfils.
    pub(crate) fn note(&self, change: &Change) {
        self.expectations.lock().note(change);
    }

    /// The controller object is gone.
    pub(crate) fn forget(&self, controller: &str) {
        self.expectations.lock().forget(controller);
    }

    /// Writes what a claim changes of pods.
    pub(crate) async fn settle(
        &self,
        controller: &Object,
        claim: &Claim,
    ) -> Result<(), ClientError> {
        ownership::settle(&self.client, &PODS, controller, claim).await
    }

    /// Does what is ordered for the controller. Each deletion is tried, whatever becomes of the
    /// others: what was expected must be seen or taken back.
    pub(crate) async fn execute(
        &self,
        controller: &Object,
        orders: Orders,
    ) -> Result<(), ClientError> {
        let Orders { create, delete } = orders;
        if create.is_empty() && delete.is_empty() {
            return Ok(());
        }
        let going: HashSet<String> = delete.iter().map(|pod| pod.uid().to_owned()).collect();
        self.expectations
            .lock()
            .order(controller.uid(), create.len(), going, clock::now());
        let created = self.create(controller, &create).await;
        let mut deleted = Ok(());
        for pods in delete.chunks(DELETIONS) {
            let deletions = pods.iter().map(|pod| self.delete(controller, pod));
            let results = futures::future::join_all(deletions).await;
            deleted = deleted.and(results.into_iter().collect());
        }
        created.and(deleted)
    }

    /// Creates pods in batches of 1, 2, 4 and so on: when all would fail for one reason (a quota,
    /// an admission), it fails once and not five hundred times.
    async fn create(&self, controller: &Object, pods: &[Object]) -> Result<(), ClientError> {
        let (mut left, mut size) = (pods, 1);
        while !left.is_empty() {
            let (batch, rest) = left.split_at(size.min(left.len()));
            let creations = batch.iter().map(|pod| self.create_one(controller, pod));
            let created = futures::future::join_all(creations).await;
            let failed = created.iter().filter(|result| result.is_err()).count();
            if let Some(Err(error)) = created.into_iter().find(Result::is_err) {
                self.expectations
                    .lock()
                    .created(controller.uid(), rest.len() + failed);
                return Err(error);
            }
            left = rest;
            size *= 2;
        }
        Ok(())
    }

    async fn create_one(&self, controller: &Object, pod: &Object) -> Result<(), ClientError> {
        let about = Reference::to(controller);
        match self.client.create(&PODS, pod).await {
            Ok(created) => {
                let words = format!("Created pod: {}", created.name());
                self.recorder.normal(&about, "SuccessfulCreate", words);
                Ok(())
            }
            Err(error) => {
                let words = format!("Error creating: {error}");
                self.recorder.warning(&about, "FailedCreate", words);
                Err(error)
            }
        }
    }

    async fn delete(&self, controller: &Object, pod: &Object) -> Result<(), ClientError> {
        let about = Reference::to(controller);
        let of = (pod.namespace(), pod.name());
        let options = DeleteOptions::exactly(pod);
        let Err(error) = self.client.delete(&PODS, of, &options).await else {
            let words = format!("Deleted pod: {}", pod.name());
            self.recorder.normal(&about, "SuccessfulDelete", words);
            return Ok(());
        };
        self.expectations
            .lock()
            .deleted(controller.uid(), pod.uid());
        if error.is_not_found() {
            return Ok(());
        }
        let words = format!("Error deleting: {error}");
        self.recorder.warning(&about, "FailedDelete", words);
        Err(error)
    }
}
