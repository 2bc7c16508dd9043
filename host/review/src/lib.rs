//! Policy as a service: attributes that somebody states, judged by the policies in force as if they were those of a call.
//!
//! Calls through the mesh get their attributes from the host that carries them. Everything else that is worth a policy (a training job that
//! asks for seconds of a GPU, a proxy that is not Osier) states its own: a [`Question`], which [`Question::ask`] puts to a `PolicySet`. Whoever
//! may ask is believed, so asking is a permission. Hooks are given more than attributes: [`Given`]. This crate knows no API server, no proxy and no engine.

mod answer;
mod given;
mod headers;
mod question;
mod recorded;

pub use answer::Answer;
pub use given::{Given, Message, Write};
pub use headers::{after, pairs};
pub use question::{Phase, Question};
pub use recorded::Recorded;
