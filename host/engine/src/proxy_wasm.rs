//! Modules of proxy-wasm (ABI 0.2.1 and 0.2.0), as Envoy and others run them: this is the only place that knows the ABI.
//!
//! The ABI is callbacks and host functions over the memory of a core module. One [`Vm`] serves many streams, which interleave in it; whoever
//! owns it lets one thread in at a time. The VM does nothing by itself: what a guest asks of the world (a call, a tick, a message for a queue)
//! comes out as an [`Order`], to be carried out by the owner, and its answer goes in by another callback. Everything that a guest can fill
//! has a bound.
//!
//! Specification: <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.

mod abi;
mod hostcalls;
mod memory;
mod module;
mod state;
mod stream;
mod vm;
mod wasi;

pub use module::{Module, is_module};
pub use osier_abi::{Answer, Call, Edit, Headers, Order, Properties, Value};
pub use state::Terms;
pub use stream::{LocalReply, Side, Step};
pub use vm::{Refusal, Vm};
