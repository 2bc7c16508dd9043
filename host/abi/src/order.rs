//! What a guest asks of the world, and what comes back.

use crate::headers::Headers;
use bytes::Bytes;
use http::HeaderMap;
use std::time::Duration;

/// Something that the owner of a VM is to do. Nothing waits for it inside the VM.
#[derive(Clone, Debug)]
pub enum Order {
    /// Send a request, and give the answer to the VM.
    Call(Box<Call>),
    /// Call the VM back this often; none stops it.
    Tick(Option<Duration>),
    /// A message waits in a queue: a VM that registered it is to be told.
    Queue(u32),
    /// A stream that waited may go on, or has an answer.
    Resumed(u32),
}

/// A request that a guest sends.
#[derive(Clone, Debug)]
pub struct Call {
    /// Names the answer.
    pub token: u32,
    /// The upstream, as the guest names it.
    pub upstream: String,
    /// Headers, with those of the request's line.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: HeaderMap,
    /// How long to wait for the whole answer.
    pub timeout: Duration,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Headers with `:status`.
    pub headers: Headers,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: HeaderMap,
}
