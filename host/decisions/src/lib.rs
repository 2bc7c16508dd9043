//! What is decided about calls beside plugins, and what is remembered of every decision: RequestAuthentications and AuthorizationPolicies, asked as the proxy's gate
//! asks, and the memory behind `osier why`.
//!
//! It compiles no policy and runs no plugin: rules come from `osier-authentication` and `osier-authorization`, what plugins say comes with a call's record. It never
//! imports policy, engine, client or the node agent, which joins it to the gate.

mod authenticate;
mod authorize;
mod forwarded;
mod memory;
mod place;

pub use authenticate::authenticate;
pub use authorize::authorize;
pub use forwarded::Forwarded;
pub use memory::Decisions;
