//! Who answers: pods in memory, as the node hands requests to them ([`Pods`]); hosts outside and programs of pods, over connections that
//! are kept ([`Upstreams`]); and the process that a companion stands beside ([`Beside`]).
//!
//! It calls whom it is told to call. It knows no routes, chooses no endpoint and asks no policy.

mod beside;
mod connect;
mod exchange;
mod failure;
mod header;
mod pods;
mod pool;
mod secure;
mod upstreams;

pub use beside::Beside;
pub use failure::{Failure, Reason};
pub use header::Client;
pub use pods::{PodError, Pods, Takes, Wants};
pub use secure::Shown;
pub use upstreams::{Raw, Upstreams};
