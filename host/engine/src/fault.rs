//! What can go wrong, one enum for each crate boundary: starting the engine, loading a component, calling a guest.

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

/// Why a component cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// The bytes are no WebAssembly.
    #[error(
        "not WebAssembly: the file starts with {start}; give a component or a WASI preview1 module (.wasm)"
    )]
    NotWasm {
        /// The first bytes, printable.
        start: String,
    },
    /// The bytes are broken WebAssembly, or use a proposal that is not supported.
    #[error("invalid component: {reason}")]
    Invalid {
        /// What the validator said.
        reason: String,
    },
    /// A core module imports what WASI preview1 does not have.
    #[error(
        "the core module cannot be made a component: {reason}; only imports of wasi_snapshot_preview1 are supported"
    )]
    NotWasi {
        /// What the wrapper said.
        reason: String,
    },
    /// The component imports something that nobody provides.
    #[error("the component imports {import}, which is not offered here; {remedy}")]
    Import {
        /// Full name of the import.
        import: String,
        /// What to do about it.
        remedy: String,
    },
    /// The component lacks an export.
    #[error("the component does not export {export}; {remedy}")]
    Export {
        /// Full name of the export.
        export: String,
        /// What to do about it.
        remedy: String,
    },
    /// A limit is too low to hold even one instance.
    #[error("{what} is {limit}, but one instance needs {needs}; raise the limit")]
    Limit {
        /// Which limit.
        what: &'static str,
        /// Its value.
        limit: u64,
        /// What would be enough.
        needs: u64,
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
