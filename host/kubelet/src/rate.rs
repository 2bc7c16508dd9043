//! Use as a rate: processor time between two readings, as metrics-server computes it.

use std::time::Duration;

/// What a container had used at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The moment, counted from any fixed one.
    pub at: Duration,
    /// Processor time since the container began.
    pub cpu: Duration,
    /// Bytes that it holds.
    pub memory: u64,
    /// Requests that it has taken since it began.
    pub requests: u64,
}

/// The two latest readings of one life of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    before: Option<Reading>,
    latest: Reading,
}

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Billionths of a processor, on average over the window.
    pub nano_cores: u64,
    /// Bytes, at the window's end.
    pub memory: u64,
    /// Thousandths of a request in a second, on average over the window.
    pub milli_requests: u64,
    /// Time between the two readings.
    pub window: Duration,
}

impl Rate {
    /// Begins with a container, which has used nothing yet.
    pub fn begin(at: Duration) -> Self {
        Self {
            before: None,
            latest: Reading {
                at,
                cpu: Duration::ZERO,
                memory: 0,
                requests: 0,
            },
        }
    }

    /// Takes the next reading. One of the same moment as the last replaces it.
    pub fn take(&mut self, reading: Reading) {
        if reading.at > self.latest.at {
            self.before = Some(self.latest);
        }
        self.latest = reading;
    }

    /// Processor time in all.
    pub fn total(&self) -> Duration {
        self.latest.cpu
    }

    /// What is used; nothing is known before the second reading.
    pub fn now(&self) -> Option<Use> {
        let before = self.before?;
        let window = self.latest.at.checked_sub(before.at)?;
        let used = self.latest.cpu.saturating_sub(before.cpu);
        let nano_cores = (used.as_nanos() * 1_000_000_000).checked_div(window.as_nanos())?;
        let requests = self.latest.requests.saturating_sub(before.requests);
        let requests = u128::from(requests) * 1_000_000_000_000;
        let milli_requests = requests.div_ceil(window.as_nanos());
        Some(Use {
            nano_cores: u64::try_from(nano_cores).unwrap_or(u64::MAX),
            milli_requests: u64::try_from(milli_requests).unwrap_or(u64::MAX),
            memory: self.latest.memory,
            window,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn reading(at: u64, cpu: u64) -> Reading {
        Reading {
            at: Duration::from_millis(at),
            cpu: Duration::from_millis(cpu),
            memory: at,
            requests: cpu,
        }
    }

    #[test]
    fn a_rate_is_of_the_last_window_alone() {
        let mut rate = Rate::begin(Duration::ZERO);
        assert_eq!(rate.now(), None);
        rate.take(reading(10_000, 5_000));
        assert_eq!(rate.now().unwrap().nano_cores, 500_000_000);
        rate.take(reading(20_000, 5_100));
        let used = rate.now().unwrap();
        assert_eq!((used.nano_cores, used.memory), (10_000_000, 20_000));
        assert_eq!(used.milli_requests, 10_000, "100 in ten seconds");
        assert_eq!(used.window, Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn no_history_panics_or_divides_by_nothing(history in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..20)) {
            let mut rate = Rate::begin(Duration::ZERO);
            for (at, cpu) in history {
                rate.take(reading(at, cpu));
                let _maybe = rate.now();
            }
        }
    }
}
