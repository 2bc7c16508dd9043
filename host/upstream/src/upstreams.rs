//! Hosts outside, as the proxy reaches them: over the network, with connections that are kept.
//!
//! A request takes an open connection to its endpoint or waits while one is opened, within the bounds of the cluster's
//! `connectionPool`. What is too much is refused at once. A request that meets a connection which the server has just closed is sent
//! again on another one, if it never left or may be repeated.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use osier_process::Tasks;
use osier_process::body::Body;
use osier_process::forward_proxy::through;
use osier_process::serve::Stream;
use osier_snapshot::{Cluster, Endpoint, Load, Place, Speaks, Tunnel};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::connect::Connector;
use crate::exchange::{self, Asked, Broken};
use crate::failure::Failure;
use crate::header;
use crate::pods::{Pods, Wants};
use crate::pool::{Lease, Open, Pool, Purpose};
use crate::secure::{self, Secure, Shown};

/// How long a request waits for a connection where the cluster may not open another one.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// Connections on which a request is tried.
const MOST_LINES: usize = 3;
/// Bytes of a response's head.
const HEAD_BYTES: usize = 64 * 1024;

/// The way to hosts outside.
#[derive(Clone)]
pub struct Upstreams {
    connector: Connector,
    secure: Secure,
    pools: Arc<Mutex<Pools>>,
    /// Those whose programs speak HTTP themselves.
    pods: Option<Arc<dyn Pods>>,
    tasks: Tasks,
}

/// Every pool that an endpoint keeps.
#[derive(Default)]
struct Pools {
    all: Vec<Weak<Pool>>,
    sweeping: bool,
}

/// Where one request goes.
struct Way<'a> {
    cluster: &'a Cluster,
    endpoint: &'a Arc<Endpoint>,
    pool: &'a Arc<Pool>,
    asked: &'a Asked,
    /// Whom a PROXY header names.
    client: Option<SocketAddr>,
    shown: Option<Shown>,
}

impl Way<'_> {
    fn purpose(&self) -> Purpose<'_> {
        let tls = self.cluster.upstream.tls.as_ref();
        let matters =
            self.endpoint.place == Place::Asked || tls.is_some_and(|tls| tls.sni.is_none());
        Purpose {
            upstream: &self.cluster.upstream,
            host: matters.then(|| self.asked.authority.host()),
            client: self.client,
            shown: self.shown.as_ref(),
        }
    }
}

/// Where an endpoint serves.
fn place_of(endpoint: &Endpoint) -> (&Place, u16) {
    (&endpoint.place, endpoint.port)
}

/// What the client of a raw connection asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw<'a> {
    /// The host that it names, if any.
    pub host: &'a str,
    /// It speaks TLS by itself.
    pub encrypted: bool,
    /// Where it comes from.
    pub client: Option<SocketAddr>,
    /// Its bytes are datagrams.
    pub datagrams: bool,
    /// The connection's id.
    pub id: Option<&'a HeaderValue>,
}

/// A request that waits for a connection.
struct Pending<'a>(&'a Load);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.leave();
    }
}

