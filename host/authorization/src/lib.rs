//! Istio's AuthorizationPolicy (<https://istio.io/latest/docs/reference/config/security/authorization-policy/>): objects are read into
//! rules once, and a call is decided by the rules of the policies that concern it. Pure values and functions.
//!
//! It is not the policies of plugins (those are `osier-policy`'s) and asks nobody: what is not known of a call matches nothing, and what
//! of an object cannot be read denies what the object might have denied. It holds no lock, opens no socket, reads no clock.

mod action;
mod addresses;
mod facts;
mod fault;
mod field;
mod policy;
mod read;
mod rule;
mod set;
mod text;

pub use action::Action;
pub use facts::{Asked, Caller, Facts, Place};
pub use fault::Fault;
pub use policy::Policy;
pub use read::read;
pub use set::{Authorizations, Decided, Outcome};
