//! What is known of a call, and expressions over it: Mixer's attributes as a borrowed, typed view, and CEL that is checked against them once and
//! then runs as closures.
//!
//! Pure: it reads no clock and takes no lock, knows no plugin, no policy and no proxy, and never imports them or a Wasm engine.

mod attributes;
mod expression;
mod value;

pub use attributes::{
    Api, AttributeInfo, Attributes, Authentication, Checked, Connection, Context, Destination,
    Extra, Generated, Peer, Places, Request, Response, Vocabulary,
};
pub use expression::{CompileError, Condition, Expression, nanoseconds};
pub use value::{EvaluationError, Texts, Type, Value};
