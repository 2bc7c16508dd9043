//! Calls that plugins make: the wire is the node's.

use bytes::Bytes;
use http::{HeaderMap, Request};
use osier_process::Boxed;
use std::time::Duration;

use crate::key::ObjectKey;

/// The answer to a plugin's call.
#[derive(Clone, Debug)]
pub struct CalloutAnswer {
    /// Status.
    pub status: http::StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Trailers.
    pub trailers: HeaderMap,
}

/// The name of a plugin as a caller. No pod can have it, and a plugin's filter does not stand around the plugin's own calls.
#[must_use]
pub fn caller_name(plugin: &str) -> String {
    format!("plugin:{plugin}")
}

/// Carries calls of plugins through the mesh. What a plugin may call was checked before.
pub trait Callout: Send + Sync {
    /// Sends one request with an absolute URI as the plugin of that name. The answer has at most `limit` bytes.
    ///
    /// The error says why there is no answer.
    fn send(
        &self,
        plugin: &ObjectKey,
        request: Request<Bytes>,
        bounds: CalloutBounds,
    ) -> Boxed<'static, Result<CalloutAnswer, String>>;
}

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub struct CalloutBounds {
    /// Time until the answer is whole.
    pub timeout: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}
