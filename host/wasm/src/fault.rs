//! What can be wrong with a component.

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
    /// There is nothing in it to call.
    #[error(
        "the component exports nothing: a service exports wasi:http/incoming-handler or wasi:http/handler, a program wasi:cli/run, a plugin a template; build it for wasm32-wasip2"
    )]
    Empty,
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
    /// The component imports what its pod may be granted, and is not.
    #[error("the component imports {import}, which is not granted: {remedy}")]
    Grant {
        /// Full name of the import.
        import: String,
        /// How it is granted.
        remedy: &'static str,
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
