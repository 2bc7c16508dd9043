//! Connections that wait to be accepted.

use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use crate::BACKLOG;
use crate::arrived::Incoming;
use crate::network::Bound;

/// A port on which connections are taken, until it is dropped.
pub struct Listener {
    bound: Bound,
    incoming: mpsc::Receiver<Incoming>,
    /// The next one, when it was waited for.
    next: Option<Incoming>,
}

impl Listener {
    /// Takes connections on a port from now on; as many may wait, within a bound.
    #[must_use]
    pub fn on(bound: Bound, backlog: usize) -> Self {
        let (queue, incoming) = mpsc::channel(backlog.clamp(1, BACKLOG));
        let port = bound.address().port();
        bound.network().take_connections(port, queue);
        Self {
            bound,
            incoming,
            next: None,
        }
    }

    /// The local address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// The next connection, if one waits.
    pub fn take(&mut self) -> Option<Incoming> {
        self.next.take().or_else(|| self.incoming.try_recv().ok())
    }

    /// Ready when a connection waits.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            self.next = ready!(self.incoming.poll_recv(context));
        }
        Poll::Ready(())
    }
}
