//! Counters that nodes share: plugins on every node that is given the same Redis count into the same allowances, exactly.
//!
//! Every question is one script, which Redis runs as a whole; nothing is guessed, leased or kept on the node, so that a limit holds however many
//! nodes ask at once. A question waits for its answer at most for a stated time. When Redis is lost the counters say so at once, until a
//! probe finds it again: what a call means then is its policy's to say. This crate knows no plugin and no policy, and it never falls back to
//! counting alone, which would give each node the whole allowance.

mod connection;
mod counters;
mod scripts;
mod settings;

pub use counters::SharedCounters;
pub use settings::{Settings, SettingsError, redacted};
