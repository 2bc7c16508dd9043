//! What modules of proxy-wasm see of a stream, and what they ask for: headers, properties and orders, in the form in which they cross
//! to a guest.
//!
//! Values only: whoever runs the modules (the engine) gives them memory to cross to, and carries orders out. It knows no wasmtime, no
//! clock and no locks.
//!
//! Specification: <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

pub mod headers;
mod order;
pub mod property;
mod status;

pub use headers::{Edit, Headers};
pub use order::{Answer, Call, Order};
pub use property::{Properties, Value};
pub use status::Status;
