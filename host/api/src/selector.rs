//! Which objects are meant: label selectors and field selectors.

mod field;
mod label;

pub use field::{FieldSelector, UnknownField};
pub use label::{LabelSelector, Operator, Requirement};

pub use crate::object::Labels;

/// A selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement: {detail} in selector {selector:?}")]
pub struct InvalidSelector {
    /// The selector as written.
    pub selector: String,
    /// What is wrong.
    pub detail: String,
}
