//! What a container is given by its owner: limits, arguments, and the ways out of the sandbox.

use crate::stdio::Stdin;
use http::{Request, Response};
use osier_capabilities::Grants;
use osier_process::Boxed;
use osier_process::body::Body;
use osier_sockets::Network;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that is particular to one container of one pod.
#[derive(Clone)]
pub struct Container {
    /// Named in errors and metrics.
    pub name: String,
    /// Arguments, the first being the program's own name.
    pub args: Vec<String>,
    /// Environment variables, in order.
    pub env: Vec<(String, String)>,
    /// Directories of the host that the guest sees; nothing else of the file system exists for it.
    pub mounts: Vec<Mount>,
    /// Bytes of linear memory that all instances of the container may hold together.
    pub memory_limit: u64,
    /// Epoch ticks in one slice of processor time; a container with twice the share computes twice as long. At least 1.
    pub cpu_share: u32,
    /// Thousandths of a processor that all instances of the container may take together; without it, whatever is idle.
    pub cpu_limit: Option<u32>,
    /// Where standard input comes from; without it, it ends at once.
    pub stdin: Option<Stdin>,
    /// Whether the standard streams are said to be a terminal's.
    pub terminal: bool,
    /// Where standard output goes.
    pub stdout: Arc<dyn Output>,
    /// Where standard error goes.
    pub stderr: Arc<dyn Output>,
    /// Where outgoing requests go.
    pub outgoing: Arc<dyn Outgoing>,
    /// The network of its pod, on which it opens sockets; without one it opens none.
    pub network: Option<Arc<Network>>,
    /// What it may use beyond WASI's own.
    pub grants: Arc<Grants>,
    /// Instances that may serve requests at the same time.
    pub max_instances: u32,
    /// Requests that one instance serves before it is replaced.
    pub max_requests_per_instance: u32,
    /// Requests that may wait for an instance; the next one is refused.
    pub max_queued: u32,
    /// Time until the response head; after it, processor time that the guest may take without waiting for anything.
    pub request_deadline: Duration,
}

/// A directory of the host as the guest sees it. What lies outside it cannot be reached through it, by no path and by
/// no symbolic link (the preopened directories of WASI).
#[derive(Clone, Debug)]
pub struct Mount {
    /// On the host; it must exist whenever an instance starts.
    pub directory: PathBuf,
    /// Kept open where `directory` names it by its descriptor: what a path leads to may be changed by who writes above it.
    pub held: Option<Arc<OwnedFd>>,
    /// Absolute path by which the guest finds it.
    pub path: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// A sink for what a guest writes. Called on the thread that runs the guest: it must not block.
pub trait Output: Send + Sync {
    /// Takes the bytes of one write, which need not be whole lines.
    fn write(&self, bytes: &[u8]);
}

/// The network as a guest sees it: every outgoing request of a container goes through here.
pub trait Outgoing: Send + Sync {
    /// Sends one request. Dropping the future cancels it.
    fn send(
        &self,
        request: Request<Body>,
        timeouts: Timeouts,
    ) -> Boxed<'static, Result<Response<Body>, OutgoingError>>;
}

/// The timeouts that a guest asked for with its outgoing request. The engine itself holds to `first_byte` and `between_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Option<Duration>,
    /// Until the response head.
    pub first_byte: Option<Duration>,
    /// Between two frames of the response body.
    pub between_bytes: Option<Duration>,
}

/// Why an outgoing request failed, as far as a guest can tell; each maps to an error-code of wasi:http.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutgoingError {
    /// No service has this name.
    NotFound,
    /// The service has no endpoint that could answer.
    Unavailable,
    /// Nobody listens at the endpoint.
    Refused,
    /// The connection ended before the response did.
    Terminated,
    /// No connection in time.
    ConnectTimeout,
    /// No response in time.
    ResponseTimeout,
    /// The mesh does not let this caller through.
    Denied,
    /// The request came back to where it had been.
    Loop,
    /// What came was not HTTP.
    Protocol,
    /// Anything else, in words.
    Internal(String),
}

impl fmt::Display for OutgoingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no service has this name",
            Self::Unavailable => "the service has no ready endpoint",
            Self::Refused => "connection refused",
            Self::Terminated => "the connection ended early",
            Self::ConnectTimeout => "no connection in time",
            Self::ResponseTimeout => "no response in time",
            Self::Denied => "denied by the mesh",
            Self::Loop => "the request came back to its sender",
            Self::Protocol => "the answer was not HTTP",
            Self::Internal(reason) => reason,
        })
    }
}

impl std::error::Error for OutgoingError {}

/// What a container has used since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of its guests, calls into the host included.
    pub cpu: Duration,
    /// Bytes of linear memory it holds now.
    pub memory: u64,
    /// Instances alive now.
    pub instances: u32,
    /// Requests taken.
    pub requests: u64,
    /// Guests that ended by a trap, for lack of memory or at the deadline.
    pub traps: u64,
}
