//! Datagrams between two ports as one stream of bytes, each with its length before it: so they travel by the ways of connections.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::fault::Fault;

/// A flow on which nothing moved for this long is forgotten (as Linux forgets one that was answered).
const IDLE: Duration = Duration::from_secs(120);
/// How long a refusal holds before it is tried again.
pub(crate) const REFUSED: Duration = Duration::from_secs(1);

/// What is known of two ports that speak with each other.
#[derive(Debug)]
pub(crate) enum Flow {
    /// Datagrams to the other side go here.
    Open(mpsc::Sender<Bytes>),
    /// There was no way, at this time.
    Refused(Fault, Instant),
}

impl Flow {
    /// It is of no use any more.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Open(queue) => queue.is_closed(),
            Self::Refused(_, since) => since.elapsed() >= REFUSED,
        }
    }
}

/// Carries a flow until one side ends it, or nothing moves. `arrived` is false when nobody takes datagrams any more.
pub(crate) async fn carry(
    stream: DuplexStream,
    mut outgoing: mpsc::Receiver<Bytes>,
    arrived: impl Fn(Bytes) -> bool + Send,
) {
    let moved = Mutex::new(Instant::now());
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        while let Some(data) = outgoing.recv().await {
            *moved.lock() = Instant::now();
            write_one(&mut write, &data).await?;
        }
        Ok::<_, io::Error>(())
    };
    let receiving = async {
        while arrived(read_one(&mut read).await?) {
            *moved.lock() = Instant::now();
        }
        Ok::<_, io::Error>(())
    };
    tokio::select! {
        _ = sending => {}
        _ = receiving => {}
        () = still(&moved) => {}
    }
}

/// Returns when nothing has moved for long.
async fn still(moved: &Mutex<Instant>) {
    let until = || *moved.lock() + IDLE;
    while until() > Instant::now() {
        tokio::time::sleep_until(until()).await;
    }
}

async fn write_one(write: &mut WriteHalf<DuplexStream>, data: &Bytes) -> io::Result<()> {
    let length = u16::try_from(data.len()).map_err(io::Error::other)?;
    write.write_u16(length).await?;
    write.write_all(data).await
}

async fn read_one(read: &mut ReadHalf<DuplexStream>) -> io::Result<Bytes> {
    let length = read.read_u16().await?;
    let mut data = BytesMut::zeroed(length.into());
    read.read_exact(&mut data).await?;
    Ok(data.freeze())
}
