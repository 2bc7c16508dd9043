//! The guest's way out: `wasi:http/outgoing-handler` handed to [`Outgoing`], with bodies passed on as they are.

use crate::{Outgoing, OutgoingError, Timeouts, unread};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use osier_process::body::{self, Body, BodyError};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody,
    WasiHttpHooks,
};

/// Second half of an answer to `send_request`: what happens to the request once the response head is here.
type Afterwards = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// Joins one container's guests to its [`Outgoing`].
pub(crate) struct Hooks {
    outgoing: Arc<dyn Outgoing>,
    forbidden: ForbiddenHeaderFilter,
}

impl Hooks {
    pub(crate) fn new(outgoing: Arc<dyn Outgoing>) -> Self {
        // Kept, because the default makes a new one for every header map.
        Self {
            outgoing,
            forbidden: Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name)),
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &http::HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        self.forbidden.clone()
    }

    /// Inside the mesh a name without a scheme means plain HTTP; the mesh encrypts between nodes by itself.
    fn default_scheme(&mut self) -> Option<http::uri::Scheme> {
        Some(http::uri::Scheme::HTTP)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Afterwards,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Afterwards), Error>> + Send> {
        let options = options.unwrap_or_default();
        let timeouts = Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let (head, body) = request.into_parts();
        let (body, rest) = unread::lend(body);
        let sent = self
            .outgoing
            .send(Request::from_parts(head, body::boxed(body)), timeouts);
        Box::new(async move {
            let answered = match timeouts.first_byte {
                Some(limit) => tokio::time::timeout(limit, sent)
                    .await
                    .map_err(|_| Error::ConnectionReadTimeout)?,
                None => sent.await,
            };
            let response = answered.map_err(to_wasi)?;
            let response = response.map(|body| match timeouts.between_bytes {
                Some(limit) => Punctual::new(body, limit).boxed_unsync(),
                None => for_guest(body),
            });
            let afterwards = async {
                rest.await;
                Ok(())
            };
            Ok((response, Box::new(afterwards) as Afterwards))
        })
    }
}

/// A body that a guest will read.
pub(crate) fn for_guest(body: Body) -> WasiBody {
    body.map_err(error_for_guest).boxed_unsync()
}

/// The error-code of wasi:http for a body that broke off.
pub(crate) fn error_for_guest(error: BodyError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => match error.downcast::<OutgoingError>() {
            Ok(error) => to_wasi(*error),
            Err(error) => Error::InternalError(Some(error.to_string())),
        },
    }
}

fn to_wasi(error: OutgoingError) -> Error {
    match error {
        OutgoingError::NotFound => Error::DestinationNotFound,
        OutgoingError::Unavailable => Error::DestinationUnavailable,
        OutgoingError::Refused => Error::ConnectionRefused,
        OutgoingError::Terminated => Error::ConnectionTerminated,
        OutgoingError::ConnectTimeout => Error::ConnectionTimeout,
        OutgoingError::ResponseTimeout => Error::HttpResponseTimeout,
        OutgoingError::Denied => Error::HttpRequestDenied,
        OutgoingError::Loop => Error::LoopDetected,
        OutgoingError::Protocol => Error::HttpProtocolError,
        OutgoingError::Internal(reason) => Error::InternalError(Some(reason)),
    }
}

/// A body that fails when its next frame takes too long, as the guest asked for.
struct Punctual {
    body: Body,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Punctual {
    fn new(body: Body, limit: Duration) -> Self {
        Self {
            body,
            limit,
            timer: Box::pin(tokio::time::sleep(limit)),
        }
    }
}

impl http_body::Body for Punctual {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let next = Instant::now() + self.limit;
            self.timer.as_mut().reset(next);
            return Poll::Ready(frame.map(|frame| frame.map_err(error_for_guest)));
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_between_frames_is_an_error_and_a_slow_body_is_not() {
        let slow = futures::stream::unfold(0u64, |n| async move {
            let pause = if n == 4 { 3600 } else { 9 };
            tokio::time::sleep(Duration::from_secs(pause)).await;
            Some((Ok(Bytes::from_static(b"x")), n + 1))
        });
        let mut body = Punctual::new(body::stream(slow), Duration::from_secs(10));
        for _ in 0..4 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(matches!(
            body.frame().await.unwrap(),
            Err(Error::ConnectionReadTimeout)
        ));
    }

    #[test]
    fn a_body_error_keeps_its_meaning() {
        assert!(matches!(
            error_for_guest(Box::new(OutgoingError::Denied)),
            Error::HttpRequestDenied
        ));
        assert!(matches!(
            error_for_guest(Box::new(Error::LoopDetected)),
            Error::LoopDetected
        ));
        let other = error_for_guest("disk on fire".into());
        assert!(matches!(other, Error::InternalError(Some(text)) if text == "disk on fire"));
    }
}
