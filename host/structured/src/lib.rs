//! Structured merge: who set which field of a JSON document, and how one manager's wish is merged into it.
//!
//! This is the algorithm behind Kubernetes' server-side apply (KEP-555, `sigs.k8s.io/structured-merge-diff`), driven by
//! an OpenAPI schema with the list and map types of that KEP. Owners are kept in [`Owners`]; [`apply`] merges a wish and
//! takes away what its owner no longer wishes, [`update`] records what somebody changed by other means.
//!
//! The crate stands on its own: it knows JSON, a schema and names, but no kind, no server and no clock. It imports no
//! other crate of Osier and never will.

mod compare;
mod merge;
mod owners;
mod path;
mod prune;
mod schema;
mod set;

pub use compare::{Comparison, compare};
pub use merge::merge;
pub use owners::{Conflict, Operation, Owner, Owners, Refusal, Wish, apply, update};
pub use path::{Path, Step};
pub use prune::{field_set, remove};
pub use schema::{Malformed, Schema};
pub use set::FieldSet;

#[cfg(test)]
mod tests;
