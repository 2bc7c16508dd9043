//! Where a request enters the mesh.

use std::net::SocketAddr;
use std::sync::Arc;

use osier_process::serve::Peer;
use osier_snapshot::{ListenerKey, Origin, Stand, Workload};

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

    /// Where the caller stands, as far as that is known.
    pub(crate) fn stand(&self) -> Option<Stand<'_>> {
        let workload = self.workload()?;
        Some(Stand {
            locality: &workload.locality,
            labels: &workload.labels,
        })
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
