//! Policy with real plugins: what works, what is refused and how it says so, and that a plugin can hurt nobody but its own calls.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod access;
mod calls;
mod cost;
mod fixture;
mod generators;
mod headers;
mod hooks;
mod hostile;
mod leases;
mod outputs;
mod own_template;
mod plugins;
mod refusals;
mod reports;
mod rollout;
mod settlement;
mod targets;
