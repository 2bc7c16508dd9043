//! The two directions of a connection, as streams of WASI.

use bytes::{Buf, Bytes, BytesMut};
use osier_process::Tasks;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes that are moved at once.
const CHUNK: usize = 16 * 1024;
/// How long what was written may wait for its reader after the program closed the connection.
const LINGER: Duration = Duration::from_secs(30);

/// The halves of a connection; the socket keeps copies, to shut them down.
pub(super) fn halves(stream: DuplexStream, tasks: &Tasks) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    let reader = Incoming::Open {
        half: read,
        read: Bytes::new(),
    };
    let writer = Outgoing {
        half: Some(write),
        unsent: Bytes::new(),
        tasks: tasks.clone(),
    };
    (
        Reader(Arc::new(Mutex::new(reader))),
        Writer(Arc::new(Mutex::new(writer))),
    )
}

fn at_once() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What the program reads.
#[derive(Clone)]
pub(super) struct Reader(Arc<Mutex<Incoming>>);

enum Incoming {
    Open {
        half: ReadHalf<DuplexStream>,
        /// Read while somebody waited for it.
        read: Bytes,
    },
    Ended,
}

impl Incoming {
    /// Reads if nothing is here yet. At the end it is ended.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Open { half, read } = self else {
            return Poll::Ready(Ok(()));
        };
        if !read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = BytesMut::zeroed(CHUNK);
        let mut buffer = ReadBuf::new(&mut bytes);
        let filled = ready!(Pin::new(half).poll_read(context, &mut buffer));
        let count = buffer.filled().len();
        bytes.truncate(count);
        match (&filled, count) {
            (Ok(()), 1..) => *read = bytes.freeze(),
            _ => *self = Self::Ended,
        }
        Poll::Ready(filled)
    }

    fn take(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return match self {
                Self::Open { .. } => Ok(Bytes::new()),
                Self::Ended => Err(StreamError::Closed),
            };
        }
        if let Poll::Ready(Err(error)) = self.poll_fill(&mut at_once()) {
            return Err(StreamError::LastOperationFailed(error.into()));
        }
        match self {
            Self::Open { read, .. } => Ok(read.split_to(size.min(read.len()))),
            Self::Ended => Err(StreamError::Closed),
        }
    }
}

impl Reader {
    /// The program reads no more.
    pub(super) fn shut(&self) {
        *self.0.lock() = Incoming::Ended;
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        // What went wrong is told by the next read.
        let _told = poll_fn(|context| self.0.lock().poll_fill(context)).await;
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.0.lock().take(size)
    }
}

/// What the program writes.
#[derive(Clone)]
pub(super) struct Writer(Arc<Mutex<Outgoing>>);

struct Outgoing {
    /// Nothing once it is shut.
    half: Option<WriteHalf<DuplexStream>>,
    /// Taken from the program, and not yet on the way.
    unsent: Bytes,
    tasks: Tasks,
}

impl Outgoing {
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let Some(half) = &mut self.half else {
                return Poll::Ready(Ok(()));
            };
            let written = ready!(Pin::new(half).poll_write(context, &self.unsent));
            match written {
                Ok(count) => self.unsent.advance(count),
                Err(error) => {
                    (self.half, self.unsent) = (None, Bytes::new());
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The other side is told that nothing follows, after what is still to be sent.
    fn shut(&mut self) {
        let _sent = self.poll_flush(&mut at_once());
        let Some(mut half) = self.half.take() else {
            return;
        };
        let unsent = std::mem::take(&mut self.unsent);
        if unsent.is_empty() {
            // In memory this never waits.
            let _shut = Pin::new(&mut half).poll_shutdown(&mut at_once());
        } else {
            self.linger(half, unsent);
        }
    }

    /// Sends the rest and then the end, by and by.
    fn linger(&self, mut half: WriteHalf<DuplexStream>, mut unsent: Bytes) {
        if tokio::runtime::Handle::try_current().is_ok() {
            let stopping = self.tasks.stopping();
            let rest = async move {
                half.write_all_buf(&mut unsent).await?;
                half.shutdown().await
            };
            self.tasks.spawn("socket-linger", async move {
                tokio::select! {
                    _ = tokio::time::timeout(LINGER, rest) => {}
                    () = stopping.cancelled() => {}
                }
            });
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Writer {
    /// The program writes no more.
    pub(super) fn shut(&self) {
        self.0.lock().shut();
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        // What went wrong is told by the next write.
        let _told = poll_fn(|context| self.0.lock().poll_flush(context)).await;
    }
}

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut outgoing = self.0.lock();
        if outgoing.half.is_none() {
            return Err(StreamError::Closed);
        }
        if !outgoing.unsent.is_empty() || bytes.len() > CHUNK {
            return Err(StreamError::trap("a write without room for it"));
        }
        outgoing.unsent = bytes;
        match outgoing.poll_flush(&mut at_once()) {
            Poll::Ready(Err(_)) => Err(StreamError::Closed),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        match self.0.lock().half {
            Some(_) => Ok(()),
            None => Err(StreamError::Closed),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let mut outgoing = self.0.lock();
        let flushed = outgoing.poll_flush(&mut at_once());
        match (flushed, outgoing.half.is_some()) {
            (Poll::Ready(Err(_)), _) | (_, false) => Err(StreamError::Closed),
            (Poll::Ready(Ok(())), true) => Ok(CHUNK),
            (Poll::Pending, true) => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_was_written_arrives_after_the_program_closed_the_connection() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (reader, mut writer) = halves(near, &Tasks::new());
        let mut sent = 0;
        while writer.check_write().unwrap() > 0 {
            writer.write(Bytes::from(vec![7; CHUNK])).unwrap();
            sent += CHUNK;
        }
        drop((reader, writer));
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), sent);
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (near, mut far) = tokio::io::duplex(64);
        let (mut reader, mut writer) = halves(near, &Tasks::new());
        assert_eq!(reader.read(10).unwrap(), Bytes::new());
        writer.shut();
        assert!(matches!(writer.check_write(), Err(StreamError::Closed)));
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        far.write_all(b"hello").await.unwrap();
        reader.ready().await;
        assert_eq!(reader.read(2).unwrap(), Bytes::from_static(b"he"));
        drop(far);
        assert_eq!(reader.read(10).unwrap(), Bytes::from_static(b"llo"));
        reader.ready().await;
        assert!(matches!(reader.read(10), Err(StreamError::Closed)));
    }
}
