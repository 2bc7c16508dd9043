//! The two directions of a connection, as a program has them: what it reads comes when it is there, what it writes is taken while there
//! is room, and each direction ends by itself.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use osier_process::Tasks;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};

/// Bytes that are moved at once.
pub const CHUNK: usize = 16 * 1024;
/// How long what was written may wait for its reader after the program closed the connection.
const LINGER: Duration = Duration::from_secs(30);

/// What a connection has of its pod, until both directions and the socket are gone: a port, or a place among the sockets.
pub(crate) type Kept = Arc<dyn Send + Sync>;

/// The halves of a connection.
pub(crate) fn halves(stream: DuplexStream, tasks: &Tasks, kept: &Kept) -> (Reader, Writer) {
    let (read, write) = tokio::io::split(stream);
    let incoming = Incoming::Open {
        half: read,
        read: Bytes::new(),
    };
    let outgoing = Outgoing {
        half: Some(write),
        unsent: Bytes::new(),
        tasks: tasks.clone(),
    };
    (
        Reader {
            incoming: Arc::new(Mutex::new(incoming)),
            _kept: Arc::clone(kept),
        },
        Writer {
            outgoing: Arc::new(Mutex::new(outgoing)),
            _kept: Arc::clone(kept),
        },
    )
}

fn at_once() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// What the program reads. Clones share it.
#[derive(Clone)]
pub struct Reader {
    incoming: Arc<Mutex<Incoming>>,
    _kept: Kept,
}

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
}

impl Reader {
    /// The program reads no more.
    pub fn shut(&self) {
        *self.incoming.lock() = Incoming::Ended;
    }

    /// Ready when there is something to read, or the end.
    pub async fn ready(&self) {
        // What went wrong is told by the next read.
        let _told = poll_fn(|context| self.poll_ready(context)).await;
    }

    /// The same, to be polled.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.lock().poll_fill(context)
    }

    /// Takes what has come, no more than so many bytes, and none if nothing has; `None` at the end.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn take(&self, most: usize) -> io::Result<Option<Bytes>> {
        let mut incoming = self.incoming.lock();
        if most > 0
            && let Poll::Ready(Err(error)) = incoming.poll_fill(&mut at_once())
        {
            return Err(error);
        }
        Ok(match &mut *incoming {
            Incoming::Open { read, .. } => Some(read.split_to(most.min(read.len()))),
            Incoming::Ended => None,
        })
    }
}

/// What the program writes. Clones share it; when all are gone, the other side is told that nothing follows.
#[derive(Clone)]
pub struct Writer {
    outgoing: Arc<Mutex<Outgoing>>,
    _kept: Kept,
}

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
    pub fn shut(&self) {
        self.outgoing.lock().shut();
    }

    /// Whether it may write.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outgoing.lock().half.is_some()
    }

    /// Ready when there is room.
    pub async fn ready(&self) {
        // What went wrong is told by the next write.
        let _told = poll_fn(|context| self.poll_ready(context)).await;
    }

    /// The same, to be polled.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.lock().poll_flush(context)
    }

    /// Room for so many bytes: none, or a chunk. `None` when nobody reads any more.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        let mut outgoing = self.outgoing.lock();
        let flushed = outgoing.poll_flush(&mut at_once());
        match (flushed, outgoing.half.is_some()) {
            (Poll::Ready(Err(_)), _) | (_, false) => None,
            (Poll::Ready(Ok(())), true) => Some(CHUNK),
            (Poll::Pending, true) => Some(0),
        }
    }

    /// Takes bytes for which there is room.
    ///
    /// # Errors
    /// Nobody reads any more, or there is no room for them.
    pub fn put(&self, bytes: Bytes) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.half.is_none() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !outgoing.unsent.is_empty() || bytes.len() > CHUNK {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        outgoing.unsent = bytes;
        match outgoing.poll_flush(&mut at_once()) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn pair(buffer: usize) -> (Reader, Writer, DuplexStream) {
        let (near, far) = tokio::io::duplex(buffer);
        let kept: Kept = Arc::new(());
        let (reader, writer) = halves(near, &Tasks::new(), &kept);
        (reader, writer, far)
    }

    #[tokio::test]
    async fn what_was_written_arrives_after_the_program_closed_the_connection() {
        let (reader, writer, mut far) = pair(1024);
        let mut sent = 0;
        while writer.room().unwrap() > 0 {
            writer.put(Bytes::from(vec![7; CHUNK])).unwrap();
            sent += CHUNK;
        }
        assert_eq!(
            writer.put(Bytes::from_static(b"x")).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        drop((reader, writer));
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), sent);
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (reader, writer, mut far) = pair(64);
        assert_eq!(reader.take(10).unwrap(), Some(Bytes::new()));
        writer.shut();
        assert_eq!((writer.room(), writer.is_open()), (None, false));
        let mut read = Vec::new();
        far.read_to_end(&mut read).await.unwrap();
        far.write_all(b"hello").await.unwrap();
        reader.ready().await;
        assert_eq!(reader.take(2).unwrap(), Some(Bytes::from_static(b"he")));
        drop(far);
        assert_eq!(reader.take(10).unwrap(), Some(Bytes::from_static(b"llo")));
        reader.ready().await;
        assert_eq!(reader.take(10).unwrap(), None);
    }
}
