//! What nobody read of a request's body. On HTTP/1 it stands before the next request: unless it is taken off the connection,
//! that must be closed, and a client that had already begun to send again sees its request fail.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;

use super::{Body, BodyError};

/// The rest of a body, once whoever had it is done with it.
pub struct Unread(oneshot::Receiver<Body>);

/// A body for whoever answers, and what they will leave of it; `None` where there is nothing to read.
pub fn lend(body: Body) -> (Body, Option<Unread>) {
    if body.is_end_stream() {
        return (body, None);
    }
    let (back, rest) = oneshot::channel();
    let lent = Lent {
        body: Some(body),
        back: Some(back),
    };
    (lent.boxed_unsync(), Some(Unread(rest)))
}

impl Unread {
    /// Reads what was left and forgets it: at most `limit` bytes, and no longer than `patience`. A body that is still in use
    /// is not touched.
    pub async fn discard(mut self, limit: usize, patience: Duration) {
        let Ok(mut body) = self.0.try_recv() else {
            return;
        };
        let mut room = limit;
        let rest = async {
            while let Some(Ok(frame)) = body.frame().await {
                let read = frame.data_ref().map_or(0, Bytes::len);
                match room.checked_sub(read) {
                    Some(left) => room = left,
                    None => return,
                }
            }
        };
        // Whoever sends slower than that loses the connection.
        let _ = tokio::time::timeout(patience, rest).await;
    }
}

/// A body that goes back when it is dropped.
struct Lent {
    body: Option<Body>,
    back: Option<oneshot::Sender<Body>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(http_body::Body::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Nobody waits for it where the answer was given up.
            let _ = back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::body::{read, stream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A body of four pieces that counts those that were taken.
    fn counted(taken: &Arc<AtomicUsize>) -> Body {
        let taken = Arc::clone(taken);
        let pieces = (0..4).map(move |_| {
            taken.fetch_add(1, Ordering::Relaxed);
            Ok(Bytes::from_static(b"1234"))
        });
        stream(futures::stream::iter(pieces))
    }

    #[tokio::test]
    async fn what_nobody_read_is_taken_within_the_limit() {
        for (limit, pieces) in [(64, 4), (8, 3)] {
            let taken = Arc::new(AtomicUsize::new(0));
            let (body, unread) = lend(counted(&taken));
            drop(body);
            unread.unwrap().discard(limit, Duration::from_secs(9)).await;
            assert_eq!(taken.load(Ordering::Relaxed), pieces);
        }
    }

    #[tokio::test]
    async fn what_is_in_use_is_left_alone() {
        let taken = Arc::new(AtomicUsize::new(0));
        let (body, unread) = lend(counted(&taken));
        unread.unwrap().discard(64, Duration::from_secs(9)).await;
        assert_eq!(read(body, 64).await.unwrap().len(), 16);
    }

    #[test]
    fn an_empty_body_is_not_lent() {
        assert!(lend(crate::body::empty()).1.is_none());
    }
}
