//! WebAssembly before it runs: what bytes are, preview1 modules wrapped into components, what a component imports and exports, its own
//! sections, and the machine code that was made of it, on disk and, of single functions, in memory.
//!
//! It runs nothing and compiles nothing: that is the engine's. It never imports wasmtime, the API's objects or the mesh.

mod binary;
mod cache;
mod digest;
mod exchange;
mod fault;
mod functions;
mod interfaces;
mod offered;

pub use binary::{component, sections};
pub use cache::Cache;
pub use digest::Digest;
pub use exchange::exchange;
pub use fault::ComponentError;
pub use functions::Functions;
pub use interfaces::{check, interfaces, is_concurrent, needed};
pub use offered::{Capability, beyond, check_grants, check_imports, unmet};
