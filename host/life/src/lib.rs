//! The life of a pod as pure values: what each container does, what follows from its end, and
//! what the API is told. Nothing here waits, reads a clock or calls anybody.

mod container;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use container::{After, BACKOFF, Ended, Life, Record, after_end};
pub(crate) use status::{Phase, Report, phase};
