//! What can go wrong: starting the engine, calling a guest. Loading a component: [`crate::ComponentError`].

use std::path::PathBuf;
use std::time::Duration;

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The cache directory cannot be used.
    #[error("compile cache {path}: {source}; give a directory that this user may write")]
    Cache {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The machine refused the engine's configuration.
    #[error("the WebAssembly engine cannot start on this machine: {reason}")]
    Machine {
        /// What the engine said.
        reason: String,
    },
    /// The thread that keeps the engine's time could not be started.
    #[error("thread {name}: {source}; raise the limit of threads (ulimit -u)")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a call of a guest has no answer. Except for `Overloaded` and `Stopped` the instance is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// All instances are busy and the queue is full; the guest has not seen the request.
    #[error("overloaded: every instance is busy and the queue is full")]
    Overloaded,
    /// The guest trapped.
    #[error("trap: {reason}")]
    Trap {
        /// In one line.
        reason: String,
        /// Frames of the guest, innermost first, one a line.
        backtrace: String,
    },
    /// The guest wanted more memory than its limit.
    #[error("out of memory: the guest wanted more than its limit of {limit} bytes")]
    OutOfMemory {
        /// The limit in bytes.
        limit: u64,
    },
    /// The guest took longer than it may.
    #[error("deadline: no answer within {limit:?}")]
    Deadline {
        /// The deadline.
        limit: Duration,
    },
    /// The guest returned without a response.
    #[error("the guest returned without setting a response")]
    NoResponse,
    /// The guest answered with an error code of wasi:http in place of a response.
    #[error("the guest answered with the error {code}")]
    Refused {
        /// The error code.
        code: String,
    },
    /// The container is stopping or has stopped.
    #[error("the container has stopped")]
    Stopped,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned or called `exit`. The `exit` of WASI 0.2 before 0.2.12 knows only success (0) and failure (1); other codes come from guests
    /// that import `exit-with-code`, which today's standard libraries do not.
    Code(i32),
    /// It trapped.
    Trap {
        /// In one line.
        reason: String,
        /// Frames of the guest, innermost first, one a line.
        backtrace: String,
    },
    /// It wanted more memory than its limit.
    OutOfMemory,
    /// It was killed.
    Killed,
}
