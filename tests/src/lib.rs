//! The harness: starts the real `osier` binary as people do, talks to it over its real ports, and looks at what comes back.
//!
//! Every node has a data directory of its own and ports chosen by the kernel, so that suites run side by side. Nothing here waits a
//! fixed time: `until` asks again until an answer or a deadline. It imports no room of the product but `identity`, which owns TLS.

pub mod api;
pub mod artifacts;
pub mod bookinfo;
pub mod curl;
pub mod deadline;
pub mod debian;
pub mod envoy;
pub mod etcd;
pub mod http;
pub mod kubectl;
pub mod load;
pub mod mirror;
pub mod namespace;
pub mod node;
pub mod objects;
pub mod redis;
pub mod registry;
pub mod server;
pub mod tls;

pub use deadline::until;
pub use node::{Node, Options};
