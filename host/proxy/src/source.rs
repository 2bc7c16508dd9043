//! Where a request enters the mesh.

use std::net::SocketAddr;
use std::sync::Arc;

use osier_snapshot::{Origin, Workload};

/// Where a request enters.
#[derive(Clone, Debug)]
pub enum Source {
    /// From outside, through a gateway listener.
    Gateway {
        /// The listener's name.
        name: Arc<str>,
        /// The client's address.
        peer: SocketAddr,
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

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Gateway { peer, .. } => Some(*peer),
            Self::Pod(_) => None,
        }
    }

    pub(crate) fn origin(&self) -> Origin<'_> {
        match self {
            Self::Gateway { name, .. } => Origin::Gateway { listener: name },
            Self::Pod(workload) => Origin::Workload(workload),
        }
    }
}
