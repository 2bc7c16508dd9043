//! Two streams joined: bytes go both ways, each way ends by itself, and the whole ends when nothing moves for too long.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use osier_process::CancellationToken;
use osier_process::serve::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

/// Bytes that one direction holds.
const BUFFER: usize = 16 * 1024;
/// After stop: a connection on which nothing moves for this long is ended.
const QUIET: Duration = Duration::from_secs(1);
/// After stop: how long a busy connection is left.
const LEFT: Duration = Duration::from_secs(10);

/// When streams are ended from here.
pub(crate) struct Bounds {
    /// Time without a byte in either direction.
    pub(crate) idle: Duration,
    /// The listener or the process stops.
    pub(crate) stopping: CancellationToken,
}

/// Counts what passes, while it passes.
pub(crate) trait Count: Send + Sync {
    /// From the client.
    fn received(&self, bytes: u64);
    /// To the client.
    fn sent(&self, bytes: u64);
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Both sides said that they are done.
    Done,
    /// One side broke off.
    Broken(io::Error),
    /// Nothing moved for too long, or we stop.
    Cut,
}

/// Joins a client and an upstream until both are done.
pub(crate) async fn carry<A: Stream, B: Stream>(
    (client, upstream): (A, B),
    count: &dyn Count,
    bounds: &Bounds,
) -> End {
    let (started, moved) = (Instant::now(), AtomicU64::new(0));
    let touch = || {
        let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        moved.store(now, Ordering::Relaxed);
    };
    let quiet = || {
        let last = started + Duration::from_millis(moved.load(Ordering::Relaxed));
        last.elapsed()
    };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    let there = pump(from_client, to_upstream, |bytes| {
        touch();
        count.received(bytes);
    });
    let back = pump(from_upstream, to_client, |bytes| {
        touch();
        count.sent(bytes);
    });
    tokio::select! {
        ended = async { tokio::try_join!(there, back) } => match ended {
            Ok(_) => End::Done,
            Err(error) => End::Broken(error),
        },
        () = over(&quiet, bounds) => End::Cut,
    }
}

async fn pump<A: Stream, B: Stream>(
    mut from: ReadHalf<A>,
    mut to: WriteHalf<B>,
    passed: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        passed(count as u64);
    }
}

/// Returns when the connection is to be cut.
async fn over(quiet: &impl Fn() -> Duration, bounds: &Bounds) {
    tokio::select! {
        () = still(quiet, bounds.idle) => return,
        () = bounds.stopping.cancelled() => {}
    }
    let _either = tokio::time::timeout(LEFT, still(quiet, QUIET)).await;
}

/// Returns when nothing has moved for this long.
async fn still(quiet: &impl Fn() -> Duration, patience: Duration) {
    while let Some(left) = patience.checked_sub(quiet()).filter(|left| !left.is_zero()) {
        tokio::time::sleep(left).await;
    }
}
