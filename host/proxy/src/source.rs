//! Where a request enters the mesh.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use osier_process::serve::Peer;
use osier_snapshot::{ListenerKey, Locality, Origin, Stand, Workload};

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
        }
    }

    pub(crate) fn gateway(&self) -> Option<&str> {
        match self {
            Self::Gateway { name, .. } => Some(name),
            Self::Pod(_) => None,
        }
    }

    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self {
            Self::Gateway { peer, .. } => Some(peer),
            Self::Pod(_) => None,
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.peer().map(|peer| peer.address)
    }

    /// Where the caller stands: where the node does, unless a pod says otherwise.
    pub(crate) fn stand<'a>(&'a self, here: &'a Locality) -> Stand<'a> {
        match self {
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

    pub(crate) fn origin(&self) -> Origin<'_> {
        match self {
            Self::Gateway { listener, peer, .. } => Origin::Gateway {
                listener: *listener,
                server_name: peer.server_name(),
            },
            Self::Pod(workload) => Origin::Workload(workload),
        }
    }
}
