//! Whom a companion speaks for: what its parts share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use osier_api::companion::{self, MESH_ADDRESS};
use osier_api::resources::{WORKLOAD_ENTRIES, WORKLOAD_GROUPS};
use osier_client::reconcile::gone_is_fine;
use osier_client::{Client, ClientError, DeleteOptions, Part};
use osier_proxy::Proxy;
use osier_snapshot::Workload;
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::watch;

/// How often it is looked whether the mesh still knows where the workload is.
const LOOK: Duration = Duration::from_secs(2);

/// How a companion is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The WorkloadEntry, as namespace and name.
    pub entry: (String, String),
    /// The WorkloadGroup by which the entry is made, in the same namespace; else it is there already.
    pub group: Option<String>,
    /// What the companion is called.
    pub node: String,
    /// Where nodes reach the workload.
    pub told: SocketAddr,
}

/// What the parts of a companion share.
pub(crate) struct Shared {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) uid: RwLock<String>,
}

impl Shared {
    /// The workload, once the mesh knows it.
    pub(crate) fn workload(&self) -> Option<Arc<Workload>> {
        let snapshot = self.proxy.snapshot();
        snapshot.workload_by_uid(&self.uid.read()).cloned()
    }

    /// Writes where the workload is reached, in the entry that its group has it make if there is none.
    pub(crate) async fn enter(&self) -> Result<(), ClientError> {
        let told = Some(self.settings.told);
        match (self.tell(told).await, &self.settings.group) {
            (Err(error), Some(group)) if error.is_not_found() => {
                self.register(group).await?;
                self.tell(told).await
            }
            (told, _) => told,
        }
    }

    async fn register(&self, group: &str) -> Result<(), ClientError> {
        let (namespace, name) = &self.settings.entry;
        let group = self.client.get(&WORKLOAD_GROUPS, namespace, group).await?;
        let address = self.settings.told.ip().to_string();
        let entry = companion::registered(&group, name, &address);
        match self.client.create(&WORKLOAD_ENTRIES, &entry).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes that the workload is reached nowhere; a member of a group takes its entry away.
    pub(crate) async fn leave(&self) -> Result<(), ClientError> {
        if self.settings.group.is_none() {
            return self.tell(None).await;
        }
        let (namespace, name) = &self.settings.entry;
        let (of, options) = (
            (namespace.as_str(), name.as_str()),
            DeleteOptions::default(),
        );
        gone_is_fine(self.client.delete(&WORKLOAD_ENTRIES, of, &options).await)
    }

    /// Writes where the workload is reached, or that it is not.
    async fn tell(&self, address: Option<SocketAddr>) -> Result<(), ClientError> {
        let (namespace, name) = &self.settings.entry;
        let told = address.map_or_else(String::new, |address| address.to_string());
        let patch: Value = json!({"metadata": {"annotations": {MESH_ADDRESS: told}}});
        let of = (namespace.as_str(), name.as_str());
        let patched = self.client.patch(&WORKLOAD_ENTRIES, of, patch, Part::Whole);
        let patched = patched.await?;
        *self.uid.write() = patched.uid().to_owned();
        Ok(())
    }

    /// Says again where the workload is whenever the mesh does not know it, as after its entry was made anew.
    pub(crate) async fn keep_told(&self, known: &watch::Sender<bool>) {
        let (namespace, name) = &self.settings.entry;
        let node = &self.settings.node;
        let mut look = tokio::time::interval(LOOK / 10);
        loop {
            look.tick().await;
            let there = self.proxy.snapshot().mesh_address(node);
            if there == Some(self.settings.told) && self.workload().is_some() {
                if !known.send_replace(true) {
                    look = tokio::time::interval(LOOK);
                }
                continue;
            }
            let was_known = *known.borrow();
            if was_known && let Err(error) = self.enter().await {
                tracing::warn!(%error, namespace, name, "the mesh cannot be told where the workload is");
            }
        }
    }
}
