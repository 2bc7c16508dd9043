//! The one accept loop: TCP, optionally TLS, HTTP/1.1 or HTTP/2 or raw streams, one [`Handle`] per listener.
//!
//! On stop a listener takes what is already in its backlog, answers every further request on open connections with
//! `connection: close`, and only then closes the idle ones, so that a client under load sees no broken exchange.

mod connection;
mod gathered;
mod idle;
mod patience;
mod prefixed;
pub mod proxy_header;

pub use prefixed::Prefixed;

use crate::body::Body;
use crate::{CancellationToken, Tasks};
use connection::Connections;
use futures::FutureExt;
use http::{HeaderValue, Request, Response};
use rustls::pki_types::CertificateDer;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// The remote address.
    pub address: SocketAddr,
    /// What the peer said in its TLS handshake; `None` on a plain connection.
    pub handshake: Option<Handshake>,
    /// Where a connection that the machine redirected here wanted to go; `None` on other listeners, and where nobody knows.
    pub asked: Option<SocketAddr>,
    /// The certificate that the peer proved to own; `None` on plain connections and for anonymous TLS clients.
    pub certificate: Option<CertificateDer<'static>>,
    /// What the listener's [`Handle`] writes of the certificate into requests: made once for a connection.
    pub described: OnceLock<Option<HeaderValue>>,
    /// Ends the connection at once, with everything that flows on it: for who is at its other end when that is nobody any more.
    pub cut: CancellationToken,
    /// The address as the listener's [`Handle`] writes it into requests: made once for a connection.
    pub named: OnceLock<HeaderValue>,
}

impl Peer {
    /// The other end of a plain connection.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            handshake: None,
            asked: None,
            certificate: None,
            described: OnceLock::new(),
            cut: CancellationToken::new(),
            named: OnceLock::new(),
        }
    }

    /// The server name that the peer asked for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.handshake.as_ref()?.server_name.as_deref()
    }
}

/// What a client said in a TLS handshake.
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    /// The server name, in lower case.
    pub server_name: Option<Box<str>>,
}

/// What a listener does with a request. It never fails: an error is a response.
pub trait Handle: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn handle(
        &self,
        peer: &Arc<Peer>,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// Whether many streams of one connection speak at the same moment, so that it pays to send what they say together.
    fn gathers(&self) -> bool {
        false
    }

    /// Takes a whole connection that is not HTTP; it ends when this does. Only a listener whose [`Choose`] says so gets any.
    fn stream(
        &self,
        _peer: Arc<Peer>,
        _stream: Box<dyn Stream>,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How the connections of a listener begin.
#[derive(Clone)]
pub enum Security {
    /// Plain TCP.
    Plain,
    /// TLS with this configuration (made by `host/identity`).
    Tls(Arc<rustls::ServerConfig>),
    /// Each connection as it is decided when it comes.
    Chosen(Arc<dyn Choose>),
}

/// Decides how connections begin, on a listener whose meaning changes while it is open.
pub trait Choose: Send + Sync {
    /// What a new connection begins with.
    fn opening(&self) -> Opening;

    /// Whether the machine redirects connections here that wanted to go elsewhere (nftables, iptables).
    fn takes_redirected(&self) -> bool {
        false
    }

    /// How a TLS connection goes on, given the bytes that have come so far.
    fn choose(&self, so_far: &[u8]) -> Choice;
}

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// A PROXY protocol header stands before everything else.
    pub proxy_protocol: bool,
    /// What comes then.
    pub then: Then,
}

/// What a connection begins with, behind a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Plain HTTP.
    Http,
    /// Something else, as it is.
    Stream,
    /// A TLS ClientHello, which [`Choose::choose`] is asked about.
    Tls,
    /// Nothing that anybody takes: the connection is closed.
    Nothing,
}

/// How a TLS connection goes on.
pub enum Choice {
    /// The ClientHello is not complete.
    More,
    /// TLS ends here, HTTP is inside.
    Http(Arc<rustls::ServerConfig>),
    /// TLS ends here, something else is inside.
    Stream(Arc<rustls::ServerConfig>),
    /// The connection goes on encrypted as it is.
    Passed(Handshake),
    /// Nobody takes it; the reason is for the log.
    Refused(String),
}

/// Opens a port.
///
/// # Errors
/// What the system says, e.g. that it is in use or needs privileges.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// The bounds of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at the same time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Time for a TLS handshake, and for the head of a request to arrive.
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// How long the sender of an HTTP/1.1 request may leave its body unfinished without sending any of it.
    pub body_idle: Duration,
    /// Streams at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// After stop: how long open connections may still send a request before the idle ones are closed.
    pub lame_duck: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head_timeout: Duration::from_secs(10),
            head_bytes: 64 * 1024,
            body_idle: Duration::from_secs(300),
            streams: 1_024,
            lame_duck: Duration::from_millis(300),
        }
    }
}

/// Serves `listener` until the tasks stop; returns when it no longer accepts. Open connections drain as tasks.
pub async fn serve<H: Handle>(
    listener: TcpListener,
    security: Security,
    handle: H,
    tasks: Tasks,
    limits: Limits,
) {
    let stopping = tasks.stopping();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = Connections {
        security,
        handle,
        tasks,
        limits,
    };
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot,
            () = stopping.cancelled() => break,
        };
        let Ok(slot) = slot else { return };
        tokio::select! {
            accepted = listener.accept() => connections.take(accepted, slot).await,
            () = stopping.cancelled() => break,
        }
    }
    while let (Some(accepted), Ok(slot)) = (
        listener.accept().now_or_never(),
        slots.clone().try_acquire_owned(),
    ) {
        connections.take(accepted, slot).await;
    }
}

/// Serves HTTP on a connection that did not come through a listener, until it ends.
pub async fn serve_stream<S: Stream + 'static, H: Handle>(
    stream: S,
    peer: Peer,
    handle: H,
    tasks: Tasks,
) {
    let connection = Connections {
        security: Security::Plain,
        handle,
        tasks,
        limits: Limits::default(),
    };
    connection.exchange(stream, peer).await;
}

#[cfg(test)]
mod tests;
