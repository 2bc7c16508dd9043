//! What stands around a call, and what it makes of the messages that pass.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, StatusCode};
use osier_process::Boxed;
use osier_process::body::Body;
use osier_snapshot::HeaderOperation;

use super::Carried;

/// Stands around a call. Runs on the caller's thread; must be short. What a filter has no word of its own for passes it.
pub trait Filter: Send + Sync {
    /// The policy and the plugin that it stands for.
    fn label(&self) -> (Arc<str>, Arc<str>);

    /// The head of a request has come.
    fn on_request(&self, _exchange: &Exchange<'_>, _headers: &HeaderMap) -> HeadVerdict {
        HeadVerdict::Proceed(Vec::new())
    }

    /// The body that [`Filter::on_request`] asked for.
    fn on_request_body(
        &self,
        _exchange: &Exchange<'_>,
        _headers: &HeaderMap,
        _body: &[u8],
    ) -> BodyVerdict {
        BodyVerdict::Proceed(Vec::new(), None)
    }

    /// False if responses pass it unseen.
    fn sees_responses(&self) -> bool;

    /// The head of a response has come.
    fn on_response(
        &self,
        _exchange: &Exchange<'_>,
        _status: StatusCode,
        _headers: &HeaderMap,
    ) -> HeadVerdict {
        HeadVerdict::Proceed(Vec::new())
    }

    /// The body that [`Filter::on_response`] asked for.
    fn on_response_body(
        &self,
        _exchange: &Exchange<'_>,
        _head: (StatusCode, &HeaderMap),
        _body: &[u8],
    ) -> BodyVerdict {
        BodyVerdict::Proceed(Vec::new(), None)
    }

    /// True if it sees the bodies of requests, or of responses, as they pass.
    fn sees_body(&self, _response: bool) -> bool {
        false
    }

    /// Some of a body has come; `end` if it was the last of the message.
    fn on_chunk(&self, _response: bool, chunk: Bytes, _end: bool) -> ChunkVerdict {
        ChunkVerdict::Proceed(chunk)
    }

    /// What becomes of a head that waits since [`HeadVerdict::Wait`]. Bounded in time.
    fn head_resumed(&self, _response: bool) -> Boxed<'static, HeadVerdict> {
        Box::pin(std::future::ready(HeadVerdict::Proceed(Vec::new())))
    }

    /// What becomes of a body that waits since [`ChunkVerdict::Wait`]. Bounded in time.
    fn body_resumed(&self, _response: bool) -> Boxed<'static, ChunkVerdict> {
        Box::pin(std::future::ready(ChunkVerdict::Proceed(Bytes::new())))
    }

    /// What it held back of a body, now that the trailers have passed it.
    fn rest(&self, _response: bool) -> Bytes {
        Bytes::new()
    }

    /// False if trailers pass it unseen.
    fn sees_trailers(&self) -> bool {
        false
    }

    /// True if it takes exchanges whole: requests are handed to [`Filter::carry`], and answers to what comes of that.
    fn carries(&self) -> bool {
        false
    }

    /// Takes a request. Bounded in time.
    fn carry(&self, request: Request<Body>) -> Boxed<'static, Carried> {
        Box::pin(std::future::ready(Carried::On(request, None)))
    }

    /// Trailers have come, of the response or of the request.
    ///
    /// # Errors
    /// There was no answer, and the message must not end as if it were whole.
    fn on_trailers(
        &self,
        _exchange: &Exchange<'_>,
        _response: bool,
        _trailers: &HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        Ok(Vec::new())
    }
}

/// What a filter is told about the call that a message belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The value of `x-request-id`.
    pub id: &'a str,
    /// At the destination.
    pub inbound: bool,
    /// The caller's principal, or empty.
    pub source: &'a str,
    /// The called service's host, or empty.
    pub service: &'a str,
    /// Method of the request, as it came.
    pub method: &'a str,
    /// Scheme of the request.
    pub scheme: &'a str,
    /// Authority of the request, as it came.
    pub authority: &'a str,
    /// Path with query of the request, as it came.
    pub path: &'a str,
    /// Nothing follows the head of this message.
    pub bodiless: bool,
}

/// One change to a message.
#[derive(Clone, Debug)]
pub enum Change {
    /// Of a header.
    Header(HeaderOperation),
    /// Of a request's path with query.
    Path(PathAndQuery),
    /// Of a request's authority.
    Authority(Authority),
    /// Of a request's method.
    Method(Method),
    /// Of a response's status.
    Status(StatusCode),
}

/// An answer that a filter gives itself.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The policy that decided.
    pub policy: Arc<str>,
    /// The plugin that it asked.
    pub plugin: Arc<str>,
    /// Why, for logs.
    pub reason: String,
}

/// What becomes of a message when its head is known.
#[derive(Clone, Debug)]
pub enum HeadVerdict {
    /// It goes on.
    Proceed(Vec<Change>),
    /// This is sent instead.
    Respond(Reply),
    /// The decision needs the body, of at most so many bytes.
    NeedBody(u64),
    /// It stays here until [`Filter::head_resumed`] says what becomes of it.
    Wait,
}

impl HeadVerdict {
    /// One word, and why if somebody should ask.
    pub(crate) fn word(&self) -> (&'static str, &str) {
        match self {
            Self::Proceed(_) => ("continue", ""),
            Self::Respond(reply) => ("respond", &reply.reason),
            Self::NeedBody(_) => ("need-body", ""),
            Self::Wait => ("wait", ""),
        }
    }
}

/// What becomes of a part of a body.
#[derive(Clone, Debug)]
pub enum ChunkVerdict {
    /// This goes on in its place; nothing, if the filter keeps it.
    Proceed(Bytes),
    /// This is sent instead of the message, if there still is time.
    Respond(Reply),
    /// It stays here until more comes, or until [`Filter::body_resumed`] says what becomes of it.
    Wait,
}

/// What becomes of a message when its body is known.
#[derive(Clone, Debug)]
pub enum BodyVerdict {
    /// It goes on, with another body if there is one.
    Proceed(Vec<Change>, Option<Bytes>),
    /// This is sent instead.
    Respond(Reply),
}

impl BodyVerdict {
    /// One word, and why if somebody should ask.
    pub(crate) fn word(&self) -> (&'static str, &str) {
        match self {
            Self::Proceed(..) => ("continue", ""),
            Self::Respond(reply) => ("respond", &reply.reason),
        }
    }
}
