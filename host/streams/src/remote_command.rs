//! The streams of one command, as `kubectl exec` and `attach` open them: standard input, output and error, the size of a terminal, and
//! how it ended (`v4.channel.k8s.io`, `v5.channel.k8s.io`, and both over SPDY).

mod channels;

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::Receiver;

use crate::idle::Idle;
use crate::{SessionError, Stream, Transport, spdy};

/// The protocols that are served, the best first. Those before tell no exit code that a client could read.
pub const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// Time until a client of SPDY has opened all of its streams, as kubelet has it.
const OPENING: Duration = Duration::from_secs(30);

/// The streams that a client wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// It writes to the command.
    pub stdin: bool,
    /// It reads what the command writes.
    pub stdout: bool,
    /// It reads what the command complains of.
    pub stderr: bool,
    /// It shows a terminal, and tells its size.
    pub tty: bool,
}

/// The streams that a client has opened.
#[derive(Debug, Default)]
pub struct Streams {
    /// Ends where the client ends it.
    pub stdin: Option<DuplexStream>,
    /// To the client.
    pub stdout: Option<DuplexStream>,
    /// To the client.
    pub stderr: Option<DuplexStream>,
    /// JSON values `{"Width": 80, "Height": 24}`, one after the other.
    pub resize: Option<DuplexStream>,
}

/// Serves a connection that has changed its protocol. `run` gets the streams, and says how the command ended: a Status as JSON, which
/// is told after all that was written. When the client goes, `run` is dropped.
///
/// # Errors
/// What the client did wrong, or how the connection broke.
pub async fn serve<S, F>(
    connection: S,
    transport: Transport,
    wanted: Wanted,
    run: impl FnOnce(Streams) -> F,
) -> Result<(), SessionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = String>,
{
    let connection = Idle::new(connection);
    match transport {
        Transport::Channels => channels::serve(connection, wanted, run)
            .await
            .map_err(SessionError::WebSocket),
        Transport::Spdy | Transport::Tunnel => {
            spdy::serve(connection, |opened| over_spdy(opened, wanted, run)).await
        }
    }
}

async fn over_spdy<F>(mut opened: Receiver<Stream>, wanted: Wanted, run: impl FnOnce(Streams) -> F)
where
    F: Future<Output = String>,
{
    let collected = tokio::time::timeout(OPENING, collect(&mut opened, wanted)).await;
    // A client that does not open what it asked for is not waited for.
    let Ok(Some((streams, mut error))) = collected else {
        return;
    };
    let status = run(streams).await;
    // A client that has gone does not want to know.
    let _told = error.write_all(status.as_bytes()).await;
    let _told = error.shutdown().await;
}

/// Takes the streams until all are there that are wanted, and the one for errors.
async fn collect(opened: &mut Receiver<Stream>, wanted: Wanted) -> Option<(Streams, DuplexStream)> {
    let (mut streams, mut error) = (Streams::default(), None);
    while !(error.is_some() && streams.are(wanted)) {
        let Stream { headers, bytes } = opened.recv().await?;
        let place = match headers.get("streamType")? {
            "error" => &mut error,
            "stdin" => &mut streams.stdin,
            "stdout" => &mut streams.stdout,
            "stderr" => &mut streams.stderr,
            "resize" => &mut streams.resize,
            _ => continue,
        };
        *place = Some(bytes);
    }
    error.map(|error| (streams, error))
}

impl Streams {
    /// With a terminal there is no stream of errors.
    fn are(&self, wanted: Wanted) -> bool {
        let there = |stream: &Option<DuplexStream>, wanted: bool| stream.is_some() || !wanted;
        there(&self.stdin, wanted.stdin)
            && there(&self.stdout, wanted.stdout)
            && there(&self.stderr, wanted.stderr && !wanted.tty)
            && there(&self.resize, wanted.tty)
    }
}

#[cfg(test)]
mod tests;
