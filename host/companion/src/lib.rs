//! What stands beside a workload that is no pod, and makes it a member of the mesh without a change of its code.
//!
//! It speaks for one WorkloadEntry: calls of the mesh come in over mutual TLS and go on to a port of the workload's machine, what the
//! workload opens goes out by an HTTP or SOCKS5 proxy or by connections that the machine redirects. Routes, policies and identity
//! are those of the data plane ([`osier_node::Plane`]), and every request passes its one door.
//!
//! It runs no pods and takes no decision of its own. It never imports the API server, the controllers or the engine.

mod companion;
mod outbound;
mod socks;
mod speaker;

pub use companion::{Companion, CompanionError};
pub use speaker::Settings;
