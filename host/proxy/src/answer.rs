//! Answers that the proxy gives itself: short plain text with the reason and the request's id, or gRPC's form of it.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use osier_process::body::{self, Body};

use crate::flags::Flag;
use crate::gate::Denial;

/// The inside of the mesh is nobody's business who calls; who runs it finds out by the id.
const UNDECIDED: &str = "a policy could not be decided: `osier why REQUEST-ID` says why";

/// A request that ends here.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) flag: Flag,
    pub(crate) reason: Cow<'static, str>,
    /// Sent instead of the reason, with these headers.
    pub(crate) custom: Option<Box<(HeaderMap, Bytes)>>,
    /// A policy had no answer: the caller does not learn why, but where it stands.
    pub(crate) undecided: bool,
    /// `custom` is the whole answer, whatever the caller's protocol.
    pub(crate) whole: bool,
    /// The gRPC status, where it is not the one that the HTTP status stands for.
    pub(crate) grpc_status: Option<u8>,
}

/// Among the extensions of an answer: the proxy made it, nobody was reached.
#[derive(Clone, Copy, Debug)]
pub struct Own;

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        flag: Flag,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            flag,
            reason: reason.into(),
            custom: None,
            undecided: false,
            whole: false,
            grpc_status: None,
        }
    }

    pub(crate) fn denied(denial: Denial) -> Self {
        let limited = denial.status == StatusCode::TOO_MANY_REQUESTS;
        let flag = if limited {
            Flag::RateLimited
        } else {
            Flag::Denied
        };
        Self {
            custom: Some(Box::new((denial.headers, denial.body))),
            undecided: denial.failed,
            ..Self::new(denial.status, flag, denial.reason)
        }
    }

    /// For a route that forwards without saying where; compiled routes do not.
    pub(crate) fn nowhere() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Flag::NoCluster,
            "the route has no destination",
        )
    }

    /// The response, in the form that the caller's protocol wants.
    pub(crate) fn into_response(mut self, grpc: bool, request_id: &HeaderValue) -> Response<Body> {
        if !self.whole && (grpc || self.grpc_status.is_some()) {
            return self.into_grpc(request_id);
        }
        let words = plain(&self.words(), request_id);
        let (headers, bytes) = self.custom.take().map(|custom| *custom).unwrap_or_default();
        let text_follows = bytes.is_empty() && !self.whole;
        let bytes = if text_follows { words } else { bytes };
        let mut response = Response::new(body::full(bytes));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        if text_follows {
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
        }
        response
            .headers_mut()
            .insert("x-request-id", request_id.clone());
        response.extensions_mut().insert(Own);
        response
    }

    /// What the caller reads. Why a policy refused is for logs and `osier why`: of that the caller gets what the policy says to it, or the status in words.
    fn words(&self) -> Cow<'_, str> {
        if self.undecided {
            return Cow::Borrowed(UNDECIDED);
        }
        let decided = matches!(self.flag, Flag::Denied | Flag::RateLimited);
        match self.custom.as_deref().filter(|_| decided) {
            None => Cow::Borrowed(&self.reason),
            Some((_, body)) if body.is_empty() => {
                self.status.canonical_reason().unwrap_or("Refused").into()
            }
            Some((_, body)) => String::from_utf8_lossy(body),
        }
    }

    fn into_grpc(self, request_id: &HeaderValue) -> Response<Body> {
        let mut response = Response::new(body::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(
            "grpc-status",
            HeaderValue::from(
                self.grpc_status
                    .map_or_else(|| grpc_status(self.status), u16::from),
            ),
        );
        if let Ok(message) = HeaderValue::try_from(grpc_message(self.words().trim())) {
            headers.insert("grpc-message", message);
        }
        headers.insert("x-request-id", request_id.clone());
        response
    }
}

/// Whether a request is a gRPC call.
pub(crate) fn is_grpc(head: &Parts) -> bool {
    head.headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn plain(reason: &str, request_id: &HeaderValue) -> Bytes {
    format!(
        "{reason}\nrequest id: {}\n",
        request_id.to_str().unwrap_or_default()
    )
    .into()
}

/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// Percent-encodes what a header value must not hold.
fn grpc_message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}
