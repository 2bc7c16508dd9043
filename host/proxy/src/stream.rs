//! Bodies on their way through: counted, bounded, and on the response's side the carrier of the report.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use osier_process::body::{Body, BodyError, boxed};
use tokio::time::{Instant, Sleep};

use crate::answer::Refusal;
use crate::flags::Flag;
use crate::trace::{Meter, Trace};

/// A body that the proxy ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the request's body is larger than this proxy takes")]
    TooLarge,
    #[error("the route's timeout has passed")]
    Timeout,
}

/// Counts a request's body and cuts it off at `limit` bytes. An empty body is left alone.
pub(crate) fn metered(body: Body, limit: u64, trace: &mut Trace) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let meter = Arc::new(Meter::default());
    trace.request_meter = Some(Arc::clone(&meter));
    boxed(Metered { body, meter, limit })
}

struct Metered {
    body: Body,
    meter: Arc<Meter>,
    limit: u64,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if matches!(frame, Some(Err(_))) {
            self.meter.broken.store(true, Ordering::Relaxed);
        }
        if let Some(data) = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref())
        {
            let length = data.len() as u64;
            if self.meter.bytes.fetch_add(length, Ordering::Relaxed) + length > self.limit {
                self.meter.over.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Ended::TooLarge.into())));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The response of a request that has come to its answer, be it a refusal.
pub(crate) fn concluded(
    answer: Result<Response<Body>, Refusal>,
    mut trace: Box<Trace>,
    deadline: Option<Instant>,
) -> Response<Body> {
    let mut response = answer.unwrap_or_else(|refusal| {
        trace.note(&refusal);
        refusal.into_response(trace.grpc, &trace.request_id)
    });
    let cors = trace.route.as_ref().and_then(|route| route.cors.as_ref());
    if let Some((cors, origin)) = cors.zip(trace.origin.clone()) {
        cors.mark(origin, response.headers_mut());
    }
    carried(response, trace, deadline)
}

/// Hands a response over together with its trace, which reports when the body has ended.
fn carried(
    response: Response<Body>,
    mut trace: Box<Trace>,
    deadline: Option<Instant>,
) -> Response<Body> {
    trace.status = response.status().as_u16();
    trace.answered = Some(Instant::now());
    if let Some(heads) = &mut trace.heads {
        heads.response = Some(response.headers().clone());
    }
    let without_body = trace.method == Method::HEAD
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || response.body().is_end_stream();
    if without_body {
        trace.complete = true;
        return response;
    }
    response.map(|body| {
        let timer = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let expected = body.size_hint().exact();
        boxed(Carried {
            body,
            trace: Some(trace),
            timer,
            expected,
        })
    })
}

struct Carried {
    body: Body,
    trace: Option<Box<Trace>>,
    timer: Option<Pin<Box<Sleep>>>,
    expected: Option<u64>,
}

impl Carried {
    /// Reports now, rather than when somebody gets around to dropping the body.
    fn end(&mut self, flag: Flag) {
        if let Some(mut trace) = self.trace.take() {
            trace.complete = true;
            if trace.flag == Flag::None {
                trace.flag = flag;
            }
        }
    }

    fn passed(&mut self, frame: &Frame<Bytes>) {
        let Some(trace) = self.trace.as_mut() else {
            return;
        };
        if let (Some(heads), Some(trailers)) = (&mut trace.heads, frame.trailers_ref()) {
            heads.trailers = Some(trailers.clone());
        }
        trace.response_bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
        if frame.is_trailers()
            || self.body.is_end_stream()
            || Some(trace.response_bytes) == self.expected
        {
            self.end(Flag::None);
        }
    }
}

impl http_body::Body for Carried {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this
            .timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(context).is_ready())
        {
            this.end(Flag::Timeout);
            this.timer = None;
            this.body = osier_process::body::empty();
            return Poll::Ready(Some(Err(Ended::Timeout.into())));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => this.passed(frame),
            Some(Err(_)) => this.end(Flag::Reset),
            None => this.end(Flag::None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
