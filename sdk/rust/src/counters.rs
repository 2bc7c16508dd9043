//! Counters of the host: shared by all instances of the node, atomic, gone when their time is over. Grant the bucket in the Plugin object:
//! `spec.grants.keyvalue: [BUCKET]`.

use std::time::Duration;

use crate::bindings::host::osier::policy::counters as host;

/// Why a counter could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bucket is not in the plugin's grants.
    NotGranted,
    /// The node holds as many live counters as it may.
    Full,
    /// The backend does not answer.
    Unavailable,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Error::NotGranted => "the bucket is not granted; add it to spec.grants.keyvalue",
            Error::Full => "the node holds as many counters as it may",
            Error::Unavailable => "the counters' backend does not answer",
        })
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::NotGranted => Error::NotGranted,
            host::Error::Full => Error::Full,
            host::Error::Unavailable => Error::Unavailable,
        }
    }
}

/// A token bucket's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Tokens that a full bucket holds.
    pub capacity: u64,
    /// Tokens that flow back in each interval.
    pub refill: u64,
    /// The interval.
    pub interval: Duration,
}

/// What [`Bucket::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Tokens taken.
    pub amount: u64,
    /// Whole tokens left.
    pub remaining: u64,
    /// Until the amount wanted could be taken; zero if it was.
    pub retry_after: Duration,
}

/// A granted namespace of counters.
#[derive(Clone, Debug)]
pub struct Bucket(String);

impl Bucket {
    /// Names a bucket; nothing is asked of the host yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The value of a counter; none if it does not exist or has expired.
    pub fn get(&self, key: &str) -> Result<Option<i64>, Error> {
        Ok(host::get(&self.0, key)?)
    }

    /// Adds `delta` and returns the new value. A new counter lives for `ttl` from its first increment.
    pub fn increment(&self, key: &str, delta: i64, ttl: Option<Duration>) -> Result<i64, Error> {
        Ok(host::increment(&self.0, key, delta, ttl.map(nanoseconds))?)
    }

    /// Takes tokens from a bucket that starts full and refills continuously.
    pub fn take(
        &self,
        key: &str,
        amount: u64,
        terms: Terms,
        best_effort: bool,
    ) -> Result<Taken, Error> {
        let terms = host::Terms {
            capacity: terms.capacity,
            refill: terms.refill,
            interval: nanoseconds(terms.interval),
        };
        let taken = host::take(&self.0, key, amount, terms, best_effort)?;
        Ok(Taken {
            amount: taken.amount,
            remaining: taken.remaining,
            retry_after: Duration::from_nanos(taken.retry_after),
        })
    }
}

/// The counters' own clock, since 1970.
#[must_use]
pub fn now() -> Duration {
    Duration::from_nanos(host::now())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
