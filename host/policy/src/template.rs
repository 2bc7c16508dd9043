//! Templates: what a plugin is asked. Recognised by the shape of an exported interface, so that a user's own WIT interface is as good as a
//! built-in one; the fields of a policy compile to a plan that fills a kept tree of arguments in place.

mod answer;
mod fill;
mod leaf;
mod plan;
mod shape;

pub(crate) use answer::{Answer, decode};
pub(crate) use fill::EMPTY;
pub use fill::Rehearsal;
pub(crate) use osier_spec::default_expression;
pub(crate) use plan::{Plan, compile};
pub(crate) use shape::{Template, Variety, recognise, show};
