//! The time that health is measured by: milliseconds since this proxy began. It never goes back, and a number fits an atomic.

use tokio::time::Instant;

/// When a proxy began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uptime(Instant);

impl Uptime {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since then.
    pub(crate) fn millis(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
