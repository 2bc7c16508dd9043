//! CEL: text to a tree of our own, and rules over JSON values.
//!
//! [`parse`] is the only place that touches the `cel` crate; policies check and compile its tree to typed closures in a
//! crate of their own. [`Rule`] is for values whose type is a schema, as in `x-kubernetes-validations`: it walks the tree
//! with a cost limit. It knows no object of an API, no schema and no attribute.

mod error;
mod ir;
mod parse;
mod rule;
mod types;

pub use error::CompileError;
pub use ir::{Kind, Literal, Node, Span};
pub use parse::parse;
pub use rule::{Access, Authorizer, Budget, Environment, Failure, Rule};
pub use types::Type;
