//! The deletion of a definition: all objects of its kind go, then the definition.

use std::sync::Arc;
use std::time::Duration;

use osier_api::resources::{CUSTOM_RESOURCE_DEFINITIONS, defined};
use osier_api::{Object, Resource};
use osier_client::{
    CONTROLLER, Client, ClientError, DeleteOptions, Informer, Part, Query, WorkQueue,
};
use serde_json::{Value, json};

use crate::Context;
use crate::reconcile::{self, Key, Outcome, gone_is_fine};

const WORKERS: usize = 2;
/// Objects may be held by others: we look at them anew.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The API server puts it there when the definition is to go.
const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

struct Definitions {
    client: Client,
    definitions: Arc<Informer>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) {
    let Some(definitions) = context.informers.of(&CUSTOM_RESOURCE_DEFINITIONS) else {
        return;
    };
    let this = Arc::new(Definitions {
        client: context.client.clone(),
        definitions: Arc::clone(definitions),
    });
    let queue = WorkQueue::new(CONTROLLER);
    let own = queue.clone();
    definitions.on_change(move |change| {
        if !change.is_deleted() && is_leaving(change.object()) {
            own.add(Key::of(change.object()));
        }
    });
    reconcile::run(
        "definition",
        &queue,
        (WORKERS, &context.tasks),
        move |key| {
            let this = Arc::clone(&this);
            async move { this.reconcile(&key).await }
        },
    );
}

fn is_leaving(definition: &Object) -> bool {
    definition.deletion_timestamp().is_some() && definition.finalizers().contains(&FINALIZER)
}

impl Definitions {
    async fn reconcile(&self, key: &Key) -> Result<Outcome, ClientError> {
        let found = self.definitions.get("", &key.name);
        let Some(definition) = found.filter(|definition| is_leaving(definition)) else {
            return Ok(Outcome::Done);
        };
        // A definition that was never established has no objects.
        if let Some(resource) = defined(&definition)
            && self.empty(resource).await? > 0
        {
            return Ok(Outcome::Again(LOOK_AGAIN));
        }
        let patch = json!({"metadata": {"resourceVersion": definition.resource_version().to_string(),
            "finalizers": others(&definition)}});
        let of = ("", definition.name());
        let resource = &CUSTOM_RESOURCE_DEFINITIONS;
        match self.client.patch(resource, of, patch, Part::Whole).await {
            Err(error) if error.is_conflict() => Ok(Outcome::Again(Duration::from_millis(10))),
            other => gone_is_fine(other).map(|()| Outcome::Done),
        }
    }

    /// Deletes all objects, and says how many there still are.
    async fn empty(&self, resource: &'static Resource) -> Result<usize, ClientError> {
        let query = Query::default();
        let listed = || self.client.list_all(resource, "", &query);
        let found = listed().await?.items;
        let staying = |object: &&Object| object.deletion_timestamp().is_none();
        for object in found.iter().filter(staying) {
            let of = (object.namespace(), object.name());
            let options = DeleteOptions::exactly(object);
            gone_is_fine(self.client.delete(resource, of, &options).await)?;
        }
        match found.is_empty() {
            true => Ok(0),
            false => Ok(listed().await?.items.len()),
        }
    }
}

/// The finalizers but ours.
fn others(definition: &Object) -> Vec<Value> {
    let all = definition.finalizers().into_iter();
    all.filter(|name| *name != FINALIZER)
        .map(Value::from)
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_our_finalizer_goes() {
        let definition = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": [FINALIZER, "example.com/x"]}});
        let definition = Object::from_value(definition).unwrap();
        assert!(is_leaving(&definition));
        assert_eq!(others(&definition), ["example.com/x"]);
    }
}
