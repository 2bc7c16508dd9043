//! One connection: how it begins, who is at its other end, and the exchanges on it.

use super::gathered::Gathered;
use super::patience::Patience;
use super::{Choice, Handle, Handshake, Limits, Peer, Prefixed, Security, Stream, Then};
use super::{idle, proxy_header};
use crate::body::{self, Body};
use crate::{CancellationToken, Tasks};
use bytes::BytesMut;
use http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The most bytes of a ClientHello: more than any real one has.
const HELLO_BYTES: usize = 32 * 1024;

/// What every connection of one listener shares.
#[derive(Clone)]
pub(super) struct Connections<H> {
    pub(super) security: Security,
    pub(super) handle: H,
    pub(super) tasks: Tasks,
    pub(super) limits: Limits,
}

/// What is answered to plain HTTP where TLS is served.
const NOT_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection as it is accepted.
type Plain = Prefixed<TcpStream>;

/// One whose TLS ends here.
type Encrypted = TlsStream<Plain>;

/// A connection that has begun.
enum Begun {
    Http(Plain),
    Stream(Plain, Option<Handshake>),
    TlsHttp(Box<Prefixed<Encrypted>>),
    TlsStream(Box<Encrypted>),
}

impl<H: Handle> Connections<H> {
    pub(super) async fn take(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        slot: OwnedSemaphorePermit,
    ) {
        match accepted {
            Ok((stream, address)) => {
                let connection = self.clone();
                self.tasks.spawn("connection", async move {
                    connection.serve(stream, address).await;
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

    async fn serve(self, stream: TcpStream, mut address: SocketAddr) {
        let _best_effort = stream.set_nodelay(true);
        let asked = match &self.security {
            Security::Chosen(choose) if choose.takes_redirected() => wanted(&stream),
            _ => None,
        };
        let stream = Prefixed::new(stream);
        // Plain HTTP has its own limit for the head; everything before it has this one.
        let begun = tokio::time::timeout(
            self.limits.head_timeout,
            begin(&self.security, stream, &mut address),
        );
        match begun.await {
            Ok(Ok(begun)) => self.go_on(begun, (address, asked)).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "a connection did not begin"),
            Err(_) => tracing::debug!(%address, "a connection took too long to begin"),
        }
    }

    async fn go_on(self, begun: Begun, (address, asked): (SocketAddr, Option<SocketAddr>)) {
        match begun {
            Begun::Http(stream) => self.exchange(stream, Peer::plain(address)).await,
            Begun::TlsHttp(stream) => {
                let peer = proven(address, stream.get_ref().get_ref().1);
                self.exchange(stream, peer).await;
            }
            Begun::Stream(stream, handshake) => {
                let peer = Peer {
                    handshake,
                    asked,
                    ..Peer::plain(address)
                };
                self.handle.stream(Arc::new(peer), Box::new(stream)).await;
            }
            Begun::TlsStream(stream) => {
                let peer = proven(address, stream.get_ref().1);
                self.handle.stream(Arc::new(peer), stream).await;
            }
        }
    }

    pub(super) async fn exchange<S: Stream + 'static>(self, stream: S, peer: Peer) {
        // A token of its own: to look at one, or to copy it, takes a lock that all connections would share.
        let stopping = self.tasks.stopping().child_token();
        let builder = self.builder();
        let (lame_duck, cut) = (self.limits.lame_duck, peer.cut.clone());
        let stream = Gathered::new(stream, self.handle.gathers());
        let exchanges = Arc::new(Exchanges {
            handle: self.handle,
            peer: Arc::new(peer),
            stopping: stopping.clone(),
            body_idle: self.limits.body_idle,
        });
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            let exchanges = Arc::clone(&exchanges);
            async move { Ok::<_, std::convert::Infallible>(exchanges.answer(request).await) }
        });
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let served = async {
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = lame_duck_over(&stopping, lame_duck) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        let ended = tokio::select! {
            ended = served => ended,
            () = cut.cancelled() => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(address = %exchanges.peer.address, %error, "connection ended early");
        }
    }

    fn builder(&self) -> auto::Builder<Tasks> {
        let mut builder = auto::Builder::new(self.tasks.clone());
        builder
            .http1()
            .timer(Patience::default())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .keep_alive_interval(Duration::from_secs(30))
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX));
        builder
    }
}

/// Where a redirected connection wanted to go, as the kernel remembers it. One that came here by itself wanted nothing else.
fn wanted(stream: &TcpStream) -> Option<SocketAddr> {
    let socket = socket2::SockRef::from(stream);
    let found = socket
        .original_dst_v4()
        .or_else(|_| socket.original_dst_v6());
    let found = found.ok()?.as_socket()?;
    let own = stream.local_addr().ok()?;
    (found != own).then_some(found)
}

