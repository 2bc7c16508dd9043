//! The open connections to one endpoint.
//!
//! An HTTP/1.1 connection is in the pool while nobody uses it, the latest used on top. An HTTP/2 connection stays in the pool and is
//! shared. How many there are is bounded twice: by the cluster's circuit breaker, and here by how many are kept idle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper::client::conn::{http1, http2};
use osier_process::body::Body;
use osier_snapshot::{Load, Upstream};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::secure::Shown;

/// Connections of one endpoint that are kept without use.
const MOST_IDLE: usize = 512;

/// What a connection is for. Connections are not shared between settings, nor between hosts where the host decides where they go
/// or which certificate the server must show.
#[derive(Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) upstream: &'a Arc<Upstream>,
    pub(crate) host: Option<&'a str>,
    /// The client that a PROXY header names: such a connection is its alone.
    pub(crate) client: Option<SocketAddr>,
    /// What the server is shown.
    pub(crate) shown: Option<&'a Shown>,
}

/// What a connection was made for, and since when.
pub(crate) struct Made {
    upstream: Arc<Upstream>,
    host: Option<Box<str>>,
    client: Option<SocketAddr>,
    shown: Option<Shown>,
    opened: Instant,
    used: Instant,
    served: u32,
}

impl Made {
    fn now(purpose: Purpose<'_>) -> Self {
        let now = Instant::now();
        Self {
            upstream: Arc::clone(purpose.upstream),
            host: purpose.host.map(Into::into),
            client: purpose.client,
            shown: purpose.shown.cloned(),
            opened: now,
            used: now,
            served: 0,
        }
    }

    fn is_for(&self, purpose: Purpose<'_>) -> bool {
        Arc::ptr_eq(&self.upstream, purpose.upstream)
            && self.host.as_deref() == purpose.host
            && self.client == purpose.client
            && self.shown.as_ref() == purpose.shown
    }

    /// May not take another request.
    fn is_spent(&self, now: Instant) -> bool {
        let pool = &self.upstream.pool;
        pool.max_requests_per_connection
            .is_some_and(|most| self.served >= most)
            || pool
                .max_connection_duration
                .is_some_and(|time| now.duration_since(self.opened) >= time)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.is_spent(now) || now.duration_since(self.used) >= self.upstream.pool.idle_timeout
    }
}

/// An idle HTTP/1.1 connection.
struct Idle {
    sender: http1::SendRequest<Body>,
    made: Made,
}

/// A shared HTTP/2 connection.
struct Shared {
    sender: http2::SendRequest<Body>,
    made: Made,
    streams: Arc<AtomicU32>,
}

#[derive(Default)]
struct Lines {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
    closed: bool,
}

/// The connections of one endpoint.
#[derive(Default)]
pub(crate) struct Pool {
    lines: Mutex<Lines>,
    open: AtomicU32,
    opening: AtomicU32,
    /// Somebody who waits for a connection may look again.
    pub(crate) freed: Notify,
}

/// A connection, for one request.
pub(crate) enum Lease {
    /// Alone.
    Http1(Single),
    /// With others.
    Http2(Stream),
}

/// An HTTP/1.1 connection in use.
pub(crate) struct Single {
    pub(crate) sender: http1::SendRequest<Body>,
    made: Made,
    pool: Arc<Pool>,
}

/// One stream of an HTTP/2 connection.
pub(crate) struct Stream {
    pub(crate) sender: http2::SendRequest<Body>,
    streams: Arc<AtomicU32>,
    pool: Arc<Pool>,
    reused: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::AcqRel);
        self.pool.freed.notify_one();
    }
}

impl Lease {
    /// Whether the connection has served before.
    pub(crate) fn is_reused(&self) -> bool {
        match self {
            Self::Http1(single) => single.made.served > 1,
            Self::Http2(stream) => stream.reused,
        }
    }

    /// The exchange ended well: the connection can serve others.
    pub(crate) fn end(self) {
        if let Self::Http1(single) = self {
            let (pool, made) = (single.pool, single.made);
            pool.put(single.sender, made);
        }
    }
}

impl Pool {
    /// A connection that is open already.
    pub(crate) fn take(self: &Arc<Self>, purpose: Purpose<'_>) -> Option<Lease> {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines
            .take_idle(purpose, now)
            .map(|Idle { sender, mut made }| {
                made.served += 1;
                let pool = Arc::clone(self);
                Lease::Http1(Single { sender, made, pool })
            })
            .or_else(|| lines.join(purpose, now, self).map(Lease::Http2))
    }

