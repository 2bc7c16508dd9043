//! How a request reaches the API: over TLS, or by a call inside the process.

use http::{Request, Response};
use osier_process::Boxed;
use osier_process::body::Body;

use crate::error::TransportError;

/// Carries requests to one API server. The URI holds path and query only.
pub trait Transport: Send + Sync {
    /// Sends a request; the answer's body streams.
    fn send(
        &self,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, TransportError>>;
}
