//! A request body that can be sent again.
//!
//! The bytes that one try has read are kept, up to a limit; the rest stays with the client until somebody reads it. A try gives the
//! body back when it drops it, and the next try reads the kept bytes first. Nothing is read ahead, so streaming and back-pressure
//! stay as they are.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::body::{Body, BodyError, boxed};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

/// The owner of a body that may be sent several times.
#[derive(Clone)]
pub struct Replay {
    shared: Arc<Mutex<Option<State>>>,
}

struct State {
    rest: Body,
    kept: Vec<Bytes>,
    size: usize,
    limit: usize,
    /// More was read than may be kept.
    lost: bool,
    ended: bool,
    failed: bool,
    trailers: Option<HeaderMap>,
}

impl Replay {
    /// Keeps at most `limit` bytes of the body for another try.
    pub fn new(body: Body, limit: usize) -> Self {
        let state = State {
            ended: body.is_end_stream(),
            rest: body,
            kept: Vec::new(),
            size: 0,
            limit,
            lost: false,
            failed: false,
            trailers: None,
        };
        Self {
            shared: Arc::new(Mutex::new(Some(state))),
        }
    }

    /// The body for the next try; `None` if the one before still holds it or has read more than was kept.
    pub fn body(&self) -> Option<Body> {
        let state = self
            .shared
            .lock()
            .take_if(|state| !state.lost && !state.failed)?;
        Some(boxed(Try {
            state: Some(state),
            shared: Arc::clone(&self.shared),
            next: 0,
            trailers_sent: false,
        }))
    }
}

/// The body as one try sees it.
struct Try {
    state: Option<State>,
    shared: Arc<Mutex<Option<State>>>,
    next: usize,
    trailers_sent: bool,
}

impl http_body::Body for Try {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(state) = this.state.as_mut() else {
            return Poll::Ready(None);
        };
        if let Some(bytes) = state.kept.get(this.next) {
            this.next += 1;
            return Poll::Ready(Some(Ok(Frame::data(bytes.clone()))));
        }
        if state.ended {
            let trailers = state
                .trailers
                .clone()
                .filter(|_| !std::mem::replace(&mut this.trailers_sent, true));
            return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut state.rest).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                state.keep(frame);
                this.next = state.kept.len();
                this.trailers_sent = state.trailers.is_some();
            }
            Some(Err(_)) => state.failed = true,
            None => state.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.state.as_ref().is_none_or(|state| {
            let read_all = state.ended || (state.trailers.is_none() && state.rest.is_end_stream());
            read_all
                && self.next >= state.kept.len()
                && (self.trailers_sent || state.trailers.is_none())
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(state) = self.state.as_ref() else {
            return SizeHint::with_exact(0);
        };
        let ahead: u64 = state
            .kept
            .iter()
            .skip(self.next)
            .map(|bytes| bytes.len() as u64)
            .sum();
        let rest = if state.ended {
            SizeHint::with_exact(0)
        } else {
            state.rest.size_hint()
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + ahead);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}

impl State {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.ended = true;
        }
        let Some(data) = frame.data_ref() else { return };
        self.size += data.len();
        if self.lost || self.size > self.limit {
            self.lost = true;
            self.kept.clear();
        } else {
            self.kept.push(data.clone());
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            *self.shared.lock() = Some(state);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::body::{full, stream};
    use http_body_util::BodyExt;

    fn chunks(of: &'static [&'static str]) -> Body {
        stream(futures::stream::iter(
            of.iter()
                .map(|text| Ok(Bytes::from_static(text.as_bytes()))),
        ))
    }

    #[tokio::test]
    async fn a_half_read_body_is_sent_again_whole() {
        let replay = Replay::new(chunks(&["ab", "cd", "ef"]), 100);
        let mut first = replay.body().unwrap();
        assert_eq!(
            first.frame().await.unwrap().unwrap().into_data().unwrap(),
            "ab"
        );
        assert!(replay.body().is_none(), "the first try still holds it");
        drop(first);
        let again = replay.body().unwrap().collect().await.unwrap().to_bytes();
        assert_eq!(again, "abcdef");
        assert_eq!(
            replay.body().unwrap().collect().await.unwrap().to_bytes(),
            "abcdef"
        );
    }

    #[tokio::test]
    async fn what_is_too_large_passes_once() {
        let replay = Replay::new(chunks(&["ab", "cd", "ef"]), 3);
        assert_eq!(
            replay.body().unwrap().collect().await.unwrap().to_bytes(),
            "abcdef"
        );
        assert!(replay.body().is_none());
    }

    #[tokio::test]
    async fn trailers_are_repeated() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("1"));
        let body = boxed(full("ab").with_trailers(std::future::ready(Some(Ok(trailers)))));
        let replay = Replay::new(body, 100);
        for _ in 0..2 {
            let collected = replay.body().unwrap().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
            assert_eq!(collected.to_bytes(), "ab");
        }
    }

    #[tokio::test]
    async fn an_unread_body_keeps_its_size() {
        let replay = Replay::new(full("abc"), 100);
        assert_eq!(replay.body().unwrap().size_hint().exact(), Some(3));
    }
}
