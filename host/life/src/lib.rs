//! The life of a pod as pure values: what each container does, what follows from its end, what the API is told, and what a node keeps of a
//! pod in memory.
//!
//! Nothing here waits, reads a clock or calls anybody: that is the node agent's. It never imports the node, the proxy or the mesh.

mod container;
pub mod kept;
mod status;
#[cfg(test)]
mod tests;

pub use container::{After, BACKOFF, Ended, Life, Record, after_end};
pub use status::{Phase, Report, phase};
