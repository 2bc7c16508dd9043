//! The one accept loop: TCP, optionally TLS, HTTP/1.1 or HTTP/2, one [`Handle`] per listener.
//!
//! On stop a listener takes what is already in its backlog, answers every further request on open connections with
//! `connection: close`, and only then closes the idle ones, so that a client under load sees no broken exchange.

use crate::body::{self, Body};
use crate::{CancellationToken, Tasks};
use futures::FutureExt;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::CertificateDer;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// The remote address.
    pub address: SocketAddr,
    /// What the peer said in its TLS handshake; `None` on a plain connection.
    pub handshake: Option<Handshake>,
    /// The certificate that the peer proved to own; `None` on plain connections and for anonymous TLS clients.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Peer {
    /// The other end of a plain connection.
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            handshake: None,
            certificate: None,
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
}

/// Whether a listener speaks TLS.
#[derive(Clone)]
pub enum Security {
    /// Plain TCP.
    Plain,
    /// TLS with this configuration (made by `host/identity`).
    Tls(Arc<rustls::ServerConfig>),
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

/// What every connection of one listener shares.
#[derive(Clone)]
struct Connections<H> {
    security: Security,
    handle: H,
    tasks: Tasks,
    limits: Limits,
}

impl<H: Handle> Connections<H> {
    async fn take(
        &self,
        accepted: std::io::Result<(TcpStream, SocketAddr)>,
        slot: OwnedSemaphorePermit,
    ) {
        match accepted {
            Ok((stream, address)) => {
                let connection = self.clone();
                self.tasks.spawn("connection", async move {
                    connection.secure(stream, address).await;
                    drop(slot);
                });
            }
            // Out of descriptors or memory: the connection stays in the backlog. Waiting keeps the loop from spinning.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn secure(self, stream: TcpStream, address: SocketAddr) {
        let _best_effort = stream.set_nodelay(true);
        match &self.security {
            Security::Plain => {
                self.exchange(stream, Peer::plain(address)).await;
            }
            Security::Tls(config) => {
                let handshake = TlsAcceptor::from(config.clone()).accept(stream);
                match tokio::time::timeout(self.limits.head_timeout, handshake).await {
                    Ok(Ok(stream)) => {
                        let peer = proven(address, stream.get_ref().1);
                        self.exchange(stream, peer).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
                    Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
                }
            }
        }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        peer: Peer,
    ) {
        let stopping = self.tasks.stopping();
        let peer = Arc::new(peer);
        let builder = self.builder();
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let (handle, peer, stopping) = (self.handle.clone(), peer.clone(), stopping.clone());
            async move {
                Ok::<_, std::convert::Infallible>(answer(&handle, &peer, &stopping, request).await)
            }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = lame_duck_over(&stopping, self.limits.lame_duck) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %peer.address, %error, "connection ended early");
        }
    }

    fn builder(&self) -> auto::Builder<Streams> {
        let mut builder = auto::Builder::new(Streams(self.tasks.clone()));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX));
        builder
    }
}

/// The other end of a TLS connection whose handshake is done.
fn proven(address: SocketAddr, connection: &rustls::ServerConnection) -> Peer {
    let certificates = connection.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first);
    let server_name = connection.server_name();
    Peer {
        address,
        handshake: Some(Handshake {
            server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
        }),
        certificate: certificate.map(|found| found.clone().into_owned()),
    }
}

async fn lame_duck_over(stopping: &CancellationToken, wait: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(wait).await;
}

async fn answer<H: Handle>(
    handle: &H,
    peer: &Arc<Peer>,
    stopping: &CancellationToken,
    request: Request<Incoming>,
) -> Response<Body> {
    let one = request.version() < Version::HTTP_2;
    let request = request.map(|incoming| {
        if http_body::Body::is_end_stream(&incoming) {
            body::empty()
        } else {
            body::from_incoming(incoming)
        }
    });
    let mut response = handle.handle(peer, request).await;
    if one && stopping.is_cancelled() && response.status() != http::StatusCode::SWITCHING_PROTOCOLS
    {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Runs the tasks that hyper starts for HTTP/2 streams among the process's own, so that they drain too.
#[derive(Clone)]
struct Streams(Tasks);

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn_uncounted(future);
    }
}

#[cfg(test)]
mod tests;
