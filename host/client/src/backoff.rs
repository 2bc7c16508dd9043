//! Exponential back-off as a value: how long to wait after the n-th failure. No clock, no sleep.

use std::time::Duration;

/// The doubling delays between the first failure and the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// No delay is longer than this.
    pub cap: Duration,
}

impl Backoff {
    /// Delays that start at `first` and double up to `cap`.
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap }
    }

    /// The delay after `failures` failures in a row; zero after none.
    pub fn after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.saturating_pow(doublings.min(31));
        self.first.saturating_mul(factor).min(self.cap)
    }
}

/// What controllers use between attempts on one key, as client-go does: 5 ms doubling to 1000 s
/// is its default; ours stops at a minute, so that a repaired cause is noticed soon.
pub const CONTROLLER: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(60));

/// What informers use between attempts to reach the server.
pub const RECONNECT: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap() {
        let backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(300));
        let seconds: Vec<u64> = (0..8).map(|n| backoff.after(n).as_secs()).collect();
        assert_eq!(seconds, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff.after(u32::MAX).as_secs(), 300);
    }
}
