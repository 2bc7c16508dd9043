//! What a Job wants done about its pods, and what its status says.

mod decide;
mod failures;
mod indexes;
mod status;
mod success;
mod wanted;

pub use decide::{FAILURES, FINALIZER, IGNORED, INDEX, Place, Plan, decide, index};
pub use status::status;
pub use wanted::{Done, End, Failure, Success, Wanted, end, is_ours};
