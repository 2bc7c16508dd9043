//! How the specs of plugins and policies are read: what is wrong with which field, configurations held to the schema that a plugin carries, names
//! that were meant, whom a selector means, and what the fields of standard templates are when a policy leaves them out.
//!
//! Pure functions over values. It knows no plugin's code, no expression and no call.

mod defaults;
mod fault;
mod nearest;
mod schema;
mod selector;
mod signers;

pub use defaults::default_expression;
pub use fault::Fault;
pub use nearest::nearest;
pub use schema::check as check_configuration;
pub use selector::Selector;
pub use signers::signers;
