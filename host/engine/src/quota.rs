//! The most processor time that a container may take (`resources.limits.cpu`), however idle the machine is.
//!
//! An account that fills at the rate of the limit and holds what the limit gives in 100 ms, which is the period of the kernel's own
//! bandwidth control. What guests compute is taken from it afterwards; while it is overdrawn none of them runs. A guest is stopped at the
//! end of each slice, so that it overdraws by little, and what it overdrew it waits for: over time nobody gets more than the limit.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// How much may be saved up.
const PERIOD: Duration = Duration::from_millis(100);
/// A wait that is shorter costs more than it is worth.
const SHORTEST: Duration = Duration::from_millis(1);

/// What happened before is forgotten: the account is full by then.
const LONGEST: Duration = Duration::from_secs(3600);

/// The account of one container.
pub(crate) struct Quota {
    /// Thousandths of one processor; at least one.
    millis: i64,
    level: Mutex<Level>,
}

struct Level {
    /// Nanoseconds of processor time to be spent; owed, if negative.
    left: i64,
    at: Instant,
}

impl Quota {
    /// A full account.
    pub(crate) fn new(millis: u32, now: Instant) -> Self {
        let millis = i64::from(millis.max(1));
        let left = given(millis, PERIOD);
        Self {
            millis,
            level: Mutex::new(Level { left, at: now }),
        }
    }

    /// Guests have computed for this long.
    pub(crate) fn spend(&self, time: Duration) {
        let spent = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let mut level = self.level.lock();
        level.left = level.left.saturating_sub(spent);
    }

    /// How long a guest is to wait before it computes on; nothing if it need not.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let mut level = self.level.lock();
        let more = given(self.millis, now.saturating_duration_since(level.at));
        let full = given(self.millis, PERIOD);
        level.left = level.left.saturating_add(more).min(full);
        level.at = now;
        let owed = u64::try_from(-level.left).ok().filter(|owed| *owed > 0)?;
        let nanos = owed.saturating_mul(1000) / self.millis.unsigned_abs();
        Some(Duration::from_nanos(nanos).max(SHORTEST))
    }
}

/// Nanoseconds of processor time that a limit gives in some time.
fn given(millis: i64, time: Duration) -> i64 {
    let time = i64::try_from(time.min(LONGEST).as_nanos()).unwrap_or(i64::MAX);
    time.saturating_mul(millis) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(5);

    /// Processor time that a guest which never stops by itself gets in some time, by slices.
    fn got(quota: &Quota, mut now: Instant, time: Duration) -> Duration {
        let (end, mut got) = (now + time, Duration::ZERO);
        while now < end {
            match quota.wait(now) {
                Some(wait) => now += wait,
                None => {
                    quota.spend(SLICE);
                    (now, got) = (now + SLICE, got + SLICE);
                }
            }
        }
        got
    }

    #[test]
    fn nobody_gets_more_than_the_limit_and_what_was_saved() {
        let now = Instant::now();
        for (millis, seconds) in [(10, 20), (100, 10), (500, 10), (950, 10)] {
            let time = Duration::from_secs(seconds);
            let got = got(&Quota::new(millis, now), now, time).as_secs_f64();
            let share = f64::from(millis) / 1000.0;
            let most = share * (time + PERIOD).as_secs_f64() + SLICE.as_secs_f64();
            assert!(got <= most, "{millis}m: {got} s");
            assert!(
                got >= share * time.as_secs_f64() * 0.95 - 0.01,
                "{millis}m: {got} s"
            );
        }
    }

    #[test]
    fn many_at_once_share_the_limit() {
        let now = Instant::now();
        let quota = Quota::new(1000, now);
        for _ in 0..4 {
            quota.spend(Duration::from_secs(1));
        }
        let wait = quota.wait(now);
        assert_eq!(wait, Some(Duration::from_millis(3900)));
        assert_eq!(quota.wait(now + Duration::from_secs(4)), None);
    }

    #[test]
    fn what_is_saved_has_a_bound() {
        let now = Instant::now();
        let quota = Quota::new(500, now);
        let later = now + Duration::from_secs(3600);
        assert_eq!(quota.wait(later), None);
        quota.spend(Duration::from_millis(60));
        assert_eq!(quota.wait(later), Some(Duration::from_millis(20)));
    }
}
