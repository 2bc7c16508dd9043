//! How much is asked of others: queries at a time, and queries a second.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Queries a second that go on to resolvers, in the long run.
const RATE: u32 = 1_000;
/// How many may go at once after a pause.
const BURST: u32 = 1_000;

/// A bucket that fills with time: one drop for each query that is forwarded.
pub(crate) struct Bucket(Mutex<Level>);

struct Level {
    drops: u32,
    filled: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full() -> Self {
        Self(Mutex::new(Level {
            drops: BURST,
            filled: Instant::now(),
        }))
    }

    /// Takes a drop, if there is one.
    pub(crate) fn take(&self) -> bool {
        let mut level = self.0.lock();
        let each = Duration::from_secs(1) / RATE;
        let passed = level.filled.elapsed().as_nanos() / each.as_nanos();
        let fresh = u32::try_from(passed).unwrap_or(BURST).min(BURST);
        if fresh > 0 {
            level.drops = level.drops.saturating_add(fresh).min(BURST);
            level.filled = Instant::now();
        }
        level.drops = match level.drops.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_let_through_and_then_the_rate() {
        let bucket = Bucket::full();
        let taken = |bucket: &Bucket| (0..5 * BURST).filter(|_| bucket.take()).count();
        assert_eq!(taken(&bucket), BURST as usize);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(taken(&bucket), RATE as usize / 10);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(taken(&bucket), BURST as usize);
    }
}
