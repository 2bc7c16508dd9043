//! A request body whose sender may not leave it unfinished for ever.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

use crate::body::BodyError;

/// Why a body was given up.
#[derive(Debug, thiserror::Error)]
#[error("nothing of the request's body came for {0:?}")]
struct Quiet(Duration);

/// A body that fails when its sender is quiet for too long while somebody waits for it.
pub(super) struct Idle {
    body: Incoming,
    patience: Duration,
    /// Made when the body first keeps its reader waiting: most never do.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Idle {
    pub(super) fn new(body: Incoming, patience: Duration) -> Self {
        Self {
            body,
            patience,
            timer: None,
            waiting: false,
        }
    }

    fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + patience);
        }
        timer.as_mut().poll(context)
    }
}

impl Body for Idle {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        this.poll_quiet(context)
            .map(|()| Some(Err(Quiet(this.patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
