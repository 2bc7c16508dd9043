//! HorizontalPodAutoscalers: how many replicas one wants, and its two versions.
//!
//! [`decide`] is upstream's algorithm over values: proposals by metric, the greatest of them, stabilization, the rates of
//! `behavior`, and the bounds. Who reads metrics and writes scales is the controller's (crate control). It imports nothing that
//! touches a socket, a file, a clock or a lock.

mod behavior;
mod decide;
mod metrics;
mod sample;
pub mod sleep;
#[cfg(test)]
mod tests;
pub mod versions;
mod wanted;

pub use behavior::History;
pub use decide::{Plan, Scene, decide};
pub use metrics::{Part, Sample};
pub use sample::Used;
pub use wanted::{Wanted, rival};
