//! The streams of `kubectl port-forward`: a pair for each connection, one for its bytes and one for what went wrong.

use std::collections::HashMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::Receiver;

use crate::idle::Idle;
use crate::{BUFFER, SessionError, Stream, Transport, spdy, websocket};

/// The protocol's name.
pub const PROTOCOL: &str = "portforward.k8s.io";
/// Pairs of which one stream has come, at once.
const WAITING: usize = 128;

/// One forwarded connection.
#[derive(Debug)]
pub struct Forwarded {
    /// The port of the pod.
    pub port: u16,
    /// The connection's bytes.
    pub bytes: DuplexStream,
}

/// Serves a connection that has changed its protocol, until the client goes.
///
/// # Errors
/// What the client did wrong, or how the connection broke.
pub async fn serve<S, F>(
    connection: S,
    transport: Transport,
    connect: impl Fn(Forwarded) -> F,
) -> Result<(), SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<(), String>>,
{
    let connection = Idle::new(connection);
    let handle = |streams| forward(streams, connect);
    if transport == Transport::Spdy {
        return spdy::serve(connection, handle).await;
    }
    let (near, far) = tokio::io::duplex(BUFFER);
    let (served, tunnelled) = tokio::join!(
        spdy::serve(near, handle),
        websocket::tunnel(connection, far)
    );
    served.and(tunnelled.map_err(SessionError::WebSocket))
}

/// Pairs the streams and hands each connection to `connect`; its reason for failing is told to the client.
async fn forward<F>(mut streams: Receiver<Stream>, connect: impl Fn(Forwarded) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let mut waiting = HashMap::<String, Half>::new();
    let mut connected = FuturesUnordered::new();
    loop {
        let stream = tokio::select! {
            stream = streams.recv() => stream,
            Some(()) = connected.next() => continue,
        };
        // The client has gone.
        let Some(stream) = stream else { return };
        let half = match Half::of(stream) {
            Ok(half) => half,
            Err((reason, stream)) => {
                tell(stream, reason).await;
                continue;
            }
        };
        match waiting.remove(&half.id) {
            Some(other) if other.is_error != half.is_error => {
                connected.push(join(other, half, &connect));
            }
            _ if waiting.len() < WAITING => drop(waiting.insert(half.id.clone(), half)),
            _ => tell(half.bytes, "too many connections are half open").await,
        }
    }
}

/// One stream of a pair.
struct Half {
    id: String,
    port: u16,
    is_error: bool,
    bytes: DuplexStream,
}

impl Half {
    fn of(stream: Stream) -> Result<Self, (&'static str, DuplexStream)> {
        let Stream { headers, bytes } = stream;
        let port = headers.get("port").and_then(|port| port.parse().ok());
        let is_error = match headers.get("streamType") {
            Some("data") => Some(false),
            Some("error") => Some(true),
            _ => None,
        };
        // Clients of long ago number nothing, and open one pair for a port.
        let id = headers.get("requestID").or(headers.get("port"));
        match (port, is_error, id) {
            (Some(port), Some(is_error), Some(id)) if port > 0 => Ok(Self {
                id: id.to_owned(),
                port,
                is_error,
                bytes,
            }),
            _ => Err((
                "a stream must say its streamType, port and requestID",
                bytes,
            )),
        }
    }
}

async fn join<F>(one: Half, other: Half, connect: &impl Fn(Forwarded) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let (error, data) = if one.is_error {
        (one, other)
    } else {
        (other, one)
    };
    let forwarded = Forwarded {
        port: data.port,
        bytes: data.bytes,
    };
    match connect(forwarded).await {
        Ok(()) => drop(error),
        Err(reason) => tell(error.bytes, &reason).await,
    }
}

async fn tell(mut stream: DuplexStream, reason: &str) {
    // A client that has gone does not want to know.
    let _told = stream.write_all(reason.as_bytes()).await;
    let _told = stream.shutdown().await;
}
