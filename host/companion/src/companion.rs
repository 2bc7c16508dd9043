//! The companion itself: it says where its workload is reached, and knows whom it speaks for.

use std::sync::Arc;
use std::time::Duration;

use osier_client::{Client, ClientError};
use osier_node::Plane;
use osier_process::Tasks;
use osier_process::serve::{Limits, Security, serve};
use osier_snapshot::{Snapshot, Workload};
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::outbound::Outbound;
use crate::speaker::{Settings, Shared};

/// How long the API may take to hear that the workload leaves.
const FAREWELL: Duration = Duration::from_secs(3);

/// Why a companion cannot speak for its workload.
#[derive(Debug, thiserror::Error)]
pub enum CompanionError {
    /// The API does not know the workload, or does not let it be spoken for.
    #[error(
        "WorkloadEntry {namespace}/{name}: {source}; apply it, or the WorkloadGroup, before the proxy is started"
    )]
    Entry {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API said.
        source: ClientError,
    },
}

/// A running companion. Copies are the same one.
#[derive(Clone)]
pub struct Companion {
    shared: Arc<Shared>,
    known: watch::Receiver<bool>,
}

impl Companion {
    /// Speaks for the workload of a WorkloadEntry until the tasks stop.
    ///
    /// # Errors
    /// [`CompanionError`] if the API knows no such WorkloadEntry.
    pub async fn start(
        settings: Settings,
        plane: &Plane,
        client: Client,
        tasks: &Tasks,
    ) -> Result<Self, CompanionError> {
        let shared = Arc::new(Shared {
            proxy: plane.proxy(),
            client,
            settings,
            uid: RwLock::default(),
        });
        shared.enter().await.map_err(|source| {
            let (namespace, name) = shared.settings.entry.clone();
            CompanionError::Entry {
                namespace,
                name,
                source,
            }
        })?;
        let (sender, known) = watch::channel(false);
        let stopping = tasks.stopping();
        let keeping = Arc::clone(&shared);
        tasks.spawn("workload", async move {
            tokio::select! {
                () = keeping.keep_told(&sender) => {}
                () = stopping.cancelled() => {}
            }
        });
        Ok(Self { shared, known })
    }

    /// Takes what the workload opens through an HTTP or SOCKS5 proxy, until the tasks stop.
    pub fn serve_outbound(&self, listener: TcpListener, tasks: &Tasks) {
        self.serve(listener, false, tasks);
    }

    /// Takes connections of the workload that the machine redirects here, until the tasks stop.
    pub fn serve_redirected(&self, listener: TcpListener, tasks: &Tasks) {
        self.serve(listener, true, tasks);
    }

    fn serve(&self, listener: TcpListener, redirected: bool, tasks: &Tasks) {
        let handle = Outbound::new(Arc::clone(&self.shared), redirected, tasks.clone());
        let security = Security::Chosen(Arc::new(handle.clone()));
        let name = match redirected {
            true => "redirected",
            false => "outbound",
        };
        let serving = serve(listener, security, handle, tasks.clone(), Limits::default());
        tasks.spawn(name, serving);
    }

    /// The workload that it speaks for, once the mesh knows it.
    pub fn workload(&self) -> Option<Arc<Workload>> {
        self.shared.workload()
    }

    /// The mesh of the moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.proxy.snapshot()
    }

    /// Waits until the mesh knows where the workload is.
    pub async fn ready(&self) {
        let mut known = self.known.clone();
        // The sender is gone only when the process stops, and then nobody waits any more.
        let _seen = known.wait_for(|known| *known).await;
    }

    /// Says that the workload is away, before its companion ends: no call goes to it any more, and none goes past it.
    pub async fn leave(&self) {
        match tokio::time::timeout(FAREWELL, self.shared.leave()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the mesh was not told that the workload leaves");
            }
            Err(_) => tracing::warn!("the API did not hear in time that the workload leaves"),
        }
    }
}
