//! The two directions of a connection, as a program has them: what it reads comes when it is there, what it writes is taken while there
//! is room, and each direction ends by itself.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use osier_process::{CancellationToken, Tasks};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Notify;

/// Bytes that are moved at once.
pub const CHUNK: usize = 16 * 1024;
/// How long what was written may wait for its reader after the program closed the connection.
const LINGER: Duration = Duration::from_secs(30);
/// More than so many who wait for room at once are told to ask again.
const WAITING: usize = 8;

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
        way: Way::Free(write),
        waiting: Vec::new(),
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
    way: Way,
    /// Who waits for room.
    waiting: Vec<Waker>,
    tasks: Tasks,
}

/// Where what the program writes goes.
enum Way {
    /// Into the connection at once.
    Free(WriteHalf<DuplexStream>),
    /// Nowhere yet: a task sends what the connection had no room for, and gives it back. It must be a task, because a program that
    /// wrote its last may read, or do nothing, for as long as it likes. It is told when the program writes no more.
    Sending(Arc<Notify>),
    /// Nowhere any more.
    Shut,
}

impl Outgoing {
    /// Writes as much as there is room for.
    fn write(half: &mut WriteHalf<DuplexStream>, bytes: &mut Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            match Pin::new(&mut *half).poll_write(&mut at_once(), bytes) {
                Poll::Ready(written) => bytes.advance(written?),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// The task has sent everything, or the connection is broken.
    async fn sent(this: Weak<Mutex<Self>>, half: Option<WriteHalf<DuplexStream>>) {
        let kept = this.upgrade();
        let mut rest = half;
        if let Some(outgoing) = &kept {
            let mut outgoing = outgoing.lock();
            if let Way::Sending(_) = outgoing.way {
                outgoing.way = rest.take().map_or(Way::Shut, Way::Free);
            }
            outgoing.wake();
        }
        if let Some(mut half) = rest {
            // In memory this never waits.
            let _shut = half.shutdown().await;
        }
    }

    fn poll_room(&mut self, context: &Context<'_>) -> Poll<()> {
        if !matches!(self.way, Way::Sending(_)) {
            return Poll::Ready(());
        }
        if self.waiting.len() >= WAITING {
            self.wake();
        }
        if !self
            .waiting
            .iter()
            .any(|one| one.will_wake(context.waker()))
        {
            self.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// The other side is told that nothing follows, after what is still to be sent.
    fn shut(&mut self) {
        match std::mem::replace(&mut self.way, Way::Shut) {
            Way::Free(mut half) => {
                // In memory this never waits.
                let _shut = Pin::new(&mut half).poll_shutdown(&mut at_once());
            }
            Way::Sending(closed) => closed.notify_one(),
            Way::Shut => {}
        }
        self.wake();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Sends it all; nothing if the other side is gone, or has not read it for long after the program closed the connection.
async fn send(
    mut half: WriteHalf<DuplexStream>,
    mut bytes: Bytes,
    closed: Arc<Notify>,
    stopping: CancellationToken,
) -> Option<WriteHalf<DuplexStream>> {
    let late = async {
        closed.notified().await;
        let _either = tokio::time::timeout(LINGER, stopping.cancelled()).await;
    };
    let sent = tokio::select! {
        sent = half.write_all_buf(&mut bytes) => sent.is_ok(),
        () = late => false,
    };
    sent.then_some(half)
}

impl Writer {
    /// The program writes no more.
    pub fn shut(&self) {
        self.outgoing.lock().shut();
    }

    /// Whether it may write.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.outgoing.lock().way, Way::Shut)
    }

    /// Ready when there is room, or nobody reads any more.
    pub async fn ready(&self) {
        poll_fn(|context| self.poll_ready(context)).await;
    }

    /// The same, to be polled.
    pub fn poll_ready(&self, context: &Context<'_>) -> Poll<()> {
        self.outgoing.lock().poll_room(context)
    }

    /// Room for so many bytes: none, or a chunk. `None` when nobody reads any more.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        match self.outgoing.lock().way {
            Way::Free(_) => Some(CHUNK),
            Way::Sending(_) => Some(0),
            Way::Shut => None,
        }
    }

    /// Takes bytes for which there is room. They arrive whatever the program does then.
    ///
    /// # Errors
    /// Nobody reads any more, or there is no room for them.
    pub fn put(&self, mut bytes: Bytes) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        let half = match &mut outgoing.way {
            Way::Shut => return Err(io::ErrorKind::BrokenPipe.into()),
            Way::Free(half) if bytes.len() <= CHUNK => half,
            Way::Free(_) | Way::Sending(_) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        let written = Outgoing::write(half, &mut bytes);
        if written.is_err() {
            outgoing.way = Way::Shut;
        } else if !bytes.is_empty() {
            self.send_later(&mut outgoing, bytes);
        }
        written
    }

    fn send_later(&self, outgoing: &mut Outgoing, bytes: Bytes) {
        let closed = Arc::new(Notify::new());
        let way = Way::Sending(Arc::clone(&closed));
        let Way::Free(half) = std::mem::replace(&mut outgoing.way, way) else {
            return;
        };
        let (this, stopping) = (Arc::downgrade(&self.outgoing), outgoing.tasks.stopping());
        outgoing.tasks.spawn("socket-send", async move {
            let half = send(half, bytes, closed, stopping).await;
            Outgoing::sent(this, half).await;
        });
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
    async fn what_was_written_arrives_though_the_program_does_nothing_more() {
        let (_reader, writer, mut far) = pair(1024);
        writer.put(Bytes::from(vec![7; CHUNK])).unwrap();
        assert_eq!((writer.room(), writer.is_open()), (Some(0), true));
        let mut read = vec![0; CHUNK];
        far.read_exact(&mut read).await.unwrap();
        writer.ready().await;
        assert_eq!(writer.room(), Some(CHUNK));
        writer.put(Bytes::from(vec![7; CHUNK])).unwrap();
        // Who waits is told that nobody reads any more, too.
        drop(far);
        writer.ready().await;
        assert_eq!((writer.room(), writer.is_open()), (None, false));
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
