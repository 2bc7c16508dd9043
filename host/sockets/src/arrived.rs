//! What comes to a port, and what is counted of a pod.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::DuplexStream;

use crate::MOST_SOCKETS;
use crate::fault::{Fault, Kind};

/// The sockets that a pod holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    /// One more.
    pub(crate) fn hold(&self) -> Result<Held, Fault> {
        let more = |open: usize| (open < MOST_SOCKETS).then_some(open + 1);
        let entered = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let full = |_| {
            let reason = format!("the pod has {MOST_SOCKETS} sockets open, which is the most");
            Fault::new(Kind::TooMany, reason)
        };
        entered.map(|_| Held(self.clone())).map_err(full)
    }
}

/// One of the sockets that a pod may hold, until it is dropped.
#[derive(Debug)]
pub struct Held(Count);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that came to a port.
#[derive(Debug)]
pub struct Incoming {
    /// Its bytes.
    pub stream: DuplexStream,
    /// The other side.
    pub peer: SocketAddr,
    /// Counts among the pod's sockets while it is kept.
    pub held: Held,
}

/// A datagram that came to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// From where.
    pub address: SocketAddr,
    /// What it says.
    pub data: Bytes,
}
