//! The admin listener, plain HTTP, meant for loopback: metrics for Prometheus, health for whoever waits, and for people a page that draws who
//! calls whom.
//!
//! The page shows nothing that `/metrics` does not tell: the graph is read from the same text ([`Graph`]), so this crate knows no product noun
//! but the names of the metrics. It never imports the data plane, the policies or the API.

mod exposition;
mod graph;
mod listener;
mod page;

pub use exposition::{Sample, samples};
pub use graph::{Edge, Graph, Plugin, Workload};
pub use listener::{Admin, DRAINING};
