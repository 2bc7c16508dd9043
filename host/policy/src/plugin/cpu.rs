//! Processor time of a plugin's calls. Reading the thread's clock costs a microsecond, half a call of a small plugin: of many calls one is
//! measured, for all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use osier_engine::thread_time;

/// Of the calls after the first ones, one in so many is measured, and so are all of the first ones. A prime, so that calls that come in
/// turns, as a filter's of request and response do, are all met.
const EVERY: u64 = 61;

/// What calls have used, estimated.
#[derive(Default)]
pub(super) struct Spent {
    nanos: AtomicU64,
    /// As it was last told.
    told: AtomicU64,
}

/// A call that is measured.
pub(super) struct Measuring {
    began: Duration,
    /// How many calls it is taken for.
    calls: u32,
}

impl Measuring {
    /// Begins with the call of this number, if it is one that is measured.
    pub(super) fn begin(number: u64) -> Option<Self> {
        let calls = stands_for(number)?;
        let began = thread_time();
        Some(Self { began, calls })
    }
}

fn stands_for(number: u64) -> Option<u32> {
    match number {
        0..EVERY => Some(1),
        _ if number.is_multiple_of(EVERY) => Some(EVERY as u32),
        _ => None,
    }
}

impl Spent {
    /// The call has ended, on the thread on which it began.
    pub(super) fn add(&self, measuring: Option<Measuring>) {
        let Some(Measuring { began, calls }) = measuring else {
            return;
        };
        let took = thread_time().saturating_sub(began).saturating_mul(calls);
        self.nanos.fetch_add(nanos(took), Ordering::Relaxed);
    }

    /// In all, with what was measured elsewhere.
    pub(super) fn total(&self, elsewhere: Duration) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).saturating_add(elsewhere)
    }

    /// What of a total was not told before.
    pub(super) fn news(&self, total: Duration) -> Duration {
        let told = self.told.swap(nanos(total), Ordering::Relaxed);
        total.saturating_sub(Duration::from_nanos(told))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_calls_stand_for_all() {
        let counted: u64 = (0..EVERY * 100)
            .filter_map(|number| stands_for(number).map(u64::from))
            .sum();
        assert_eq!(counted, EVERY * 100);
        // Calls that come in pairs are both met.
        let measured = |odd: u64| {
            let all = (EVERY..EVERY * 100).filter(|number| stands_for(*number).is_some());
            all.filter(|number| number % 2 == odd).count()
        };
        assert!(measured(0).abs_diff(measured(1)) <= 1);
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let (spent, ms) = (Spent::default(), Duration::from_millis);
        assert_eq!(spent.news(spent.total(ms(3))), ms(3));
        assert_eq!(spent.news(spent.total(ms(5))), ms(2));
        assert_eq!(spent.news(spent.total(ms(5))), Duration::ZERO);
    }
}
