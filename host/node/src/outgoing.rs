//! A pod's way out: every request goes through the proxy, except those to the pod itself.

use std::sync::Arc;

use http::{Request, Response};
use osier_engine::{Outgoing, OutgoingError, Timeouts};
use osier_process::Boxed;
use osier_process::body::Body;
use osier_proxy::{PodError, Proxy, Source};
use osier_snapshot::Workload;

use crate::served::Served;

/// The network as one pod sees it.
pub(crate) struct Egress {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) served: Arc<Served>,
    pub(crate) workload: Arc<Workload>,
}

impl Outgoing for Egress {
    fn send(
        &self,
        request: Request<Body>,
        _timeouts: Timeouts,
    ) -> Boxed<'static, Result<Response<Body>, OutgoingError>> {
        // Containers of a pod share its localhost; what they say to each other is no matter of the mesh.
        if let Some(port) = own_port(&request) {
            let answer = self.served.send(&self.workload.uid, port, request);
            return Box::pin(async move { answer.await.map_err(|error| failure(&error)) });
        }
        let (proxy, source) = (
            Arc::clone(&self.proxy),
            Source::Pod(Arc::clone(&self.workload)),
        );
        Box::pin(async move { Ok(proxy.handle(source, request).await) })
    }
}

fn own_port(request: &Request<Body>) -> Option<u16> {
    let authority = request.uri().authority()?;
    let own = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    own.then(|| authority.port_u16().unwrap_or(80))
}

fn failure(error: &PodError) -> OutgoingError {
    match error {
        PodError::NotHere | PodError::Unreachable { .. } => OutgoingError::Refused,
        PodError::Overloaded => OutgoingError::Unavailable,
        PodError::Timeout => OutgoingError::ResponseTimeout,
        PodError::Failed { .. } => OutgoingError::Terminated,
    }
}
