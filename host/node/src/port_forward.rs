//! `kubectl port-forward`: connections to a pod's port, which are served as HTTP like any other call to the pod.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use osier_api::{Object, Status};
use osier_process::body::{self, Body};
use osier_streams::port_forward::{Forwarded, PROTOCOL, forward};
use osier_streams::{Transport, Upgrade};

use crate::pod::Shared;

/// Time from the answer until the connection has changed over.
const CHANGE: Duration = Duration::from_secs(10);

/// Answers that the connection changes, and serves what it becomes.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    pod: &Arc<Object>,
    mut question: Request<Body>,
) -> Result<Response<Body>, Status> {
    let agreed = Upgrade::agree(question.headers(), PROTOCOL)
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let client = question.extensions_mut().remove::<OnUpgrade>();
    let client = client.ok_or_else(|| {
        Status::bad_request("unable to upgrade: only connections of HTTP/1.1 change their protocol")
    })?;
    let (shared, pod) = (Arc::clone(shared), Arc::clone(pod));
    let (tasks, stopping) = (shared.tasks.clone(), shared.tasks.stopping());
    tasks.spawn("port-forward", async move {
        tokio::select! {
            () = serve(&shared, &pod, client, agreed.transport) => {}
            () = stopping.cancelled() => {}
        }
    });
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = agreed.headers;
    Ok(answer)
}

async fn serve(shared: &Arc<Shared>, pod: &Object, client: OnUpgrade, transport: Transport) {
    let changed = tokio::time::timeout(CHANGE, client).await;
    let Ok(Ok(connection)) = changed else { return };
    let served = osier_streams::serve(TokioIo::new(connection), transport, move |streams| {
        forward(streams, move |forwarded| connect(shared, pod, forwarded))
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, pod = pod.name(), "a forwarded connection broke");
    }
}

async fn connect(shared: &Shared, pod: &Object, forwarded: Forwarded) -> Result<(), String> {
    let (uid, port) = (pod.uid(), forwarded.port);
    if !shared.served.listens(uid, port) {
        let (namespace, name) = (pod.namespace(), pod.name());
        return Err(format!(
            "pod {namespace}/{name} does not listen on port {port}: only containers that serve HTTP do, on the ports they declare"
        ));
    }
    shared.proxy.forwarded((uid, port), forwarded.bytes).await
}
