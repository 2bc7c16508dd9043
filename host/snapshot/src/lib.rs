//! The mesh as one immutable value.
//!
//! API objects go in, a [`Snapshot`] comes out: who runs where, which services there are, where a request goes. [`compile`] is a
//! pure function; whatever an object asks that cannot be honoured becomes a [`Finding`] and never breaks what works. Front ends
//! (Istio's kinds, the Gateway API's, Ingress) compile to one internal route model, and nothing behind this crate knows which of them a route came from.
//!
//! It is not the data plane: it holds no lock, opens no socket, reads no clock. The only things that change in a published
//! snapshot are the load counters of an [`Endpoint`] and a [`Cluster`], and what is known of failing endpoints ([`Health`]), which live
//! in it so that they survive recompiling.

mod alias;
mod assemble;
mod claims;
mod clusters;
mod compile;
mod externals;
mod gateway_api;
mod gateways;
mod ingress;
mod inputs;
mod istio;
mod kubernetes;
mod listener;
mod listeners;
mod memory;
mod naming;
mod nodes;
mod policies;
mod ready;
mod references;
mod scope;
mod seen;
mod service_routes;
mod snapshot;
mod streams;
mod table;

pub use compile::compile;
pub use gateway_api::gateway::CONTROLLER;
pub use ingress::INGRESS_CONTROLLER;
pub use inputs::{GatewayApi, Inputs};
pub use listener::{Application, Listener, Server, ServerOrigin, StreamRoute, Transport};
pub use naming::Meaning;
pub use osier_api::companion::MESH_ADDRESS;
pub use osier_balancing::{
    Balancing, Check, ConnectionPool, ConsistentHash, Credential, Detector, Ejections, Gauge,
    HashKey, HashMethod, HashTable, Health, Judgement, Keepalive, LEVELS, Level, Load,
    LoadBalancer, Locality, LocalityRule, Origination, OutlierPolicy, Places, Probe, ProxyVersion,
    RetryBudget, Revoked, Sign, Soundness, Speaks, Stand, Trust, Tunnel, Upstream, Warmup, hash_of,
    is_panic, loads,
};
pub use osier_routing::claims::Claims;
pub use osier_routing::cors::{Cors, CorsPolicy};
pub use osier_routing::endpoint::{Endpoint, InFlight, Place};
pub use osier_routing::headers::{HeaderEdits, HeaderOperation};
pub use osier_routing::kind::Kind;
pub use osier_routing::miss::{Miss, Missing};
pub use osier_routing::rewrite;
pub use osier_routing::route::{
    Abort, Action, Delay, DerivePort, Destination, DirectResponse, Fault, Forward, Mirror,
    PathRewrite, Percentage, Redirect, Retries, RetryOn, Rewrite, Route, ServiceName, Weighted,
};
pub use osier_routing::service::{
    Caller, Cluster, ClusterIp, Protocol, Service, ServicePort, ServiceRef,
};
pub use osier_routing::session::{Token, cookie};
pub use osier_routing::workload::{Workload, workload};
pub use osier_standing::{
    Attachment, Condition, Finding, FindingKind, GatewayConditions, GatewayStanding, ListenerKey,
    ListenerStanding, Opening, ParentStanding, PolicyFault, PolicyStanding, Refused, RouteStanding,
    Standings, Subject,
};
pub use osier_traffic::{KeyPair, Named, Taken, Tls, TlsMode, TlsVersion};
pub use snapshot::{Origin, RouteMatch, Snapshot};

#[cfg(test)]
mod tests;
