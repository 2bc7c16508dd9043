//! Where a request enters the mesh.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use osier_process::serve::Peer;
use osier_snapshot::{
    Cluster, Endpoint, ListenerKey, Locality, Origin, Server, Snapshot, Stand, Workload,
};

/// Where a request enters.
#[derive(Clone, Debug)]
pub enum Source {
    /// From outside, through a gateway listener.
    Gateway {
        /// The gateway's name, for policies, metrics and logs.
        name: Arc<str>,
        /// The listener.
        listener: ListenerKey,
        /// The client.
        peer: Arc<Peer>,
    },
    /// From a pod of this node.
    Pod(Arc<Workload>),
    /// From another node, which has decided outbound and chosen the endpoint.
    Mesh(Arc<Arrival>),
}

/// A request that came from another node.
#[derive(Debug)]
pub struct Arrival {
    /// Who calls there.
    pub(crate) caller: Source,
    /// Through which service.
    pub(crate) cluster: Arc<Cluster>,
    /// The pod here.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Who its node found to be behind it.
    pub(crate) identity: Option<HeaderValue>,
}

/// Where a gateway of the node stands.
pub(crate) fn at_gateway(here: &Locality) -> Stand<'_> {
    static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();
    Stand {
        locality: here,
        labels: &NO_LABELS,
    }
}

impl Source {
    pub(crate) fn workload(&self) -> Option<&Workload> {
        match self {
            Self::Gateway { .. } => None,
            Self::Pod(workload) => Some(workload),
            Self::Mesh(arrival) => arrival.caller.workload(),
        }
    }

    /// What it is called in metrics and logs.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Gateway { name, .. } => Arc::clone(name),
            Self::Pod(workload) => Arc::clone(&workload.name),
            Self::Mesh(arrival) => arrival.caller.name(),
        }
    }

    pub(crate) fn gateway(&self) -> Option<&str> {
        match self {
            Self::Gateway { name, .. } => Some(name),
            Self::Pod(_) => None,
            Self::Mesh(arrival) => arrival.caller.gateway(),
        }
    }

    /// The client at the other end of a gateway's connection here.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Gateway { peer, .. } => Some(peer),
            Self::Pod(_) | Self::Mesh(_) => None,
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Mesh(arrival) => arrival.caller.address(),
            here => here.peer().map(|peer| peer.address),
        }
    }

    /// Where the call comes from: the client outside, else the workload, whose port is not known.
    pub(crate) fn client(&self) -> Option<SocketAddr> {
        let workload = || {
            let address = self.workload()?.address;
            (!address.is_unspecified()).then(|| SocketAddr::new(address, 0))
        };
        self.address().or_else(workload)
    }

    /// What came from another node, if it did.
    pub(crate) fn arrival(&self) -> Option<&Arc<Arrival>> {
        match self {
            Self::Mesh(arrival) => Some(arrival),
            Self::Gateway { .. } | Self::Pod(_) => None,
        }
    }

    /// Where the caller stands: where the node does, unless a pod says otherwise.
    pub(crate) fn stand<'a>(&'a self, here: &'a Locality) -> Stand<'a> {
        match self {
            Self::Mesh(arrival) => arrival.caller.stand(here),
            Self::Gateway { .. } => at_gateway(here),
            Self::Pod(workload) => Stand {
                locality: match workload.locality.is_known() {
                    true => &workload.locality,
                    false => here,
                },
                labels: &workload.labels,
            },
        }
    }

    /// What of a gateway here the request came through.
    pub(crate) fn server(&self, snapshot: &Snapshot) -> Option<Arc<Server>> {
        match self {
            Self::Gateway { listener, peer, .. } => {
                snapshot.server(*listener, peer.server_name()).cloned()
            }
            Self::Pod(_) | Self::Mesh(_) => None,
        }
    }

    pub(crate) fn origin(&self) -> Origin<'_> {
        match self {
            Self::Gateway { listener, peer, .. } => Origin::Gateway {
                listener: *listener,
                server_name: peer.server_name(),
            },
            Self::Pod(workload) => Origin::Workload(workload),
            Self::Mesh(arrival) => arrival.caller.origin(),
        }
    }
}
