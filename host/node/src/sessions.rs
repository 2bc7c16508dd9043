//! Sessions of people with pods: connections that changed their protocol, of `kubectl exec`, `attach` and `port-forward`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use osier_api::Status;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_process::metrics::Metrics;
use osier_streams::{SessionError, Transport, Upgrade, UpgradeError};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions at once on a node.
const MOST: usize = 256;
/// Time from the answer until the connection has changed over.
const CHANGE: Duration = Duration::from_secs(10);

/// What becomes of a client's connection.
pub(crate) type Connection = TokioIo<Upgraded>;

/// The sessions of a node.
pub(crate) struct Sessions {
    room: Arc<Semaphore>,
    open: Gauge,
    tasks: Tasks,
}

/// One that is counted while it lives.
struct Open {
    gauge: Gauge,
    _room: OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

impl Sessions {
    pub(crate) fn new(metrics: &Metrics, tasks: Tasks) -> Self {
        let open = Gauge::default();
        let words = "Open sessions of exec, attach and port-forward";
        metrics.register(|registry| registry.register("osier_sessions", words, open.clone()));
        let room = Arc::new(Semaphore::new(MOST));
        Self { room, open, tasks }
    }

    fn enter(&self) -> Result<Open, Status> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let _room = room.map_err(|_| full())?;
        self.open.inc();
        let gauge = self.open.clone();
        Ok(Open { gauge, _room })
    }

    /// Answers that the connection changes as was agreed, and serves what it becomes: until that ends, or the process does.
    pub(crate) fn begin<F>(
        &self,
        (name, agreed): (&'static str, Result<Upgrade, UpgradeError>),
        mut question: Request<Body>,
        serve: impl FnOnce(Connection, Transport) -> F + Send + 'static,
    ) -> Result<Response<Body>, Status>
    where
        F: Future<Output = Result<(), SessionError>> + Send,
    {
        let agreed = agreed.map_err(|error| Status::bad_request(error.to_string()))?;
        let open = self.enter()?;
        let client = question.extensions_mut().remove::<OnUpgrade>();
        let client = client.ok_or_else(|| {
            Status::bad_request(
                "unable to upgrade: only connections of HTTP/1.1 change their protocol",
            )
        })?;
        let (stopping, transport) = (self.tasks.stopping(), agreed.transport);
        self.tasks.spawn(name, async move {
            let served = async {
                let changed = tokio::time::timeout(CHANGE, client).await;
                let Ok(Ok(connection)) = changed else { return };
                if let Err(error) = serve(TokioIo::new(connection), transport).await {
                    tracing::debug!(%error, session = name, "a session broke");
                }
            };
            tokio::select! {
                () = served => {}
                () = stopping.cancelled() => {}
            }
            drop(open);
        });
        let mut answer = Response::new(body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *answer.headers_mut() = agreed.headers;
        Ok(answer)
    }
}

fn full() -> Status {
    let words = format!(
        "the node has {MOST} sessions of exec, attach and port-forward already: end some, and try again"
    );
    Status::new(429, "TooManyRequests", words)
}
