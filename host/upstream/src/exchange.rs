//! One request and its response on a connection: the form that each version of HTTP wants, and what becomes of the connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use osier_process::body::{self, Body, BodyError, boxed};

use crate::failure::Failure;
use crate::pool::Lease;

/// What a request asks for, apart from its headers and body; kept to form it again on another connection.
pub(crate) struct Asked {
    pub(crate) authority: Authority,
    path: PathAndQuery,
    scheme: Scheme,
}

impl Asked {
    /// Reads the absolute URI that every prepared request has.
    pub(crate) fn of(uri: &Uri, secure: bool) -> Result<Self, Failure> {
        let authority = uri.authority().cloned();
        let path = uri.path_and_query().cloned();
        Ok(Self {
            authority: authority.ok_or(Failure::Unreachable("the request names no host".into()))?,
            path: path.unwrap_or(PathAndQuery::from_static("/")),
            scheme: if secure { Scheme::HTTPS } else { Scheme::HTTP },
        })
    }

    /// HTTP/1.1: the path in the target, the host in its header.
    fn origin_form(&self, request: &mut Request<Body>) {
        if request.version() == Version::HTTP_2 {
            join_cookies(request.headers_mut());
        }
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = Uri::from(self.path.clone());
        if let Ok(host) = HeaderValue::try_from(self.authority.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
    }

    /// HTTP/2: everything in the target.
    fn absolute_form(&self, request: &mut Request<Body>) {
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(self.path.clone());
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// HTTP/2 may split cookies; HTTP/1.1 may not (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (all.next(), all.next()) {
        let mut joined = first.as_bytes().to_vec();
        for cookie in std::iter::once(second).chain(all) {
            joined.extend_from_slice(b"; ");
            joined.extend_from_slice(cookie.as_bytes());
        }
        if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
            headers.insert(COOKIE, joined);
        }
    }
}

/// Why an exchange gave no response.
pub(crate) enum Broken {
    /// The request never left: here it is again.
    Unsent(Box<Request<Body>>),
    /// It may have arrived.
    Sent(Failure),
}

/// Sends a request; the connection goes back to its pool when the response has been read.
pub(crate) async fn send(
    mut lease: Lease,
    asked: &Asked,
    mut request: Request<Body>,
) -> Result<Response<Body>, Broken> {
    let answer = match &mut lease {
        Lease::Http1(single) => {
            asked.origin_form(&mut request);
            single.sender.try_send_request(request).await
        }
        Lease::Http2(stream) => {
            asked.absolute_form(&mut request);
            stream.sender.try_send_request(request).await
        }
    };
    match answer {
        Ok(response) => Ok(returning(response, lease)),
        Err(mut error) => Err(match error.take_message() {
            Some(request) => Broken::Unsent(Box::new(request)),
            None => Broken::Sent(failure(error.error())),
        }),
    }
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::Protocol(format!("its answer is not HTTP: {error}").into());
    }
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let detail = cause.unwrap_or_else(|| error.to_string());
    Failure::Reset(format!("the connection ended before the answer: {detail}").into())
}

/// A request that may be sent twice: it has no body and no effect that adds up (RFC 9110, 9.2.2).
pub(crate) fn may_repeat(request: &Request<Body>) -> bool {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    idempotent && request.body().is_end_stream()
}

/// The same request, without its empty body.
pub(crate) fn again(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn returning(response: Response<Incoming>, lease: Lease) -> Response<Body> {
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !switched && !response.body().is_end_stream() {
        let lease = Some(lease);
        return response.map(|incoming| boxed(Returning { incoming, lease }));
    }
    // A connection that was switched belongs to whoever takes the upgrade out of the response's extensions.
    if !switched {
        lease.end();
    }
    response.map(|_| body::empty())
}

/// A response's body. Read to its end, it gives the connection back; dropped before, it closes it.
struct Returning {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl Returning {
    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
    }
}

impl http_body::Body for Returning {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.incoming).poll_frame(context));
        match frame {
            Some(Ok(frame)) => {
                if frame.is_trailers() || this.incoming.is_end_stream() {
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                this.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                this.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
