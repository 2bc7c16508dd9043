//! What workloads open: connections, which go through the one door as requests where they speak HTTP and as they are where they do
//! not, and the names that they look up.
//!
//! A workload beside a companion opens them on its machine, a pod on its own network ([`osier_sockets::Network`]); from here on there
//! is no difference. It decides nothing: routes, grants and policies are the proxy's. It never imports engine, api or node.

mod dial;
mod lookup;
mod opened;
mod own;
mod sniff;
mod spoken;

pub use dial::dial;
pub use lookup::lookup;
pub use opened::{Opened, Requests};
pub use own::serve_own;
pub use spoken::ask;
