//! A pod's way out: every request and connection goes through the proxy, except those to the pod itself.

use std::sync::Arc;

use http::{Request, Response};
use osier_egress::Requests;
use osier_engine::{Outgoing, OutgoingError, Timeouts};
use osier_process::body::Body;
use osier_process::{Boxed, Tasks};
use osier_proxy::{PodError, Proxy, Source};
use osier_snapshot::Workload;
use osier_sockets::{Destination, Fault, Found, Kind, Protocol, Way};
use tokio::io::DuplexStream;

use crate::served::Served;

/// The network as one pod sees it.
pub(crate) struct Egress {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) served: Arc<Served>,
    pub(crate) workload: Arc<Workload>,
    pub(crate) tasks: Tasks,
}

impl Way for Egress {
    fn connect(
        &self,
        to: Destination,
        protocol: Protocol,
        stream: DuplexStream,
    ) -> Boxed<'static, Result<(), Fault>> {
        let (from, tasks) = (self.requests(), self.tasks.clone());
        Box::pin(async move { osier_egress::dial(from, (to, protocol), stream, &tasks).await })
    }

    fn serve(&self, port: u16, stream: DuplexStream) -> Result<(), Fault> {
        if !self.served.answers(&self.workload.uid, port) {
            let reason = format!("nobody listens on port {port} of the pod");
            return Err(Fault::new(Kind::Refused, reason));
        }
        let (served, uid) = (Arc::clone(&self.served), Arc::clone(&self.workload.uid));
        let answer = move |request| served.send(&uid, port, request);
        let serving = osier_egress::serve_own(stream, answer, self.tasks.clone());
        self.tasks.spawn("own-requests", serving);
        Ok(())
    }

    fn lookup(&self, name: &str) -> Result<Found, Fault> {
        osier_egress::lookup(&self.proxy.snapshot(), &self.workload, name)
    }
}

impl Egress {
    fn requests(&self) -> Requests {
        Requests {
            proxy: Arc::clone(&self.proxy),
            workload: Arc::clone(&self.workload),
        }
    }
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
