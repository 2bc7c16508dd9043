//! Datagrams of one port.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::DATAGRAMS;
use crate::arrived::Datagram;
use crate::fault::Fault;
use crate::network::Bound;

/// A port that takes and sends datagrams, until it is dropped.
pub struct Datagrams {
    bound: Bound,
    incoming: mpsc::Receiver<Datagram>,
    next: Option<Datagram>,
    /// The only other side that it speaks with, if it said so.
    pub peer: Option<SocketAddr>,
}

impl Datagrams {
    /// Takes datagrams on a port from now on.
    #[must_use]
    pub fn on(bound: Bound) -> Self {
        let (queue, incoming) = mpsc::channel(DATAGRAMS);
        let port = bound.address().port();
        bound.network().take_datagrams(port, queue);
        Self {
            bound,
            incoming,
            next: None,
            peer: None,
        }
    }

    /// The local address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    fn concerns(&self, datagram: &Datagram) -> bool {
        self.peer.is_none_or(|peer| peer == datagram.address)
    }

    /// The next datagram, if one waits.
    pub fn take(&mut self) -> Option<Datagram> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        while let Ok(datagram) = self.incoming.try_recv() {
            if self.concerns(&datagram) {
                return Some(datagram);
            }
        }
        None
    }

    /// Ready when a datagram waits.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.next.is_none() {
            match ready!(self.incoming.poll_recv(context)) {
                Some(datagram) if self.concerns(&datagram) => self.next = Some(datagram),
                Some(_) => {}
                None => break,
            }
        }
        Poll::Ready(())
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// It goes nowhere.
    pub fn send(&self, to: SocketAddr, data: Bytes) -> Result<(), Fault> {
        self.bound.network().send(self.bound.address(), to, data)
    }
}
