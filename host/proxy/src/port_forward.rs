//! `kubectl port-forward`: connections that the API server forwards to one port of a pod, through the one door, to just this pod: as
//! they are where a program takes them, else as HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use osier_process::serve::{Peer, Stream};
use osier_snapshot::ListenerKey;

use crate::forwarded::requests;
use crate::proxy::Proxy;
use crate::source::{Arrival, Source};
use crate::tunnel;

/// Who calls, in policies, metrics and logs: whoever may forward ports is known to the API server, not here.
const CALLER: &str = "port-forward";

impl Proxy {
    /// Takes a connection to the port of the pod with this uid: its inbound policies, filters and metrics hold, no route does. Ends
    /// with the connection.
    ///
    /// # Errors
    /// When the mesh does not know the pod, or does not let the connection through.
    pub async fn forwarded(
        self: &Arc<Self>,
        (uid, port): (&str, u16),
        connection: impl Stream + 'static,
    ) -> Result<(), String> {
        let snapshot = self.snapshot();
        let workload = snapshot.workload_by_uid(uid);
        let workload = workload.ok_or("the pod is not known on its node yet, or no more")?;
        let (cluster, endpoint) = snapshot.port_of(workload, port);
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
            identity: None,
        };
        if self.ways().takes_bytes_here(&arrival.endpoint, false) {
            let stopping = self.tasks().stopping();
            let taken = tunnel::taken(self, arrival, Box::new(connection), stopping).await;
            return taken.map_err(|refused| refused.reason);
        }
        requests(self, Arc::new(arrival), connection).await;
        Ok(())
    }
}
