//! What every long-running part of Osier shares: named tasks that drain, the one accept loop, HTTP bodies, also such that are sent again or held whole, streams that are
//! joined, names that are resolved, forward proxies, metrics, logs and the clock.
//!
//! It knows no product noun: nothing here says pod, service or plugin. It imports no other crate of ours, reads no
//! environment variable and parses no argument; the binary hands it what it needs.

pub mod body;
pub mod buffered;
pub mod carry;
pub mod clock;
pub mod dialled;
mod executor;
pub mod forward_proxy;
mod holding;
pub mod keepalive;
pub mod logs;
pub mod metrics;
pub mod readiness;
pub mod replay;
pub mod resolve;
pub mod serve;
pub mod signals;
mod tasks;

pub use holding::Holding;
pub use tasks::{Crowded, Stuck, Tasks};
pub use tokio_util::sync::CancellationToken;

use std::future::Future;
use std::pin::Pin;

/// A boxed future that can move between threads: the shape of an asynchronous method of an object-safe trait.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
