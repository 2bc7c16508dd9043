//! How a cluster's endpoints are spoken to over the network, and how much at once. Pure values; the proxy acts on them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How the endpoints of a cluster are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// The version of HTTP.
    pub speaks: Speaks,
    /// How many connections and requests, and for how long.
    pub pool: ConnectionPool,
    /// Encryption; `None` is plain text.
    pub tls: Option<Origination>,
    /// Connections begin with a header that says who the client is.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Raw connections go on through these endpoints, which are forward proxies, to somewhere else.
    pub tunnel: Option<Tunnel>,
}

/// Where a forward proxy is asked to take a raw connection, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// `HOST:PORT`.
    pub target: Arc<str>,
    /// POST, whose bodies are the connection, in place of CONNECT.
    pub posts: bool,
}

/// A version of the PROXY protocol's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The version of HTTP that is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Speaks {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge or by ALPN.
    Http2,
    /// What the server chooses by ALPN.
    Negotiated,
}

/// Bounds of connections and requests (`connectionPool` of a DestinationRule). Counts are per cluster, as Envoy's circuit breakers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionPool {
    /// Connections at once.
    pub max_connections: u32,
    /// HTTP/1.1 requests that may wait for a connection.
    pub max_pending: u32,
    /// Requests at once.
    pub max_requests: u32,
    /// Requests that one connection serves; `None` is unlimited.
    pub max_requests_per_connection: Option<u32>,
    /// Repeated tries at once.
    pub max_retries: u32,
    /// Time to connect, TLS included.
    pub connect_timeout: Duration,
    /// How long a connection without requests is kept.
    pub idle_timeout: Duration,
    /// How connections on which nothing is said are probed; `None` is not at all.
    pub keepalive: Option<Keepalive>,
    /// How long a connection lives; `None` is unlimited.
    pub max_connection_duration: Option<Duration>,
    /// Streams at once on one HTTP/2 connection.
    pub max_streams: u32,
}

/// Probes of a quiet connection; what is `None` is the operating system's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Time between probes that nobody answers.
    pub interval: Option<Duration>,
    /// Unanswered probes after which the connection is dead.
    pub probes: Option<u32>,
}

/// Istio's defaults.
impl Default for ConnectionPool {
    fn default() -> Self {
        Self {
            max_connections: u32::MAX,
            max_pending: u32::MAX,
            max_requests: u32::MAX,
            max_requests_per_connection: None,
            max_retries: u32::MAX,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3600),
            keepalive: None,
            max_connection_duration: None,
            max_streams: 1024,
        }
    }
}

/// TLS towards an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origination {
    /// The server name that is sent; `None` takes the request's host.
    pub sni: Option<Arc<str>>,
    /// Names of which the server's certificate must have one; empty asks for the server name.
    pub names: Vec<Arc<str>>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What those whose certificates are believed have revoked.
    pub revoked: Option<Revoked>,
    /// What is shown to the server.
    pub credential: Option<Credential>,
}

/// Lists of revoked certificates: who is on one is not believed, nor is anybody while a list is over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// Those in this file.
    File(Arc<str>),
    /// These, in PEM.
    Pem(Arc<str>),
}

/// Which certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those of the authorities that the machine trusts.
    #[default]
    System,
    /// Those of the authorities in this file.
    File(Arc<str>),
    /// Those of these authorities, in PEM.
    Pem(Arc<str>),
    /// All: the server is not verified.
    Anyone,
    /// Those of the mesh's own authority, and who calls shows its identity there.
    Mesh,
    /// Those of this authority of a mesh, in PEM. They name workloads and no hosts: where no name is asked for, each is believed.
    Workloads(Arc<str>),
    /// None: the object asks for something that is not there, and says so in a finding.
    Nobody,
}

/// A client's certificate with its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    /// In files.
    Files {
        /// Path of the certificate chain.
        certificate: Arc<str>,
        /// Path of the key.
        key: Arc<str>,
    },
    /// In PEM.
    Pem {
        /// The certificate chain.
        certificate: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(secret)")
    }
}

/// What a cluster carries now. Shared from one snapshot to the next, so that bounds hold across them.
#[derive(Debug, Default)]
pub struct Load {
    /// Open connections.
    pub connections: Gauge,
    /// Requests that wait for a connection.
    pub pending: Gauge,
    /// Requests under way.
    pub requests: Gauge,
    /// Repeated tries under way.
    pub retries: Gauge,
}

/// A number with a bound that is given each time, since it may change.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

impl Gauge {
    /// Adds one unless `limit` is reached; says whether it did.
    pub fn enter(&self, limit: u32) -> bool {
        let add = |now: u32| (now < limit).then(|| now + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, add)
            .is_ok()
    }

    /// Takes one away.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// The number now.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
