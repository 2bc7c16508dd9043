//! The thread's own clock, which stands still while the thread waits for a processor. A reading costs about a microsecond,
//! so it is taken only of guests that are already slow.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Processor time of this thread; what runs on it meanwhile must not change threads.
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
