//! The objects of Osier's API as pure values: what they are, how they are checked, changed, selected and shown.
//!
//! Everything here is a function of its arguments. The crate knows no socket, file, clock, lock or thread; times are
//! passed in. Objects are JSON values with a schema, not structs, so a field that this version does not know survives;
//! [`typed`] has serde views for controllers that need a few fields. It imports no other crate of Osier and never will.
//!
//! The way of an object through a write: [`schema::check`] (structure), [`defaults::apply`], and the crate validation
//! (meaning).

pub mod companion;
pub mod defaults;
pub mod duration;
mod fault;
pub mod local_volume;
pub mod managed;
mod object;
pub mod patch;
pub mod quantity;
mod resource;
pub mod resources;
pub mod schedule;
pub mod schema;
pub mod selector;
mod status;
pub mod typed;

pub use fault::{Fault, FaultKind};
pub use object::{Labels, Malformed, Object, OwnerReference};
pub use resource::{Resource, Subresource};
pub use status::{Cause, Details, Status};
