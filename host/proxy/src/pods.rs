//! How a request reaches a pod: owned here, implemented by the node.

use std::sync::Arc;

use osier_process::Boxed;
use osier_process::body::Body;
use osier_snapshot::Endpoint;

/// The pods that this proxy can hand a request to.
pub trait Pods: Send + Sync {
    /// Sends one request to one pod; resolves with the response head, while the body streams behind it.
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        request: http::Request<Body>,
    ) -> Boxed<'static, Result<http::Response<Body>, PodError>>;
}

/// Why a pod gave no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// The pod is not running where it was looked for; the request was not started.
    #[error("the pod is not running")]
    NotHere,
    /// The pod's queue is full; the request was not started.
    #[error("the pod is overloaded")]
    Overloaded,
    /// The pod failed before it answered.
    #[error("the pod failed: {reason}")]
    Failed {
        /// What happened, in words that may be shown to the caller.
        reason: String,
    },
    /// The pod did not answer in the time that it has for one request.
    #[error("the pod did not answer in time")]
    Timeout,
}
