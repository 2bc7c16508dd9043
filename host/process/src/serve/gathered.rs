//! [`Gathered`]: what many streams of one HTTP/2 connection say at the same moment, sent together.
//!
//! Whoever is told of a change, and thousands may be, writes a frame and wakes the connection, which would encrypt and send each frame
//! alone. Here a flush first lets everybody else run who is about to; what they write goes in the same record and the same call of
//! the system. Where nobody else is about to run, that costs one turn of the connection's task.

use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much is gathered at most.
const MOST: usize = 64 * 1024;

/// How a connection of HTTP/2 begins (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// A connection that sends what is written between two flushes at once, if it gathers at all and its client speaks HTTP/2: in HTTP/1.1
/// nobody else writes, and after an upgrade what is written must not be lost with whoever wrote it.
pub(super) struct Gathered<S> {
    inner: S,
    gathers: bool,
    /// The client has said what it speaks.
    known: bool,
    waiting: BytesMut,
    /// The others were let go first.
    yielded: bool,
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(inner: S, gathers: bool) -> Self {
        Self {
            inner,
            gathers,
            known: false,
            waiting: BytesMut::new(),
            yielded: false,
        }
    }

    fn take(&mut self, data: &[u8]) -> usize {
        let room = MOST.saturating_sub(self.waiting.len());
        let taken = data.get(..room.min(data.len())).unwrap_or_default();
        self.waiting.extend_from_slice(taken);
        taken.len()
    }

    /// Makes room, if there is none.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.waiting.len() < MOST {
            true => Poll::Ready(Ok(())),
            false => self.poll_send(context),
        }
    }

    /// Hands on what waits.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = Pin::new(&mut self.inner).poll_write(context, &self.waiting);
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.waiting.advance(sent),
            }
        }
        // Most connections are quiet for long, and hold no room meanwhile.
        self.waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.gathers {
            return Pin::new(&mut self.inner).poll_write(context, data);
        }
        ready!(self.poll_room(context))?;
        Poll::Ready(Ok(self.take(data)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.gathers {
            return Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        }
        ready!(self.poll_room(context))?;
        let taken = parts.iter().map(|part| self.take(part));
        Poll::Ready(Ok(taken.sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.gathers || self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.waiting.is_empty() && !self.yielded {
            self.yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_send(context))?;
        self.yielded = false;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if !self.known {
            self.known = true;
            let first = buffer.filled().get(before..).unwrap_or_default();
            self.gathers &= first.starts_with(PREFACE);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_is_written_before_a_flush_ends_is_sent_at_once() {
        let (here, mut there) = tokio::io::duplex(2 * MOST);
        let mut gathered = Gathered::new(here, true);
        gathered.write_all(b"one ").await.unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let pending = Pin::new(&mut gathered).poll_flush(&mut context);
        assert!(pending.is_pending(), "others go first");
        gathered.write_all(b"two").await.unwrap();
        gathered.flush().await.unwrap();
        let mut read = [0; 64];
        let count = there.read(&mut read).await.unwrap();
        assert_eq!(read[..count], *b"one two");
    }

    #[tokio::test]
    async fn what_is_said_in_http_1_is_sent_as_it_is_written() {
        let (here, mut there) = tokio::io::duplex(MOST);
        let mut gathered = Gathered::new(here, true);
        there.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        gathered.read_u8().await.unwrap();
        gathered.write_all(b"HTTP/1.1 101").await.unwrap();
        let mut read = [0; 64];
        let count = there.read(&mut read).await.unwrap();
        assert_eq!(read[..count], *b"HTTP/1.1 101", "without a flush");
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_arrives_whole_and_in_order() {
        let (here, mut there) = tokio::io::duplex(1000);
        let sent: Vec<u8> = (0..3 * MOST).map(|place| (place % 251) as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            let mut gathered = Gathered::new(here, true);
            for part in sent.chunks(10_007) {
                gathered.write_all(part).await.unwrap();
            }
            gathered.shutdown().await.unwrap();
        });
        let mut read = Vec::new();
        there.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, expected);
        writer.await.unwrap();
    }
}
