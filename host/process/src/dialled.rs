//! Connections that we open for requests of our own: the handshake, and the task that carries the connection until it ends or we stop.

use crate::Tasks;
use crate::body::Body;
use crate::serve::Stream;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

/// Speaks HTTP/1.1 over a stream that was opened, TLS done. `task` names the connection's task, which ends with the connection or with
/// `tasks`, and which upgrades may take over.
///
/// # Errors
/// The other end does not speak HTTP/1.1.
pub async fn http1<S: Stream + 'static>(
    stream: S,
    tasks: &Tasks,
    task: &'static str,
) -> Result<SendRequest<Body>, hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let stopping = tasks.stopping();
    tasks.spawn(task, async move {
        tokio::select! {
            // What the request was answered tells its sender enough.
            ended = connection.with_upgrades() => if let Err(error) = ended {
                tracing::debug!(%error, task, "a connection ended early");
            },
            () = stopping.cancelled() => {}
        }
    });
    Ok(sender)
}
