//! A body that passes a filter part by part. The filter may change parts, keep them until it has seen more, or end the message.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use osier_process::Boxed;
use osier_process::body::{Body, BodyError, boxed};

use super::Chain;
use crate::gate::{ChunkVerdict, Filter, Reply};

/// Why a body ends before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("a filter answered in place of the message: {0}")]
    Replied(String),
    #[error("a filter gave no answer about the trailers: {0}")]
    Unanswered(String),
}

pub(super) fn filtered(
    body: Body,
    (chain, filter): (Arc<Chain>, Arc<dyn Filter>),
    response: bool,
) -> Body {
    if body.is_end_stream() {
        return body;
    }
    boxed(Streamed {
        body,
        chain,
        filter,
        response,
        waiting: None,
        trailers: None,
        ended: false,
    })
}

struct Streamed {
    body: Body,
    chain: Arc<Chain>,
    filter: Arc<dyn Filter>,
    response: bool,
    /// The filter keeps what has come.
    waiting: Option<Boxed<'static, ChunkVerdict>>,
    /// They follow when everything before them has gone.
    trailers: Option<HeaderMap>,
    /// The filter has seen the end of the body.
    ended: bool,
}

type Step = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Streamed {
    /// What the filter made of a part: a frame, the end, or nothing yet.
    fn took(&mut self, verdict: ChunkVerdict) -> Option<Step> {
        self.waiting = None;
        match verdict {
            ChunkVerdict::Proceed(bytes) if bytes.is_empty() => None,
            ChunkVerdict::Proceed(bytes) => Some(Poll::Ready(Some(Ok(Frame::data(bytes))))),
            ChunkVerdict::Respond(reply) => Some(self.replied(reply)),
            ChunkVerdict::Wait => {
                self.waiting = Some(self.filter.body_resumed(self.response));
                None
            }
        }
    }

    /// The message ends here. Of a request the answer is kept for the caller; of a response the head has gone.
    fn replied(&mut self, reply: Reply) -> Step {
        self.ended = true;
        self.trailers = None;
        let reason = reply.reason.clone();
        if !self.response {
            *self.chain.late.lock() = Some(reply);
        }
        Poll::Ready(Some(Err(Ended::Replied(reason).into())))
    }

    /// Shows the trailers to the filter. What it kept of the body goes before them.
    fn trailing(&mut self, mut trailers: HeaderMap) -> Result<Bytes, BodyError> {
        self.ended = true;
        self.waiting = None;
        let exchange = self.chain.exchange();
        let operations = self
            .filter
            .on_trailers(&exchange, self.response, &trailers)
            .map_err(|reason| BodyError::from(Ended::Unanswered(reason)))?;
        for operation in &operations {
            operation.apply(&mut trailers);
        }
        self.trailers = Some(trailers);
        Ok(self.filter.rest(self.response))
    }

    /// What the next frame of the body becomes; none to look again.
    fn frame(&mut self, frame: Option<Result<Frame<Bytes>, BodyError>>) -> Option<Step> {
        match frame {
            Some(Err(error)) => Some(Poll::Ready(Some(Err(error)))),
            None => {
                self.ended = true;
                let verdict = self.filter.on_chunk(self.response, Bytes::new(), true);
                self.took(verdict)
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(chunk) => {
                    self.ended = self.body.is_end_stream();
                    let verdict = self.filter.on_chunk(self.response, chunk, self.ended);
                    self.took(verdict)
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    match self.trailing(trailers) {
                        Ok(rest) if rest.is_empty() => None,
                        Ok(rest) => Some(Poll::Ready(Some(Ok(Frame::data(rest))))),
                        Err(error) => Some(Poll::Ready(Some(Err(error)))),
                    }
                }
            },
        }
    }
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Step {
        loop {
            if let Some(waiting) = &mut self.waiting
                && let Poll::Ready(verdict) = waiting.as_mut().poll(context)
            {
                if let Some(step) = self.took(verdict) {
                    return step;
                }
                continue;
            }
            if self.ended {
                if self.waiting.is_some() {
                    return Poll::Pending;
                }
                let trailers = self.trailers.take().map(Frame::trailers);
                return Poll::Ready(trailers.map(Ok));
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                return Poll::Pending;
            };
            if let Some(step) = self.frame(frame) {
                return step;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.waiting.is_none() && self.trailers.is_none()
    }

    /// Unknown: the filter may make it longer or shorter.
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
