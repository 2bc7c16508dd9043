//! Istio's AuthorizationPolicy (<https://istio.io/latest/docs/reference/config/security/authorization-policy/>): objects are read into
//! rules once, and a call is decided by the rules of the policies that concern it. Pure values and functions.
//!
//! It is not the policies of plugins (those are `osier-policy`'s) and asks nobody itself, it says who is to be asked: what is not known of a call matches nothing, and what
//! of an object cannot be read denies what the object might have denied. It holds no lock, opens no socket, reads no clock.

mod action;
mod addresses;
mod concern;
mod facts;
mod fault;
mod field;
mod placed;
mod policy;
mod read;
mod rule;
mod set;
mod text;

pub use action::Action;
pub use concern::Concern;
pub use facts::{Asked, Caller, Facts, Place, Token};
pub use fault::Fault;
pub use field::Field;
pub use placed::Placed;
pub use policy::Policy;
pub use read::read;
pub use set::{Asking, Authorizations, Decided, Outcome};