impl Upstreams {
    /// The way to hosts outside.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            connector: Connector::new(tasks.clone()),
            secure: Secure::default(),
            pools: Arc::default(),
            pods: None,
            tasks,
        }
    }

    /// The way to hosts outside, and to pods whose programs speak HTTP on connections that they take.
    pub fn with_pods(pods: Arc<dyn Pods>, tasks: Tasks) -> Self {
        Self {
            pods: Some(pods),
            ..Self::new(tasks)
        }
    }

    /// Sends one request to one endpoint outside; resolves with the response head, while the body streams behind it.
    ///
    /// # Errors
    /// [`Failure`]: why there is none.
    pub async fn call(
        &self,
        cluster: &Cluster,
        endpoint: &Arc<Endpoint>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let pool = endpoint.keep(|| self.pool());
        let pool = pool.ok_or(Failure::Unreachable("the endpoint is not usable".into()))?;
        let asked = Asked::of(request.uri(), cluster.upstream.tls.is_some())?;
        let way = Way {
            cluster,
            endpoint,
            pool,
            asked: &asked,
            client: header::client(cluster, request.extensions()),
            shown: secure::shown(cluster, request.extensions()),
        };
        let mut last = Failure::Unreachable("its connections end at once".into());
        for _ in 0..MOST_LINES {
            let lease = self.lease(&way).await?;
            let repeat = lease.is_reused() && exchange::may_repeat(&request);
            let spare = repeat.then(|| exchange::again(&request));
            match exchange::send(lease, &asked, request).await {
                Ok(response) => return Ok(response),
                Err(Broken::Unsent(unsent)) => request = *unsent,
                Err(Broken::Sent(failure)) => match spare {
                    Some(spare) => (request, last) = (spare, failure),
                    None => return Err(failure),
                },
            }
        }
        Err(last)
    }

    /// A connection to a port of an endpoint's place.
    ///
    /// # Errors
    /// [`Failure`]: why there is none.
    pub async fn probe(
        &self,
        endpoint: &Endpoint,
        port: u16,
        time: Duration,
    ) -> Result<TcpStream, Failure> {
        let place = (&endpoint.place, port);
        self.connector.connect(place, "", time).await
    }

    /// A raw connection, for bytes that are not HTTP. Nothing is encrypted on the way: what passes is the client's own. Only what is
    /// said to a forward proxy, through which it may go, is.
    ///
    /// # Errors
    /// [`Failure`]: why there is none.
    pub async fn connect(
        &self,
        cluster: &Cluster,
        endpoint: &Endpoint,
        asked: &Raw<'_>,
    ) -> Result<Box<dyn Stream>, Failure> {
        if let Some(tunnel) = &cluster.upstream.tunnel {
            let time = cluster.upstream.pool.connect_timeout;
            let opening = self.through(cluster, endpoint, (asked, tunnel));
            return tokio::time::timeout(time, opening)
                .await
                .unwrap_or_else(|_| {
                    let reason = format!("the forward proxy opened no tunnel within {time:?}");
                    Err(Failure::Unreachable(reason.into()))
                });
        }
        if cluster.upstream.tls.is_some() && !asked.encrypted {
            let reason = "the destination asks for TLS, which is not begun for raw connections";
            return Err(Failure::Unreachable(reason.into()));
        }
        let time = cluster.upstream.pool.connect_timeout;
        let stream = self
            .connector
            .connect(place_of(endpoint), asked.host, time)
            .await?;
        let stream = header::begin(stream, &cluster.upstream, asked.client).await?;
        Ok(Box::new(stream))
    }

    /// The same through an endpoint that is a forward proxy.
    async fn through(
        &self,
        cluster: &Cluster,
        endpoint: &Endpoint,
        (asked, tunnel): (&Raw<'_>, &Tunnel),
    ) -> Result<Box<dyn Stream>, Failure> {
        let (upstream, host) = (&cluster.upstream, &cluster.service.host);
        let (place, time) = (place_of(endpoint), upstream.pool.connect_timeout);
        let stream = self.connector.connect(place, host, time).await?;
        let stream = header::begin(stream, upstream, asked.client).await?;
        let to = (&*tunnel.target, tunnel.posts);
        let asked = match &upstream.tls {
            None => through(stream, to, &self.tasks).await,
            Some(tls) => {
                let stream = self.secure.shake(stream, tls, Speaks::Http1, host).await?;
                through(stream, to, &self.tasks).await
            }
        };
        asked.map_err(|error| {
            let reason = format!("the forward proxy opens no tunnel to {}: {error}", to.0);
            Failure::Unreachable(reason.into())
        })
    }

    /// A connection for one request: an open one, else a new one, else the next that is free.
    async fn lease(&self, way: &Way<'_>) -> Result<Lease, Failure> {
        let purpose = way.purpose();
        if let Some(lease) = way.pool.take(purpose) {
            return Ok(lease);
        }
        let (bounds, load) = (&way.cluster.upstream.pool, &way.cluster.load);
        if !load.pending.enter(bounds.max_pending) {
            let reason = "too many requests wait for a connection (http1MaxPendingRequests)";
            return Err(Failure::Overloaded(reason.into()));
        }
        let _pending = Pending(load);
        let until = Instant::now() + PATIENCE;
        loop {
            let freed = way.pool.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(lease) = way.pool.take(purpose) {
                return Ok(lease);
            }
            let shared = way.cluster.upstream.speaks == Speaks::Http2 && way.pool.is_opening();
            if !shared && let Some(open) = way.pool.may_open(load, bounds.max_connections) {
                return self.open(way, open).await;
            }
            if tokio::time::timeout_at(until, freed).await.is_err() {
                let reason = "no connection became free in time (maxConnections)";
                return Err(Failure::Overloaded(reason.into()));
            }
        }
    }

    async fn open(&self, way: &Way<'_>, open: Open) -> Result<Lease, Failure> {
        let _opening = way.pool.opening();
        let time = way.cluster.upstream.pool.connect_timeout;
        let opened = tokio::time::timeout(time, self.dial(way, open)).await;
        opened.unwrap_or_else(|_| {
            let host = way.asked.authority.host();
            let reason = format!("no connection for {host} within {time:?}");
            Err(Failure::Unreachable(reason.into()))
        })
    }

    async fn dial(&self, way: &Way<'_>, open: Open) -> Result<Lease, Failure> {
        let upstream = &way.cluster.upstream;
        if let (Place::Pod, Some(pods)) = (&way.endpoint.place, &self.pods) {
            let stream = pods.connect(way.endpoint, Wants::default()).await?;
            let second = upstream.speaks != Speaks::Http1;
            return self.shake(stream, second, way, open).await;
        }
        let (host, time) = (way.asked.authority.host(), upstream.pool.connect_timeout);
        let stream = self
            .connector
            .connect(place_of(way.endpoint), host, time)
            .await?;
        let stream = header::begin(stream, upstream, way.client).await?;
        let Some(tls) = &upstream.tls else {
            let second = upstream.speaks != Speaks::Http1;
            return self.shake(stream, second, way, open).await;
        };
        let tls = secure::showing(tls, way.shown.as_ref());
        let stream = self
            .secure
            .shake(stream, &tls, upstream.speaks, host)
            .await?;
        let chosen = stream.get_ref().1.alpn_protocol();
        let second = match upstream.speaks {
            Speaks::Http1 => false,
            Speaks::Http2 => chosen.is_none_or(|chosen| chosen == b"h2"),
            Speaks::Negotiated => chosen == Some(b"h2"),
        };
        self.shake(stream, second, way, open).await
    }

    /// Begins HTTP on a stream; the connection runs as a task until it ends.
    async fn shake<S>(
        &self,
        stream: S,
        second: bool,
        way: &Way<'_>,
        open: Open,
    ) -> Result<Lease, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let unusable = |error: hyper::Error| {
            Failure::Unreachable(format!("its connection is not usable: {error}").into())
        };
        let stream = TokioIo::new(stream);
        if second {
            let mut builder = http2::Builder::new(self.tasks.clone());
            builder
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(30))
                .max_header_list_size(HEAD_BYTES as u32)
                .adaptive_window(true);
            let (sender, connection) = builder.handshake(stream).await.map_err(unusable)?;
            self.run(connection, open);
            return Ok(way.pool.shared(sender, way.purpose()));
        }
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES);
        let (sender, connection) = builder.handshake(stream).await.map_err(unusable)?;
        self.run(connection.with_upgrades(), open);
        Ok(way.pool.single(sender, way.purpose()))
    }

    fn run<C>(&self, connection: C, open: Open)
    where
        C: Future<Output = Result<(), hyper::Error>> + Send + 'static,
    {
        self.tasks.spawn("upstream", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an upstream ended early");
            }
            drop(open);
        });
    }

    fn pool(&self) -> Arc<Pool> {
        let pool = Arc::new(Pool::default());
        let mut pools = self.pools.lock();
        pools.all.retain(|pool| pool.strong_count() > 0);
        pools.all.push(Arc::downgrade(&pool));
        if !std::mem::replace(&mut pools.sweeping, true) {
            self.tasks.spawn(
                "upstream-sweep",
                sweep(Arc::clone(&self.pools), self.tasks.clone()),
            );
        }
        pool
    }
}

/// Closes idle connections in time, and all of them when the process stops.
async fn sweep(pools: Arc<Mutex<Pools>>, tasks: Tasks) {
    let stopping = tasks.stopping();
    let all = || -> Vec<Arc<Pool>> { pools.lock().all.iter().filter_map(Weak::upgrade).collect() };
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => all().iter().for_each(|pool| pool.sweep()),
            () = stopping.cancelled() => break,
        }
    }
    pools.lock().sweeping = false;
    all().iter().for_each(|pool| pool.close());
}
