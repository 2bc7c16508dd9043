//! How a request reaches a pod: owned here, implemented by the node.

use std::net::SocketAddr;
use std::sync::Arc;

use osier_process::Boxed;
use osier_process::body::Body;
use osier_process::serve::Stream;
use osier_snapshot::Endpoint;

/// The pods that this proxy can hand a request to.
pub trait Pods: Send + Sync {
    /// Sends one request to one pod; resolves with the response head, while the body streams behind it.
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        request: http::Request<Body>,
    ) -> Boxed<'static, Result<http::Response<Body>, PodError>>;

    /// What an endpoint takes.
    fn takes(&self, _endpoint: &Arc<Endpoint>) -> Takes {
        Takes::Requests
    }

    /// Opens a connection to an endpoint that takes them.
    fn connect(
        &self,
        _endpoint: &Arc<Endpoint>,
        _wants: Wants,
    ) -> Boxed<'static, Result<Box<dyn Stream>, PodError>> {
        Box::pin(std::future::ready(Err(PodError::NotHere)))
    }

    /// A request is about to be written to a connection of an endpoint, or a raw connection was opened: one of the endpoint's calls for as
    /// long as what is given back is kept.
    fn begin(&self, _endpoint: &Arc<Endpoint>) -> Box<dyn Send> {
        Box::new(())
    }
}

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: nobody is there now.
    Nothing,
    /// Requests; what comes on a connection must be such.
    Requests,
    /// Connections of any protocol; a request is written to one.
    Connections,
    /// Either, as they are.
    Both,
}

impl Takes {
    /// Whether connections are taken.
    #[must_use]
    pub fn connections(self) -> bool {
        matches!(self, Self::Connections | Self::Both)
    }
}

/// What is wanted of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Who wants it, if that is known. A loopback address without a port is nobody's on the network: who acts for the pod's owner.
    pub client: Option<SocketAddr>,
    /// The bytes are datagrams, each with its length before it.
    pub datagrams: bool,
}

/// Why a pod gave no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// The pod is not running where it was looked for; the request was not started.
    #[error("the pod is not running")]
    NotHere,
    /// No connection could be opened to it; the request was not started.
    #[error("{reason}")]
    Unreachable {
        /// What the system said.
        reason: String,
    },
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
