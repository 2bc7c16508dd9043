//! Requests on a connection that goes to one endpoint here, through the one door.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{Request, Response};
use osier_process::body::Body;
use osier_process::serve::{Handle, Peer, Stream, serve_stream};

use crate::proxy::Proxy;
use crate::source::{Arrival, Source};

#[derive(Clone)]
struct Forwarded {
    proxy: Arc<Proxy>,
    arrival: Arc<Arrival>,
}

impl Handle for Forwarded {
    async fn handle(&self, _: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let source = Source::Mesh(Arc::clone(&self.arrival));
        self.proxy.handle(source, request).await
    }
}

/// Serves HTTP on a connection whose requests all go to one endpoint here.
pub(crate) async fn requests(
    proxy: &Arc<Proxy>,
    arrival: Arc<Arrival>,
    connection: impl Stream + 'static,
) {
    let address = arrival.caller.address();
    let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let (proxy, tasks) = (Arc::clone(proxy), proxy.tasks());
    let handle = Forwarded { proxy, arrival };
    serve_stream(connection, Peer::plain(address), handle, tasks).await;
}
