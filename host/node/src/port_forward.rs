//! `kubectl port-forward`: connections to a pod's port, by the one door like any other call to the pod: as they are to a program that
//! listens, as HTTP to a container that answers requests.

use std::sync::Arc;

use http::{Request, Response};
use osier_api::{Object, Status};
use osier_process::body::Body;
use osier_streams::Upgrade;
use osier_streams::port_forward::{self, Forwarded, PROTOCOL};

use crate::pod::Shared;

/// Answers that the connection changes, and serves what it becomes.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    pod: &Arc<Object>,
    question: Request<Body>,
) -> Result<Response<Body>, Status> {
    let agreed = Upgrade::agree(question.headers(), PROTOCOL);
    let (serving, pod) = (Arc::clone(shared), Arc::clone(pod));
    let serve = move |connection, transport| async move {
        let connect = |forwarded| connect(&serving, &pod, forwarded);
        port_forward::serve(connection, transport, connect).await
    };
    shared
        .sessions
        .begin(("port-forward", agreed), question, serve)
}

async fn connect(shared: &Shared, pod: &Object, forwarded: Forwarded) -> Result<(), String> {
    let (uid, port) = (pod.uid(), forwarded.port);
    if !shared.served.listens(uid, port) {
        let (namespace, name) = (pod.namespace(), pod.name());
        return Err(format!(
            "pod {namespace}/{name} does not listen on port {port}: containers that serve HTTP do, on the ports they declare, and programs that listen on a socket"
        ));
    }
    shared.proxy.forwarded((uid, port), forwarded.bytes).await
}
