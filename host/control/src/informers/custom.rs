//! Mirrors of kinds that users define: one comes with each definition that is established, and goes with it.

use std::sync::Arc;

use osier_api::{Object, Resource, resources};
use osier_client::{Change, Client, Informer, Scope};
use osier_process::Tasks;
use parking_lot::Mutex;
use serde_json::Value;

/// What the mirrors are started with, and who wants to know of each.
pub(super) struct Custom {
    client: Client,
    tasks: Tasks,
    state: Mutex<State>,
}

type Follower = Box<dyn Fn(&Arc<Informer>) + Send + Sync>;

#[derive(Default)]
struct State {
    /// By the name of the definition.
    running: Vec<(String, Arc<Informer>)>,
    followers: Vec<Follower>,
}

impl Custom {
    pub(super) fn new(client: &Client, tasks: &Tasks) -> Arc<Self> {
        Arc::new(Self {
            client: client.clone(),
            tasks: tasks.clone(),
            state: Mutex::default(),
        })
    }

    pub(super) fn of(&self, resource: &'static Resource) -> Option<Arc<Informer>> {
        let state = self.state.lock();
        let mut running = state.running.iter().map(|(_, informer)| informer);
        running
            .find(|informer| informer.resource() == resource)
            .cloned()
    }

    pub(super) fn kinds(&self) -> Vec<&'static Resource> {
        let state = self.state.lock();
        state
            .running
            .iter()
            .map(|(_, informer)| informer.resource())
            .collect()
    }

    pub(super) fn follow(&self, follower: impl Fn(&Arc<Informer>) + Send + Sync + 'static) {
        let mut state = self.state.lock();
        state
            .running
            .iter()
            .for_each(|(_, informer)| follower(informer));
        state.followers.push(Box::new(follower));
    }

    /// Takes a change of a definition: its kind is mirrored as it is called now, or no longer.
    pub(super) fn note(&self, change: &Change) {
        let definition = change.object();
        let wanted = resources::defined(definition).filter(|_| !change.is_deleted());
        let mut state = self.state.lock();
        let at = state
            .running
            .iter()
            .position(|(name, _)| name == definition.name());
        if let Some(at) = at {
            let runs = state.running[at].1.resource();
            if wanted.is_some_and(|wanted| std::ptr::eq(wanted, runs)) {
                return;
            }
            let (_, informer) = state.running.swap_remove(at);
            informer.stop();
        }
        if let Some(resource) = wanted {
            let informer = self.start(resource);
            let followers = state.followers.iter();
            followers.for_each(|follower| follower(&informer));
            let name = definition.name().to_owned();
            state.running.push((name, informer));
        }
    }

    fn start(&self, resource: &'static Resource) -> Arc<Informer> {
        let scope = Scope {
            trim: Some(super::keep_metadata),
            packed: true,
            ..Scope::default()
        };
        Informer::start(self.client.clone(), resource, scope, &self.tasks)
    }
}

/// Of a definition, its names and what became of it; schemas are large.
pub(super) fn keep_of_definition(definition: &mut Object) {
    definition.remove(&["metadata", "annotations"]);
    let versions = definition
        .as_map_mut()
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("versions"));
    for version in versions.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(version) = version.as_object_mut() {
            version.retain(|field, _| {
                matches!(
                    field.as_str(),
                    "name" | "served" | "storage" | "subresources"
                )
            });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_definition_the_names_are_kept() {
        let definition = json!({"metadata": {"name": "a"}, "spec": {"group": "g", "versions": [
            {"name": "v1", "served": true, "schema": {"openAPIV3Schema": {}}, "subresources": {"status": {}}}]}});
        let mut definition = Object::from_value(definition).unwrap();
        keep_of_definition(&mut definition);
        let kept = json!({"metadata": {"name": "a"}, "spec": {"group": "g", "versions": [
            {"name": "v1", "served": true, "subresources": {"status": {}}}]}});
        assert_eq!(definition.into_value(), kept);
    }
}
