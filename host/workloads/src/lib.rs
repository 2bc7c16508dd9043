//! What controllers read off pods and say in conditions, whose an object is, and what Jobs and CronJobs want done.
//!
//! Functions over values: the loops that read informers and write back are in `control`. It never imports a client, and asks no clock: the
//! time is an argument.

pub mod conditions;
pub mod cron;
pub mod facts;
pub mod job;
mod ownership;

pub use ownership::{Claim, Owner, reference};