    fn put(&self, sender: http1::SendRequest<Body>, mut made: Made) {
        made.used = Instant::now();
        if !made.is_spent(made.used) && !sender.is_closed() {
            let mut lines = self.lines.lock();
            if !lines.closed {
                if lines.idle.len() >= MOST_IDLE {
                    lines.idle.remove(0);
                }
                lines.idle.push(Idle { sender, made });
            }
        }
        self.freed.notify_one();
    }

    /// Takes in a new HTTP/1.1 connection, in use from the first.
    pub(crate) fn single(
        self: &Arc<Self>,
        sender: http1::SendRequest<Body>,
        purpose: Purpose<'_>,
    ) -> Lease {
        let mut made = Made::now(purpose);
        made.served = 1;
        let pool = Arc::clone(self);
        Lease::Http1(Single { sender, made, pool })
    }

    /// Takes in a new HTTP/2 connection and gives its first stream.
    pub(crate) fn shared(
        self: &Arc<Self>,
        sender: http2::SendRequest<Body>,
        purpose: Purpose<'_>,
    ) -> Lease {
        let mut made = Made::now(purpose);
        made.served = 1;
        let streams = Arc::new(AtomicU32::new(1));
        let stream = Stream {
            sender: sender.clone(),
            streams: Arc::clone(&streams),
            pool: Arc::clone(self),
            reused: false,
        };
        let mut lines = self.lines.lock();
        if !lines.closed {
            lines.shared.push(Shared {
                sender,
                made,
                streams,
            });
        }
        drop(lines);
        self.freed.notify_waiters();
        Lease::Http2(stream)
    }

    /// Leave to open a connection. An endpoint may always have one, whatever the cluster's bound.
    pub(crate) fn may_open(self: &Arc<Self>, load: &Arc<Load>, limit: u32) -> Option<Open> {
        let may = load.connections.enter(limit)
            || (self.open.load(Ordering::Acquire) == 0 && load.connections.enter(u32::MAX));
        may.then(|| {
            self.open.fetch_add(1, Ordering::AcqRel);
            Open {
                pool: Arc::clone(self),
                load: Arc::clone(load),
            }
        })
    }

    /// Marks that a connection is being opened, until the value is dropped.
    pub(crate) fn opening(self: &Arc<Self>) -> Opening {
        self.opening.fetch_add(1, Ordering::AcqRel);
        Opening(Arc::clone(self))
    }

    /// Whether somebody is opening a connection that others may share.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening.load(Ordering::Acquire) > 0
    }

    /// Closes what was idle too long.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut lines = self.lines.lock();
        lines
            .idle
            .retain(|idle| !idle.made.is_over(now) && !idle.sender.is_closed());
        lines.shared.retain(|shared| {
            let busy = shared.streams.load(Ordering::Acquire) > 0;
            (busy || !shared.made.is_over(now)) && !shared.sender.is_closed()
        });
    }

    /// Closes what is idle now, and everything else after its use.
    pub(crate) fn close(&self) {
        let mut lines = self.lines.lock();
        lines.closed = true;
        lines.idle.clear();
        lines.shared.clear();
    }
}

impl Lines {
    fn take_idle(&mut self, purpose: Purpose<'_>, now: Instant) -> Option<Idle> {
        let mut index = self.idle.len();
        while index > 0 {
            index -= 1;
            let idle = self.idle.get(index)?;
            if idle.sender.is_closed() || idle.made.is_over(now) {
                self.idle.remove(index);
            } else if idle.made.is_for(purpose) && idle.sender.is_ready() {
                return Some(self.idle.remove(index));
            }
        }
        None
    }

    fn join(&mut self, purpose: Purpose<'_>, now: Instant, pool: &Arc<Pool>) -> Option<Stream> {
        self.shared
            .retain(|shared| !shared.sender.is_closed() && !shared.made.is_spent(now));
        let most = purpose.upstream.pool.max_streams;
        let fits = |shared: &&mut Shared| {
            shared.made.is_for(purpose)
                && shared.sender.is_ready()
                && shared.streams.load(Ordering::Acquire) < most
        };
        let shared = self.shared.iter_mut().find(fits)?;
        shared.made.served = shared.made.served.saturating_add(1);
        shared.made.used = now;
        shared.streams.fetch_add(1, Ordering::AcqRel);
        Some(Stream {
            sender: shared.sender.clone(),
            streams: Arc::clone(&shared.streams),
            pool: Arc::clone(pool),
            reused: true,
        })
    }
}

/// One open connection, counted until it is closed.
pub(crate) struct Open {
    pool: Arc<Pool>,
    load: Arc<Load>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.load.connections.leave();
        self.pool.open.fetch_sub(1, Ordering::AcqRel);
        self.pool.freed.notify_one();
    }
}

/// A connection that is being opened.
pub(crate) struct Opening(Arc<Pool>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.opening.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}
