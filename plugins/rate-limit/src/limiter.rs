//! The three algorithms, over whatever counts.

use std::time::Duration;

use osier_plugin::counters::{Error, Taken, Terms};
use osier_plugin::serde::Deserialize;

/// What the algorithms need of the host's counters.
pub(crate) trait Counters {
    /// Adds, and returns the new value; a new counter lives for `ttl`.
    fn increment(&self, key: &str, delta: i64, ttl: Duration) -> Result<i64, Error>;
    /// The value, zero if there is none.
    fn get(&self, key: &str) -> Result<i64, Error>;
    /// Takes from a token bucket.
    fn take(&self, key: &str, amount: u64, terms: Terms, best_effort: bool)
    -> Result<Taken, Error>;
    /// The counters' clock.
    fn now(&self) -> Duration;
}

/// How a limit is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(crate = "osier_plugin::serde", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Algorithm {
    /// A bucket of `burst` tokens that refills evenly: smooth, with a bounded burst.
    #[default]
    TokenBucket,
    /// Counts in windows that start on the clock: cheapest, lets up to twice the limit through around a boundary.
    FixedWindow,
    /// The count of this window and a share of the last one: close to exact at any moment.
    SlidingWindow,
}

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) amount: u64,
    pub(crate) window: Duration,
    pub(crate) burst: u64,
}

impl Limit {
    pub(crate) fn new(
        path: &str,
        amount: u64,
        window: Duration,
        burst: Option<u64>,
    ) -> Result<Self, String> {
        if amount == 0 || i64::try_from(amount).is_err() {
            return Err(format!(
                "{path}limit: {amount} is out of range; use at least 1"
            ));
        }
        if window < Duration::from_millis(1) {
            return Err(format!("{path}window: must be at least 1ms"));
        }
        if burst == Some(0) {
            return Err(format!("{path}burst: must be at least 1"));
        }
        Ok(Self {
            amount,
            window,
            burst: burst.unwrap_or(amount),
        })
    }

    /// The headers that tell a client where it stands.
    pub(crate) fn headers(self, remaining: u64) -> Vec<(String, String)> {
        vec![
            ("x-ratelimit-limit".into(), self.amount.to_string()),
            ("x-ratelimit-remaining".into(), remaining.to_string()),
        ]
    }
}

impl Algorithm {
    /// How long what is taken now still counts: in windows, until the next one.
    pub(crate) fn left(self, counters: &impl Counters, limit: Limit) -> Duration {
        match self {
            Algorithm::TokenBucket => Duration::MAX,
            _ => Window::at(counters.now(), limit.window).until_next(),
        }
    }

    pub(crate) fn take(
        self,
        counters: &impl Counters,
        key: &str,
        amount: u64,
        best_effort: bool,
        limit: Limit,
    ) -> Result<Taken, Error> {
        if self == Algorithm::TokenBucket {
            let terms = Terms {
                capacity: limit.burst,
                refill: limit.amount,
                interval: limit.window,
            };
            return counters.take(key, amount, terms, best_effort);
        }
        let window = Window::at(counters.now(), limit.window);
        let carried = match self {
            Algorithm::SlidingWindow => {
                let last = counters.get(&window.key(key, 1))?.max(0);
                (last as f64 * window.left()).ceil() as u64
            }
            _ => 0,
        };
        let own = window.key(key, 0);
        // Added first and given back if it was too much: two callers at once can never both take the last one.
        let wanted = i64::try_from(amount).unwrap_or(i64::MAX);
        let after = counters.increment(&own, wanted, limit.window * 2)?.max(0) as u64;
        let used = after.saturating_add(carried).saturating_sub(amount);
        let free = limit.amount.saturating_sub(used);
        let granted = match amount <= free {
            true => amount,
            false if best_effort => free,
            false => 0,
        };
        if granted < amount {
            let back = i64::try_from(amount - granted).unwrap_or(i64::MAX);
            counters.increment(&own, -back, limit.window * 2)?;
        }
        let short = granted == 0 && amount > 0;
        Ok(Taken {
            amount: granted,
            remaining: free - granted,
            retry_after: if short {
                window.until_next()
            } else {
                Duration::ZERO
            },
        })
    }
}

/// A window cut by the clock.
#[derive(Clone, Copy)]
struct Window {
    index: u128,
    elapsed: Duration,
    length: Duration,
}

impl Window {
    fn at(now: Duration, length: Duration) -> Self {
        let nanos = length.as_nanos().max(1);
        let elapsed = u64::try_from(now.as_nanos() % nanos).unwrap_or(0);
        Self {
            index: now.as_nanos() / nanos,
            elapsed: Duration::from_nanos(elapsed),
            length,
        }
    }

    /// The counter of this window, or of one before it.
    fn key(self, key: &str, back: u128) -> String {
        format!("{}@{key}", self.index.saturating_sub(back))
    }

    /// The share of the last window that still counts.
    fn left(self) -> f64 {
        1.0 - self.elapsed.as_secs_f64() / self.length.as_secs_f64()
    }

    fn until_next(self) -> Duration {
        self.length.saturating_sub(self.elapsed)
    }
}
