//! The body of a guest's response: reading it is what lets the guest go on.

use super::exchange::Exchange;
use super::instance::Instance;
use super::pool::Pool;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use osier_process::body::{self, Body, BodyError};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasmtime_wasi_http::{Error, WasiBody};

type Frames = VecDeque<Result<Frame<Bytes>, Error>>;

/// The body of a guest that has returned: all of it is here, at most the few frames that its channel holds.
pub(super) fn complete(body: WasiBody, instance: Instance, pool: &Pool) -> Body {
    let mut frames = drain(body, instance, pool);
    if frames.len() > 1 {
        return Rest(frames).boxed_unsync();
    }
    match frames.pop_front().map(|frame| frame.map(Frame::into_data)) {
        None => body::empty(),
        // One piece of data: as a whole, so that its length is known and it travels in one write.
        Some(Ok(Ok(data))) => body::full(data),
        Some(Ok(Err(trailers))) => Rest(VecDeque::from([Ok(trailers)])).boxed_unsync(),
        Some(Err(error)) => Rest(VecDeque::from([Err(error)])).boxed_unsync(),
    }
}

/// Takes what a returned guest left in its body, then gives the instance back. A guest that kept the body open is not
/// given back: dropping it ends the body.
fn drain(mut body: WasiBody, instance: Instance, pool: &Pool) -> Frames {
    let mut frames = Frames::new();
    let mut instance = Some(instance);
    loop {
        match frame_now(&mut body) {
            Poll::Ready(Some(frame)) => frames.push_back(frame),
            Poll::Ready(None) => break,
            Poll::Pending if instance.is_some() => instance = None,
            Poll::Pending => {
                frames.push_back(Err(Error::HttpResponseIncomplete));
                break;
            }
        }
    }
    if let Some(instance) = instance {
        pool.give_back(instance);
    }
    frames
}

/// The next frame if it is here. Outside tokio's budget, which would let a channel seem empty to a busy task.
fn frame_now(body: &mut WasiBody) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    let next = tokio::task::unconstrained(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)));
    pin!(next).poll(&mut Context::from_waker(Waker::noop()))
}

/// Frames that are already here.
struct Rest(Frames);

impl http_body::Body for Rest {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.0.pop_front().map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// The body of a guest that still runs.
pub(super) struct GuestBody {
    state: State,
    /// Bytes that the response still owes by its content-length.
    owed: Option<u64>,
    /// The protocol allows no body, so that nobody will read this one.
    unread: bool,
}

enum State {
    /// The guest runs whenever the body is read.
    Running { body: WasiBody, exchange: Exchange },
    /// The guest has returned; this is what it left.
    Left(Frames),
}

impl GuestBody {
    pub(super) fn response(
        response: Response<WasiBody>,
        method: &Method,
        exchange: Exchange,
    ) -> Response<Body> {
        let length = response.headers().get(CONTENT_LENGTH);
        let owed = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let bodiless =
            [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status());
        let unread = bodiless || *method == Method::HEAD;
        response.map(|body| {
            let body = GuestBody {
                state: State::Running { body, exchange },
                owed,
                unread,
            };
            body::boxed(body)
        })
    }

    /// The body is over, the guest perhaps not: most return at once, others finish by themselves.
    fn leave(&mut self, cx: &mut Context<'_>) {
        if let State::Running { exchange, .. } =
            std::mem::replace(&mut self.state, State::Left(Frames::new()))
        {
            exchange.finish(cx);
        }
    }

    fn deliver(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Error>>,
        cx: &mut Context<'_>,
    ) -> Option<Result<Frame<Bytes>, BodyError>> {
        match frame {
            Some(Ok(frame)) => {
                if let (Some(owed), Some(data)) = (&mut self.owed, frame.data_ref()) {
                    *owed = owed.saturating_sub(data.len() as u64);
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.state = State::Left(Frames::new());
                Some(Err(error.into()))
            }
            None => {
                self.leave(cx);
                None
            }
        }
    }
}

impl http_body::Body for GuestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            let (body, exchange) = match &mut this.state {
                State::Left(frames) => {
                    return Poll::Ready(frames.pop_front().map(|frame| frame.map_err(Into::into)));
                }
                State::Running { body, exchange } => (body, exchange),
            };
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(this.deliver(frame, cx));
            }
            match exchange.poll(cx) {
                Poll::Ready(Ok(instance)) => {
                    let pool: Arc<Pool> = exchange.pool().clone();
                    let State::Running { body, exchange } =
                        std::mem::replace(&mut this.state, State::Left(Frames::new()))
                    else {
                        continue;
                    };
                    this.state = State::Left(drain(body, instance, &pool));
                    drop(exchange);
                }
                Poll::Ready(Err(error)) => {
                    this.state = State::Left(Frames::new());
                    return Poll::Ready(Some(Err(error.into())));
                }
                // The guest may have written before it began to wait.
                Poll::Pending => {
                    return Pin::new(body)
                        .poll_frame(cx)
                        .map(|frame| this.deliver(frame, cx));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.state, State::Left(frames) if frames.is_empty())
    }
}

impl Drop for GuestBody {
    /// A reader that has all it needs often does not ask for the end: that is no reason to stop the guest. A reader that
    /// goes away in the middle is.
    fn drop(&mut self) {
        if self.unread || self.owed == Some(0) {
            self.leave(&mut Context::from_waker(Waker::noop()));
        }
    }
}
