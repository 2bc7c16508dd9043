//! One informer a resource, shared by all controllers of the process.

use std::sync::Arc;

use osier_api::resources::{ENDPOINTS, NAMESPACES, NODES, PODS, REPLICATION_CONTROLLERS, SERVICES};
use osier_api::{Object, Resource, resources};
use osier_client::{Client, Informer, Scope};
use osier_process::Tasks;

/// What controllers read whole. Of everything else they need to know that it is there, whose it is
/// and how old: no secret and no message of an event is held in their memory.
static WHOLE: [&Resource; 6] = [
    &PODS,
    &NODES,
    &NAMESPACES,
    &SERVICES,
    &ENDPOINTS,
    &REPLICATION_CONTROLLERS,
];

fn keep_metadata(object: &mut Object) {
    let fields = [
        "apiVersion",
        "kind",
        "metadata",
        "lastTimestamp",
        "eventTime",
        "series",
    ];
    object
        .as_map_mut()
        .retain(|field, _| fields.contains(&field.as_str()));
    object.remove(&["metadata", "annotations"]);
}

/// The mirrors of everything that the API holds.
#[derive(Clone)]
pub(crate) struct Informers(Arc<[Arc<Informer>]>);

impl Informers {
    pub(crate) fn start(client: &Client, tasks: &Tasks) -> Self {
        let start = |resource: &&'static Resource| {
            let whole = WHOLE.iter().any(|whole| std::ptr::eq(*whole, *resource));
            let scope = Scope {
                trim: (!whole).then_some(keep_metadata as fn(&mut Object)),
                ..Scope::default()
            };
            Informer::start(client.clone(), resource, scope, tasks)
        };
        Self(resources::all().iter().map(start).collect())
    }

    /// The mirror of `resource`.
    pub(crate) fn of(&self, resource: &'static Resource) -> Option<&Arc<Informer>> {
        self.0
            .iter()
            .find(|informer| std::ptr::eq(informer.resource(), resource))
    }

    pub(crate) fn all(&self) -> &[Arc<Informer>] {
        &self.0
    }

    pub(crate) async fn synced(&self) {
        for informer in self.0.iter() {
            informer.synced().await;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_not_kept() {
        let secret = json!({"kind": "Secret", "data": {"token": "c2VjcmV0"}, "metadata": {"name": "s",
            "uid": "u", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "secret"}}});
        let mut secret = Object::from_value(secret).unwrap();
        keep_metadata(&mut secret);
        assert!(!secret.into_value().to_string().contains("secret"));
    }
}
