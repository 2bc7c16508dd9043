//! The last failure of something that may fail at every call: remembered, and said once in a while.

use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// Shortest time between two lines of the log about one thing.
const INTERVAL: Duration = Duration::from_secs(10);

/// The failures of one thing. Only the last is kept.
#[derive(Default)]
pub struct Failures(Mutex<Last>);

#[derive(Default)]
struct Last {
    failure: Option<(String, SystemTime)>,
    said: Option<Instant>,
    unsaid: u64,
}

impl Failures {
    /// Remembers a failure. Some(n): say it, n went unsaid since the last line.
    pub fn remember(&self, what: &str, now: Instant) -> Option<u64> {
        let mut last = self.0.lock();
        last.failure = Some((what.to_owned(), SystemTime::now()));
        let quiet = last
            .said
            .is_some_and(|said| now.duration_since(said) < INTERVAL);
        if quiet {
            last.unsaid += 1;
            return None;
        }
        last.said = Some(now);
        Some(std::mem::take(&mut last.unsaid))
    }

    /// The last one, and when it was.
    pub fn last(&self) -> Option<(String, SystemTime)> {
        self.0.lock().failure.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_said_once_per_interval() {
        let (failures, start) = (Failures::default(), Instant::now());
        let at = |millis| failures.remember("trap", start + Duration::from_millis(millis));
        assert_eq!(
            [at(0), at(1), at(2), at(10_000)],
            [Some(0), None, None, Some(2)]
        );
    }
}
