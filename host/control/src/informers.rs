//! One informer a resource, shared by all controllers of the process.

use std::sync::Arc;

use osier_api::{Resource, resources};
use osier_client::{Client, Informer, Scope};
use osier_process::Tasks;

/// The mirrors of everything that the API holds.
#[derive(Clone)]
pub(crate) struct Informers(Arc<[Arc<Informer>]>);

impl Informers {
    pub(crate) fn start(client: &Client, tasks: &Tasks) -> Self {
        let start = |resource: &&'static Resource| {
            Informer::start(client.clone(), resource, Scope::default(), tasks)
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
