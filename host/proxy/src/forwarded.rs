//! Connections that the API server forwards to one port of a pod: HTTP, through the one door, to just this pod.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{Request, Response};
use osier_process::body::Body;
use osier_process::serve::{Handle, Peer, Stream, serve_stream};
use osier_snapshot::{Cluster, ListenerKey};

use crate::proxy::Proxy;
use crate::source::{Arrival, Source};

/// Who calls, in policies, metrics and logs: whoever may forward ports is known to the API server, not here.
const CALLER: &str = "port-forward";

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

impl Proxy {
    /// Serves HTTP on a connection to the port of the pod with this uid: its inbound policies, filters and metrics hold, no
    /// route does. Ends with the connection.
    ///
    /// # Errors
    /// When the mesh does not know the pod.
    pub async fn forwarded(
        self: &Arc<Self>,
        (uid, port): (&str, u16),
        connection: impl Stream + 'static,
    ) -> Result<(), String> {
        let snapshot = self.snapshot();
        let workload = snapshot.workload_by_uid(uid);
        let workload = workload.ok_or("the pod is not known on its node yet, or no more")?;
        let through = snapshot.services().find_map(|service| {
            let mut clusters = service.ports.iter().map(|port| &port.cluster);
            clusters.find_map(|cluster| {
                let mut all = cluster.endpoints.iter();
                let here = all.find(|one| *one.workload.uid == *uid && one.port == port)?;
                Some((Arc::clone(cluster), Arc::clone(here)))
            })
        });
        let (cluster, endpoint) = through.unwrap_or_else(|| Cluster::of_pod(workload, port));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let caller = Source::Gateway {
            name: CALLER.into(),
            listener: ListenerKey::Main,
            peer: Arc::new(Peer::plain(address)),
        };
        let arrival = Arrival {
            caller,
            cluster,
            endpoint,
        };
        requests(self, Arc::new(arrival), connection).await;
        Ok(())
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
