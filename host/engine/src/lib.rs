//! Runs WebAssembly components: the only owner of wasmtime.
//!
//! It compiles components (and keeps the machine code on disk), holds them to limits of memory and time, serves HTTP
//! through pools of their instances, runs commands, and calls plugins by reflection. It is no scheduler and no router:
//! which component runs, and where its requests go, is the caller's business. It never imports the API's objects, the
//! mesh's snapshots, TLS or the store.

mod command;
mod concurrent;
mod container;
mod cpu;
mod engine;
mod execution;
mod fault;
mod granted;
mod guest;
mod imports;
mod linker;
mod machine;
mod memory;
mod metered;
mod middleware;
mod network;
pub mod plugin;
mod program;
pub mod proxy_wasm;
mod quota;
mod reaper;
mod serving;
mod sockets;
mod stdio;
mod ticker;
mod trap;
mod unread;
mod values;
mod watch;
mod workload;

pub use command::CommandContainer;
pub use container::{Container, Mount, Outgoing, OutgoingError, Output, Timeouts, Usage};
pub use cpu::thread_time;
pub use engine::{Engine, Settings};
pub use execution::{Execution, Program};
pub use fault::{CallError, EngineError, Exit};
pub use guest::Account;
pub use middleware::{Lost, Middleware, MiddlewareTerms, Onward, Passage, is_middleware};
pub use osier_wasm::{ComponentError, Digest, beyond, check, interfaces, needed};
pub use serving::HttpContainer;
pub use stdio::{Console, Stdin};
pub use workload::Workload;
