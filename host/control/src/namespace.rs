//! Namespace deletion: everything in it goes, then its finalizer.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{EVENTS, NAMESPACES};
use osier_api::{Object, Resource};
use osier_client::{Backoff, Client, ClientError, DeleteOptions, Informer, Part, Query, WorkQueue};
use serde_json::Value;

use crate::Context;
use crate::informers::Informers;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

const WORKERS: usize = 2;
/// Pods may take their grace period; what goes wakes us, and this is for what we do not see.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const FINALIZER: &str = "kubernetes";

struct Namespaces {
    client: Client,
    informers: Informers,
    namespaces: Arc<Informer>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let Some(namespaces) = context.informers.of(&NAMESPACES) else {
        return;
    };
    let this = Arc::new(Namespaces {
        client: context.client.clone(),
        informers: context.informers.clone(),
        namespaces: Arc::clone(namespaces),
    });
    let queue = WorkQueue::new(Backoff::new(
        Duration::from_millis(50),
        Duration::from_secs(10),
    ));
    listen(&context.informers, namespaces, &queue);
    reconcile::run("namespace", &queue, (WORKERS, &context.tasks), move |key| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&key).await }
    });
}

fn listen(informers: &Informers, namespaces: &Arc<Informer>, queue: &WorkQueue<Key>) {
    let own = queue.clone();
    namespaces.on_change(move |change| {
        if is_leaving(change.object()) {
            own.add(Key::of(change.object()));
        }
    });
    let (namespaces, queue) = (Arc::clone(namespaces), queue.clone());
    informers.follow(move |informer| {
        if !informer.resource().namespaced {
            return;
        }
        let (namespaces, queue) = (Arc::clone(&namespaces), queue.clone());
        informer.on_change(move |change| {
            let name = change.object().namespace();
            if change.is_deleted()
                && namespaces
                    .get("", name)
                    .is_some_and(|namespace| is_leaving(&namespace))
            {
                queue.add(Key::new("", name));
            }
        });
    });
}

impl Namespaces {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        let Some(namespace) = self
            .namespaces
            .get("", &key.name)
            .filter(|namespace| is_leaving(namespace))
        else {
            return Ok(Outcome::Done);
        };
        let mut left = 0;
        // Events are not mirrored, and go with their namespace as everything does.
        let kinds = self.informers.kinds().into_iter().chain([&EVENTS]);
        for resource in kinds.filter(|resource| resource.namespaced) {
            left += self.empty(resource, &key.name).await?;
        }
        if left > 0 {
            return Ok(Outcome::Again(LOOK_AGAIN));
        }
        match self
            .client
            .replace_part(&NAMESPACES, &finalized(&namespace), Part::Finalize)
            .await
        {
            Err(error) if error.is_conflict() => Ok(Outcome::Again(Duration::from_millis(10))),
            other => gone_is_fine(other).map(|()| Outcome::Done),
        }
    }

    /// Deletes what is there, by a fresh list: a mirror that lags could miss the last object.
    async fn empty(
        &self,
        resource: &'static Resource,
        namespace: &str,
    ) -> Result<usize, ClientError> {
        let found = self
            .client
            .list_all(resource, namespace, &Query::default())
            .await?
            .items;
        for object in found
            .iter()
            .filter(|object| object.deletion_timestamp().is_none())
        {
            let options = DeleteOptions::exactly(object);
            gone_is_fine(
                self.client
                    .delete(resource, (namespace, object.name()), &options)
                    .await,
            )?;
        }
        // What has neither finalizers nor a grace period is gone already: one more look tells.
        if found.is_empty() {
            return Ok(0);
        }
        Ok(self
            .client
            .list_all(resource, namespace, &Query::default())
            .await?
            .items
            .len())
    }
}

fn is_leaving(namespace: &Object) -> bool {
    namespace.deletion_timestamp().is_some()
}

/// The namespace without our finalizer.
fn finalized(namespace: &Object) -> Object {
    let mut finalized = namespace.clone();
    let finalizers = namespace
        .get(&["spec", "finalizers"])
        .and_then(Value::as_array);
    let kept = finalizers
        .into_iter()
        .flatten()
        .filter(|finalizer| *finalizer != FINALIZER)
        .cloned();
    finalized.set(&["spec", "finalizers"], kept.collect());
    finalized
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_our_finalizer_goes() {
        let namespace =
            json!({"metadata": {"name": "shop"}, "spec": {"finalizers": ["kubernetes", "other"]}});
        let finalized = finalized(&Object::from_value(namespace).unwrap());
        assert_eq!(
            finalized.get(&["spec", "finalizers"]),
            Some(&json!(["other"]))
        );
    }
}
