//! Calls that plugins make: the wire is the node's.

use bytes::Bytes;
use http::{HeaderMap, Request};
use osier_process::Boxed;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Calls of a process for which a thread waits, at once.
const MOST_WAITING: usize = 64;

/// What names of plugins begin with.
const PLUGIN: &str = "plugin:";

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
    /// The mesh answered itself: the service was not reached.
    pub own: bool,
}

/// The name of a plugin as a caller. No pod can have it, and what a plugin does to calls it does not do to its own.
#[must_use]
pub fn caller_name(plugin: &str) -> String {
    format!("{PLUGIN}{plugin}")
}

/// The plugin that calls by this name, if it is one.
#[must_use]
pub fn plugin_of(caller: &str) -> Option<&str> {
    caller.strip_prefix(PLUGIN)
}

/// Namespace and name of a Plugin object.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Carries calls of plugins through the mesh. What a plugin may call was checked before.
pub trait Callout: Send + Sync {
    /// Sends one request with an absolute URI as that plugin.
    ///
    /// The error says why there is no answer.
    fn send(
        &self,
        plugin: Caller<'_>,
        request: Request<Bytes>,
        bounds: CalloutBounds,
    ) -> Boxed<'static, Result<CalloutAnswer, CalloutError>>;
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalloutError {
    /// The answer has more bytes than it may.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub struct CalloutBounds {
    /// Time until the answer is whole.
    pub timeout: Duration,
    /// Bytes of the answer's body.
    pub body: usize,
}

/// How calls of plugins leave; nobody carries them in tools that run a plugin without a node.
#[derive(Default)]
pub struct Callouts {
    way: OnceLock<std::sync::Arc<dyn Callout>>,
    waiting: AtomicUsize,
}

impl Callouts {
    /// From now on calls leave this way. Only the first one counts.
    pub fn join(&self, way: std::sync::Arc<dyn Callout>) {
        let _ = self.way.set(way);
    }

    /// The way, if there is one.
    pub fn way(&self) -> Option<std::sync::Arc<dyn Callout>> {
        self.way.get().cloned()
    }

    /// Begins something and waits for it on this thread, unless too many wait already or the thread may not.
    pub(crate) fn wait<F: Future>(&self, begin: impl FnOnce() -> F) -> Option<F::Output> {
        let runtime = Handle::try_current().ok()?;
        if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return None;
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let found = (waiting < MOST_WAITING).then(|| waited(&runtime, begin()));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        found.flatten()
    }
}

/// Waits on a thread that may be one of a runtime's; others of the runtime go on. None where waiting would stop the only thread of one.
pub fn waited<T>(runtime: &Handle, future: impl Future<Output = T>) -> Option<T> {
    match Handle::try_current().map(|own| own.runtime_flavor()) {
        Ok(RuntimeFlavor::CurrentThread) => None,
        Ok(_) => Some(tokio::task::block_in_place(|| runtime.block_on(future))),
        Err(_) => Some(runtime.block_on(future)),
    }
}
