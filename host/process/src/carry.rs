//! Two streams joined: bytes go both ways, each way ends by itself, and the whole ends when nothing moves for too long.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::CancellationToken;
use crate::serve::Stream;
use futures::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

/// Bytes that one direction holds.
const BUFFER: usize = 16 * 1024;
/// After one direction broke off: how long the other one is left.
const BROKEN: Duration = Duration::from_secs(5);
/// After stop: a connection on which nothing moves for this long is ended.
const QUIET: Duration = Duration::from_secs(1);
/// After stop: how long a busy connection is left.
const LEFT: Duration = Duration::from_secs(10);

/// When streams are ended from here.
pub struct Bounds {
    /// Time without a byte in either direction.
    pub idle: Duration,
    /// The listener or the process stops.
    pub stopping: CancellationToken,
}

/// Counts what passes, while it passes.
pub trait Count: Send + Sync {
    /// From the client.
    fn received(&self, bytes: u64);
    /// To the client.
    fn sent(&self, bytes: u64);
}

/// Counts nothing but what passed.
#[derive(Debug, Default)]
pub struct Passed {
    received: Way,
    sent: Way,
}

/// Bytes of one direction: in all, and of those what was told before.
#[derive(Debug, Default)]
struct Way {
    all: AtomicU64,
    told: AtomicU64,
}

impl Way {
    fn tell(&self) -> (u64, u64) {
        let all = self.all.load(Ordering::Relaxed);
        (
            all.saturating_sub(self.told.swap(all, Ordering::Relaxed)),
            all,
        )
    }
}

impl Passed {
    /// Bytes from and to the client: in each direction since the last time that this was asked, and in all.
    pub fn tell(&self) -> [(u64, u64); 2] {
        [self.received.tell(), self.sent.tell()]
    }

    /// Bytes from and to the client.
    pub fn all(&self) -> [u64; 2] {
        [&self.received, &self.sent].map(|way| way.all.load(Ordering::Relaxed))
    }
}

impl Count for Passed {
    fn received(&self, bytes: u64) {
        self.received.all.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sent(&self, bytes: u64) {
        self.sent.all.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// Both sides said that they are done.
    Done,
    /// One side broke off.
    Broken(io::Error),
    /// Nothing moved for too long, or we stop.
    Cut,
}

/// Joins a client and an upstream until both are done.
pub async fn carry<A: Stream, B: Stream>(
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
        ended = both(there, back) => match ended {
            Ok(()) => End::Done,
            Err(error) => End::Broken(error),
        },
        () = over(&quiet, bounds) => End::Cut,
    }
}

/// Both directions to their end. Where one breaks off, what is under way in the other may still arrive.
async fn both(
    there: impl Future<Output = io::Result<()>>,
    back: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let (there, back) = (Box::pin(there), Box::pin(back));
    let (first, rest) = match select(there, back).await {
        Either::Left((first, rest)) => (first, Either::Left(rest)),
        Either::Right((first, rest)) => (first, Either::Right(rest)),
    };
    match first {
        Ok(()) => rest.await,
        Err(error) => {
            let _late = tokio::time::timeout(BROKEN, rest).await;
            Err(error)
        }
    }
}

async fn pump<A: Stream, B: Stream>(
    mut from: ReadHalf<A>,
    mut to: WriteHalf<B>,
    passed: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let moved = async {
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..count]).await?;
            to.flush().await?;
            passed(count as u64);
        }
    };
    let moved: io::Result<()> = moved.await;
    // However it ended, nothing follows.
    moved.and(to.shutdown().await)
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
