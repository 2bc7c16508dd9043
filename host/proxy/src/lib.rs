//! The data plane: the one door that every proxied request passes.
//!
//! [`Proxy::handle`] takes a request from a gateway listener, from a pod or from another node, asks the published [`Snapshot`](osier_snapshot::Snapshot) where it goes
//! and the [`Gate`] whether it may, hands it to the pod through [`Pods`] or to a host outside over the network, and reports when the last byte of the response has
//! passed. It owns timeouts, retries, header rules, the access log and the request metrics.
//!
//! It decides nothing about policy, knows nothing of WebAssembly and of API objects: never imports engine, policy, client or api.

mod access;
mod affinity;
mod answer;
mod balance;
mod breaker;
mod checks;
mod direct;
mod filters;
mod flags;
mod forward;
mod forwarded;
mod gate;
mod gateway;
mod held;
mod judge;
mod judged;
mod listeners;
mod mesh;
mod mesh_listener;
mod metrics;
mod mirror;
mod opened;
mod outbound;
mod outlier_metrics;
mod plan;
mod port_forward;
mod prepare;
mod proxy;
mod retry;
mod source;
mod stream;
mod tcp_metrics;
mod terminations;
mod trace;
mod tunnel;
mod upgrade;
mod ways;

pub use access::{ACCESS_TARGET, log};
pub use answer::Own;
pub use checks::check_endpoints;
pub use gate::{
    Approval, Authenticated, BodyVerdict, Call, Carried, Change, Choice, Chosen, ChunkVerdict,
    Connected, Decision, Denial, Direction, Exchange, Filter, Filters, Gate, HeadVerdict, Heads,
    Moment, Passage, Record, Reply, Sides, Verdict,
};
pub use gateway::GatewayListener;
pub use listeners::serve_gateways;
pub use mesh::{Certified, Certify, server_name};
pub use mesh_listener::{Agent, MeshListener};
pub use opened::Opened;
pub use osier_upstream::{Beside, PodError, Pods, Takes, Wants};
pub use outbound::{Expected, Wished};
pub use proxy::{Proxy, Settings};
pub use source::{Arrival, Source};
pub use tunnel::{Told, Unreached};

#[cfg(test)]
mod tests;