/// Reads what stands before the first byte of the application.
async fn begin(
    security: &Security,
    mut stream: Plain,
    address: &mut SocketAddr,
) -> io::Result<Begun> {
    let choose = match security {
        Security::Plain => return Ok(Begun::Http(settled(stream).await?)),
        Security::Tls(config) => return https(config.clone(), stream).await,
        Security::Chosen(choose) => choose,
    };
    let opening = choose.opening();
    if opening.proxy_protocol {
        *address = named_by_balancer(&mut stream).await?.unwrap_or(*address);
    }
    match opening.then {
        Then::Http => Ok(Begun::Http(settled(stream).await?)),
        Then::Stream => Ok(Begun::Stream(stream, None)),
        Then::Nothing => Err(io::Error::other("nothing is served on this port now")),
        Then::Tls => loop {
            match choose.choose(stream.prefix()) {
                Choice::More => more(&mut stream, HELLO_BYTES).await?,
                Choice::Http(config) => return https(config, stream).await,
                Choice::Stream(config) => return ended(config, stream).await,
                Choice::Passed(handshake) => return Ok(Begun::Stream(stream, Some(handshake))),
                Choice::Refused(reason) => return Err(io::Error::other(reason)),
            }
        },
    }
}

async fn https(config: Arc<rustls::ServerConfig>, mut stream: Plain) -> io::Result<Begun> {
    if stream.prefix().is_empty() {
        more(&mut stream, HELLO_BYTES).await?;
    }
    if is_plain(stream.prefix()) {
        // Whoever forgot the `s` would only see the connection end; Go's servers say the same.
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::other("plain HTTP came to a port of TLS"));
    }
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let stream = settled(Prefixed::new(stream)).await?;
    Ok(Begun::TlsHttp(Box::new(stream)))
}

/// A record of TLS begins with its type, which is no letter; a request of HTTP with its method.
fn is_plain(start: &[u8]) -> bool {
    start.first().is_some_and(u8::is_ascii_uppercase)
}

async fn ended(config: Arc<rustls::ServerConfig>, stream: Plain) -> io::Result<Begun> {
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    Ok(Begun::TlsStream(Box::new(stream)))
}

/// Waits until the version of HTTP is settled. The server's own look at it knows no time limit, and would hold a connection open
/// for a client that says nothing.
async fn settled<S: Stream>(mut stream: Prefixed<S>) -> io::Result<Prefixed<S>> {
    loop {
        let read = stream.prefix();
        let may_be_two = PREFACE.starts_with(&read[..read.len().min(PREFACE.len())]);
        if read.len() >= PREFACE.len() || (!read.is_empty() && !may_be_two) {
            return Ok(stream);
        }
        more(&mut stream, HELLO_BYTES).await?;
    }
}

/// The client's address out of a PROXY header; `None` if the balancer speaks for itself.
async fn named_by_balancer(stream: &mut Plain) -> io::Result<Option<SocketAddr>> {
    loop {
        match proxy_header::read(stream.prefix()) {
            Ok(Some(header)) => {
                stream.consume(header.length);
                return Ok(header.source);
            }
            Ok(None) => more(stream, proxy_header::MOST_BYTES).await?,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Reads more bytes to look at, up to a bound.
async fn more<S: Stream>(stream: &mut Prefixed<S>, most: usize) -> io::Result<()> {
    let left = most.saturating_sub(stream.prefix().len()).min(4096);
    if left == 0 {
        return Err(io::Error::other(
            "its beginning is longer than anything that is known",
        ));
    }
    let mut read = BytesMut::zeroed(left);
    let count = stream.get_mut().read(&mut read).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.extend(&read[..count]);
    Ok(())
}

/// The request with a body of ours.
fn received(request: Request<Incoming>, patience: Duration) -> Request<Body> {
    let one = request.version() < Version::HTTP_2;
    request.map(|incoming| {
        if http_body::Body::is_end_stream(&incoming) {
            body::empty()
        } else if one {
            // Streams of HTTP/2 are quiet for long where they are conversations; its connections are kept alive by pings.
            body::boxed(idle::Idle::new(incoming, patience))
        } else {
            body::from_incoming(incoming)
        }
    })
}

/// The other end of a TLS connection whose handshake is done.
fn proven(address: SocketAddr, connection: &rustls::ServerConnection) -> Peer {
    let certificates = connection.peer_certificates();
    let certificate = certificates.and_then(<[_]>::first);
    let server_name = connection.server_name();
    Peer {
        handshake: Some(Handshake {
            server_name: server_name.map(|name| name.to_ascii_lowercase().into()),
        }),
        certificate: certificate.map(|found| found.clone().into_owned()),
        ..Peer::plain(address)
    }
}

async fn lame_duck_over(stopping: &CancellationToken, wait: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(wait).await;
}

/// What the exchanges on one connection share.
struct Exchanges<H> {
    handle: H,
    peer: Arc<Peer>,
    stopping: CancellationToken,
    body_idle: Duration,
}

impl<H: Handle> Exchanges<H> {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let request = received(request, self.body_idle);
        let one = request.version() < Version::HTTP_2;
        let mut response = self.handle.handle(&self.peer, request).await;
        let switches = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
        if one && !switches && self.stopping.is_cancelled() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}
