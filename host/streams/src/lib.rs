//! How the streams of `kubectl port-forward` travel: SPDY/3.1 on a connection that was upgraded, or inside WebSocket messages.
//!
//! Both are ways of the network only: whatever a peer sends is read or refused, within bounds, and what the streams mean is for
//! who accepts them. It knows no pod and no API object, and never imports one.

pub mod port_forward;
mod spdy;
mod upgrade;
mod websocket;

pub use spdy::{Headers, SessionError, Stream};
pub use upgrade::{Transport, Upgrade, UpgradeError};

use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::Receiver;

/// Bytes that a stream or a tunnel holds for a side that is slower.
const BUFFER: usize = 64 * 1024;

/// Serves a connection that has changed its protocol: `handle` gets the streams that the client opens. It ends when the client
/// goes, or when `handle` does and all that it wrote is sent.
///
/// # Errors
/// What the client did wrong, or how the connection broke.
pub async fn serve<S, F>(
    connection: S,
    transport: Transport,
    handle: impl FnOnce(Receiver<Stream>) -> F,
) -> Result<(), SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
{
    match transport {
        Transport::Spdy => spdy::serve(connection, handle).await,
        Transport::Tunnel => {
            let (near, far) = tokio::io::duplex(BUFFER);
            let (served, tunnelled) = tokio::join!(
                spdy::serve(near, handle),
                websocket::tunnel(connection, far)
            );
            served.and(tunnelled.map_err(SessionError::Tunnel))
        }
    }
}
