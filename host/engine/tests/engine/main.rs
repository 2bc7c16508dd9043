//! The engine with real guests: what works, and that a guest can hurt nobody but itself.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod commands;
mod concurrent;
mod cost;
mod guests;
mod http_failures;
mod http_outgoing;
mod http_pool;
mod http_serving;
mod loading;
mod plugins;
