//! The route model: what a request or connection is, as rules see it, and what a rule makes of it.
//!
//! Hosts and their patterns, conditions and their index, what is done with a match ([`route::Route`]), and whom a destination names:
//! workloads, endpoints, clusters and services. Front ends (Istio's kinds, the Gateway API's, Ingress) compile to it, and the data
//! plane reads it.
//!
//! It knows no object of any API but a pod's identity, holds no lock, and opens nothing. What objects ask for, and the snapshot in
//! which the answers stand, are `snapshot`'s.

pub mod claims;
pub mod cors;
pub mod endpoint;
pub mod export;
pub mod headers;
pub mod hosts;
pub mod kind;
pub mod matcher;
pub mod miss;
pub mod names;
pub mod rewrite;
pub mod route;
pub mod rules;
pub mod serves;
pub mod service;
pub mod session;
pub mod workload;
