//! The host capability `osier:policy/counters`, as the host implements it.

use super::instance::Host;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum KeyValueError {
    /// The bucket is not in the plugin's grants.
    #[error("the bucket is not granted")]
    #[component(name = "not-granted")]
    NotGranted,
    /// The node holds as many live counters as it may.
    #[error("too many counters")]
    #[component(name = "full")]
    Full,
    /// The backend does not answer.
    #[error("the counters are unavailable")]
    #[component(name = "unavailable")]
    Unavailable,
}

/// Start of the interface's name; any version of its track links.
pub(super) const INTERFACE: &str = "osier:policy/counters@";
const LINKED: &str = "osier:policy/counters@0.1.0";

/// `osier:policy/counters.terms`.
#[derive(Clone, Copy, ComponentType, Lift)]
#[component(record)]
struct WireTerms {
    capacity: u64,
    refill: u64,
    interval: u64,
}

/// `osier:policy/counters.taken`.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct WireTaken {
    amount: u64,
    remaining: u64,
    #[component(name = "retry-after")]
    retry_after: u64,
}

type Wire<T> = (Result<T, KeyValueError>,);
type Asked<'a> = StoreContextMut<'a, Host>;

/// Links the interface; the counters themselves are in each store.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut counters = linker.instance(LINKED)?;
    counters.func_wrap(
        "get",
        |host: Asked<'_>, (bucket, key): (String, String)| -> wasmtime::Result<Wire<Option<i64>>> {
            Ok(answer(host, |counters| counters.get(&bucket, &key)))
        },
    )?;
    counters.func_wrap(
        "increment",
        |host: Asked<'_>,
         (bucket, key, delta, ttl): (String, String, i64, Option<u64>)|
         -> wasmtime::Result<Wire<i64>> {
            let ttl = ttl.map(Duration::from_nanos);
            Ok(answer(host, |counters| {
                counters.increment(&bucket, &key, delta, ttl)
            }))
        },
    )?;
    counters.func_wrap(
        "take",
        |host: Asked<'_>,
         (bucket, key, amount, terms, best): (String, String, u64, WireTerms, bool)|
         -> wasmtime::Result<Wire<WireTaken>> {
            let WireTerms {
                capacity,
                refill,
                interval,
            } = terms;
            let terms = Terms {
                capacity,
                refill,
                interval,
            };
            let (taken,) = answer(host, |counters| {
                counters.take(&bucket, &key, amount, terms, best)
            });
            let wire = |Taken {
                            amount,
                            remaining,
                            retry_after,
                        }| WireTaken {
                amount,
                remaining,
                retry_after,
            };
            Ok((taken.map(wire),))
        },
    )?;
    counters.func_wrap(
        "now",
        |host: Asked<'_>, (): ()| -> wasmtime::Result<(u64,)> {
            Ok((host.data().counters().map_or(0, |counters| counters.now()),))
        },
    )
}

/// Asks the counters of the store. Where they are lost, whoever called the guest learns it too.
fn answer<T>(
    mut host: Asked<'_>,
    ask: impl FnOnce(&dyn KeyValue) -> Result<T, KeyValueError>,
) -> Wire<T> {
    let counters = host.data().counters().ok_or(KeyValueError::NotGranted);
    let answered = counters.and_then(|counters| ask(counters.as_ref()));
    if matches!(answered, Err(KeyValueError::Unavailable)) {
        host.data_mut().lose_counters();
    }
    (answered,)
}
