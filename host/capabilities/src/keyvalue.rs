//! The counters of plugins (`osier:policy/counters`), as whoever keeps them offers them.

use std::sync::Arc;
use std::time::Duration;

/// Counters that outlive an instance. Every function is atomic, and bounded in the time that it waits.
pub trait KeyValue: Send + Sync {
    /// The value of a counter; none if it does not exist or has expired.
    ///
    /// # Errors
    /// See [`KeyValueError`].
    fn get(&self, bucket: &str, key: &str) -> Result<Option<i64>, KeyValueError>;

    /// Adds `delta` and returns the new value. A new counter lives for `ttl` from its first increment.
    ///
    /// # Errors
    /// See [`KeyValueError`].
    fn increment(
        &self,
        bucket: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, KeyValueError>;

    /// Takes tokens from a bucket that starts full and refills continuously.
    ///
    /// # Errors
    /// See [`KeyValueError`].
    fn take(
        &self,
        bucket: &str,
        key: &str,
        amount: u64,
        terms: Terms,
        best_effort: bool,
    ) -> Result<Taken, KeyValueError>;

    /// The counters' own clock, in nanoseconds since 1970.
    fn now(&self) -> u64;
}

/// Where counters are kept: on the node, or where nodes share them.
pub trait CounterStore: Send + Sync {
    /// The counters of one Plugin object (`NAMESPACE/NAME`), in the buckets that it is granted.
    fn granted(&self, plugin: &str, buckets: Vec<String>) -> Arc<dyn KeyValue>;
}

/// The terms of a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Tokens that a full bucket holds.
    pub capacity: u64,
    /// Tokens that flow back in each interval.
    pub refill: u64,
    /// The interval, in nanoseconds.
    pub interval: u64,
}

/// What [`KeyValue::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Tokens taken: the amount wanted, or zero (with best effort: anything between).
    pub amount: u64,
    /// Whole tokens left.
    pub remaining: u64,
    /// Nanoseconds until the amount wanted could be taken; zero if it was.
    pub retry_after: u64,
}

/// Why a counter could not be used (`osier:policy/counters.error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// The bucket is not in the plugin's grants.
    #[error("the bucket is not granted")]
    NotGranted,
    /// The node holds as many live counters as it may.
    #[error("too many counters")]
    Full,
    /// The backend does not answer.
    #[error("the counters are unavailable")]
    Unavailable,
}
