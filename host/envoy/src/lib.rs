//! Envoy's gRPC services, answered by the policies in force: external authorization (`envoy.service.auth.v3.Authorization`), rate limits
//! (`envoy.service.ratelimit.v3.RateLimitService`) and access logs (`envoy.service.accesslog.v3.AccessLogService`).
//!
//! A stock Envoy is a client: what its requests say becomes attributes, which a question of `osier_review` puts to the same policies that calls
//! through the mesh meet. Envoy is believed, so the listener is for Envoys only: this machine's, or those with a certificate of the mesh. This
//! crate knows no API and no proxy; who has the policies comes in through [`Rulebook`].

mod access_log;
mod authorization;
mod concern;
mod judged;
mod messages;
mod rate_limit;
mod service;
mod stated;

pub use judged::Judged;
pub use service::{PolicyService, Rulebook};
