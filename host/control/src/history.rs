//! What the template of a StatefulSet or DaemonSet was and is: its ControllerRevisions, which it is undone by.

mod revisions;

use std::sync::Arc;

use osier_api::resources::CONTROLLER_REVISIONS;
use osier_api::{Object, Resource};
use osier_client::{Client, ClientError, DeleteOptions, Informer, Part, WorkQueue};
use serde_json::json;

use crate::Context;
use crate::ownership::{self, Owner};
use crate::reconcile::{Key, gone_is_fine};
use crate::reporting;
pub(crate) use revisions::{History, LABEL, hash, template};
use revisions::{Next, decide, superfluous};

/// The revisions of the objects of one kind.
pub(crate) struct Histories {
    client: Client,
    resource: &'static Resource,
    revisions: Arc<Informer>,
}

impl Histories {
    /// Those of a kind; `None` where revisions are not served.
    pub(crate) fn new(context: &Context, resource: &'static Resource) -> Option<Self> {
        let revisions = context.informers.of(&CONTROLLER_REVISIONS)?;
        Some(Self {
            client: context.client.clone(),
            resource,
            revisions: Arc::clone(revisions),
        })
    }

    /// Asks for the owner of each revision that changes.
    pub(crate) fn listen(&self, queue: &WorkQueue<Key>) {
        let (queue, kind) = (queue.clone(), self.resource.kind);
        self.revisions.on_change(move |change| {
            let revision = change.object();
            let owner = revision.controller_of();
            if let Some(owner) = owner.filter(|owner| owner.kind == kind) {
                queue.add(Key::new(revision.namespace(), &owner.name));
            }
        });
    }

    pub(crate) async fn synced(&self) {
        self.revisions.synced().await;
    }

    /// The history of an object, whose newest revision is of its template of now. `None` if that had to be written first, or waits
    /// for the end of the object: the change that it makes brings the next look.
    pub(crate) async fn of(
        &self,
        object: &Object,
        owner: &Owner,
    ) -> Result<Option<History>, ClientError> {
        let all = self.revisions.list_in(object.namespace());
        let claim = owner.claim(&all);
        ownership::settle(&self.client, &CONTROLLER_REVISIONS, object, &claim).await?;
        let (history, next) = decide(object, claim.mine);
        match next {
            Next::Here => return Ok(Some(history)),
            _ if owner.leaving => {}
            Next::Create(revision) => self.create(object, owner, &revision).await?,
            Next::Renumber(revision, number) => {
                let patch = json!({"metadata": {"uid": revision.uid(),
                    "resourceVersion": revision.resource_version().to_string()}, "revision": number});
                let of = (revision.namespace(), revision.name());
                let patched = self
                    .client
                    .patch(&CONTROLLER_REVISIONS, of, patch, Part::Whole);
                gone_is_fine(patched.await)?;
            }
        }
        Ok(None)
    }

    async fn create(
        &self,
        object: &Object,
        owner: &Owner,
        revision: &Object,
    ) -> Result<(), ClientError> {
        let Err(error) = self.client.create(&CONTROLLER_REVISIONS, revision).await else {
            return Ok(());
        };
        if !error.is_already_exists() {
            return Err(error);
        }
        let (namespace, name) = (revision.namespace(), revision.name());
        let there = self
            .client
            .get(&CONTROLLER_REVISIONS, namespace, name)
            .await?;
        if owner.owns(&there) && there.get(&["data"]) == revision.get(&["data"]) {
            return Ok(());
        }
        // The name is taken: the next one is made with another number.
        let collisions = revisions::collisions(object) + 1;
        let status = json!({"collisionCount": collisions});
        reporting::report(&self.client, self.resource, object, status).await
    }

    /// Deletes revisions beyond `limit` that no pod is of, by `live`, the oldest first.
    pub(crate) async fn prune(
        &self,
        history: &History,
        live: impl Fn(&Object) -> bool,
        limit: usize,
    ) -> Result<(), ClientError> {
        for revision in superfluous(history, live, limit) {
            let of = (revision.namespace(), revision.name());
            let options = DeleteOptions::exactly(&revision);
            let deleted = self
                .client
                .delete(&CONTROLLER_REVISIONS, of, &options)
                .await;
            gone_is_fine(deleted)?;
        }
        Ok(())
    }
}
