//! Bodies and streams that hold something for as long as they are there: a count, a place, a lease.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::{Body, BodyError};

/// A body or a stream, and what goes with it.
pub struct Holding<T, H> {
    inner: T,
    _held: H,
}

impl<T, H> Holding<T, H> {
    /// Holds it until the body or stream is dropped.
    pub fn new(inner: T, held: H) -> Self {
        Self { inner, _held: held }
    }
}

impl<H: Unpin> http_body::Body for Holding<Body, H> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Holding<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Holding<S, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::body;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_is_held_goes_with_its_body() {
        let held = Arc::new(());
        let whole = body::boxed(Holding::new(body::full("abc"), Arc::clone(&held)));
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(body::read(whole, 8).await.unwrap(), "abc");
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
