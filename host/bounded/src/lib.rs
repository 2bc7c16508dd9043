//! What is kept between calls, each within a bound that it states: answers that may be repeated, allowances that were leased and are handed
//! out in parts, records that wait for their delivery, failures that are said once in a while, and who overran lately.
//!
//! It is no cache of plugins' memory and knows neither plugins nor templates: keys are bytes, what is kept is the caller's. The time is told to it; it starts
//! nothing and waits for nothing but its own locks.

mod cache;
mod conduct;
mod failures;
mod lease;
mod queue;

pub use cache::{Cache, Validity};
pub use conduct::{CALM, Conduct};
pub use failures::Failures;
pub use lease::Leases;
pub use queue::{Overflow, Pushed, Queue, QueueTerms};
