//! A body whose trailers pass the filters.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use osier_process::body::{Body, BodyError, boxed};

use super::Chain;

/// A filter gave no answer about trailers: the message must not end as if it were whole.
#[derive(Debug, thiserror::Error)]
#[error("a filter gave no answer about the trailers: {0}")]
struct Unanswered(String);

pub(super) fn filtered(body: Body, chain: Arc<Chain>, response: bool) -> Body {
    if body.is_end_stream() {
        return body;
    }
    boxed(Trailed {
        body,
        chain,
        response,
    })
}

struct Trailed {
    body: Body,
    chain: Arc<Chain>,
    response: bool,
}

impl http_body::Body for Trailed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let frame = match frame {
            Some(Ok(frame)) if frame.is_trailers() => frame,
            other => return Poll::Ready(other),
        };
        let Ok(mut trailers) = frame.into_trailers() else {
            return Poll::Ready(None);
        };
        let passed = self.chain.trailing(&mut trailers, self.response);
        Poll::Ready(Some(match passed {
            Ok(()) => Ok(Frame::trailers(trailers)),
            Err(reason) => Err(Unanswered(reason).into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
