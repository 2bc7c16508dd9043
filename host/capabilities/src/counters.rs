//! The node's counters: sharded, bounded, exact. One scope per Plugin object, so that two plugins never count into each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::keyvalue::{CounterStore, KeyValue, KeyValueError, Taken, Terms};

/// Shards; a power of two.
const SHARDS: usize = 64;
/// Live counters of one shard.
const PER_SHARD: usize = 16_384;
/// Longest key, in bytes.
const MAX_KEY: usize = 4_096;
/// Life of a counter that gives none, from its last increment.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);

/// All counters of a node. Clones share them.
#[derive(Clone)]
pub struct Counters(Arc<Store>);

/// Counters by scope, bucket and key.
type Shard = HashMap<Box<str>, Counter>;

struct Store {
    shards: Box<[Mutex<Shard>]>,
    per_shard: usize,
    hasher: RandomState,
}

struct Counter {
    state: State,
    expires: Instant,
}

#[derive(Clone, Copy)]
enum State {
    Count(i64),
    Tokens { level: f64, at: Instant },
}

impl Default for Counters {
    fn default() -> Self {
        Self::bounded(PER_SHARD)
    }
}

impl Counters {
    fn bounded(per_shard: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self(Arc::new(Store {
            shards,
            per_shard,
            hasher: RandomState::new(),
        }))
    }

    /// The counters of one Plugin object, in the buckets that it is granted.
    fn of(&self, plugin: &str, buckets: Vec<String>) -> Granted {
        Granted {
            counters: self.clone(),
            plugin: plugin.to_owned(),
            buckets,
        }
    }

    /// Runs `with` on a counter while its shard is locked.
    fn with<T>(
        &self,
        key: String,
        now: Instant,
        fresh: Counter,
        with: impl FnOnce(&mut Counter) -> T,
    ) -> Result<T, KeyValueError> {
        let hash = self.0.hasher.hash_one(&key) as usize;
        let mut shard = self.0.shards[hash % SHARDS].lock();
        if !shard.contains_key(key.as_str()) && shard.len() >= self.0.per_shard {
            shard.retain(|_, counter| counter.expires > now);
            if shard.len() >= self.0.per_shard {
                return Err(KeyValueError::Full);
            }
        }
        let counter = shard.entry(key.into()).or_insert(Counter {
            state: fresh.state,
            expires: fresh.expires,
        });
        if counter.expires <= now {
            *counter = fresh;
        }
        Ok(with(counter))
    }
}

impl CounterStore for Counters {
    fn granted(&self, plugin: &str, buckets: Vec<String>) -> Arc<dyn KeyValue> {
        Arc::new(self.of(plugin, buckets))
    }
}

/// The counters as one plugin sees them.
struct Granted {
    counters: Counters,
    plugin: String,
    buckets: Vec<String>,
}

impl Granted {
    fn key(&self, bucket: &str, key: &str) -> Result<String, KeyValueError> {
        if !self.buckets.iter().any(|granted| granted == bucket) {
            return Err(KeyValueError::NotGranted);
        }
        if key.len() > MAX_KEY {
            return Err(KeyValueError::Full);
        }
        Ok(format!("{}\u{0}{bucket}\u{0}{key}", self.plugin))
    }

    fn add(
        &self,
        key: String,
        now: Instant,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, KeyValueError> {
        let fresh = Counter {
            state: State::Count(0),
            expires: after(now, ttl.unwrap_or(DEFAULT_LIFE)),
        };
        self.counters.with(key, now, fresh, |counter| {
            let count = match counter.state {
                State::Count(count) => count.saturating_add(delta),
                State::Tokens { .. } => delta,
            };
            counter.state = State::Count(count);
            if ttl.is_none() {
                counter.expires = after(now, DEFAULT_LIFE);
            }
            count
        })
    }

    fn draw(
        &self,
        key: String,
        now: Instant,
        amount: u64,
        (terms, best_effort): (Terms, bool),
    ) -> Result<Taken, KeyValueError> {
        let (capacity, wanted) = (terms.capacity as f64, amount as f64);
        // Tokens per nanosecond.
        let rate = terms.refill as f64 / (terms.interval as f64).max(1.0);
        // A bucket that has had time to fill up is as good as new.
        let life = Duration::from_secs_f64((capacity / rate / 1e9).clamp(1.0, 86_400.0 * 365.0));
        let fresh = Counter {
            state: State::Tokens {
                level: capacity,
                at: now,
            },
            expires: after(now, life),
        };
        self.counters.with(key, now, fresh, |counter| {
            let level = match counter.state {
                State::Tokens { level, at } => {
                    let elapsed = now.saturating_duration_since(at).as_nanos() as f64;
                    (level + elapsed * rate).min(capacity)
                }
                State::Count(_) => capacity,
            };
            let granted = match level >= wanted {
                true => wanted,
                false if best_effort => level.floor().max(0.0),
                false => 0.0,
            };
            let left = level - granted;
            counter.state = State::Tokens {
                level: left,
                at: now,
            };
            counter.expires = after(now, life);
            let short = granted == 0.0 && amount > 0;
            Taken {
                amount: granted as u64,
                remaining: left.max(0.0) as u64,
                retry_after: if short {
                    ((wanted - left) / rate).ceil() as u64
                } else {
                    0
                },
            }
        })
    }
}

fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or_else(|| now + DEFAULT_LIFE)
}

impl KeyValue for Granted {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<i64>, KeyValueError> {
        let key = self.key(bucket, key)?;
        let store = &self.counters.0;
        let shard = store.shards[store.hasher.hash_one(&key) as usize % SHARDS].lock();
        let counter = shard
            .get(key.as_str())
            .filter(|counter| counter.expires > Instant::now());
        Ok(counter.map(|counter| match counter.state {
            State::Count(count) => count,
            State::Tokens { level, .. } => level as i64,
        }))
    }

    fn increment(
        &self,
        bucket: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, KeyValueError> {
        self.add(self.key(bucket, key)?, Instant::now(), delta, ttl)
    }

    fn take(
        &self,
        bucket: &str,
        key: &str,
        amount: u64,
        terms: Terms,
        best_effort: bool,
    ) -> Result<Taken, KeyValueError> {
        let key = self.key(bucket, key)?;
        self.draw(key, Instant::now(), amount, (terms, best_effort))
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn granted() -> Granted {
        Counters::default().of("default/a", vec!["b".into()])
    }

    #[test]
    fn a_counter_lives_from_its_first_increment() {
        let (counters, start) = (granted(), Instant::now());
        let second = Some(Duration::from_secs(1));
        let add = |at| {
            counters
                .add("k".into(), start + Duration::from_millis(at), 1, second)
                .unwrap()
        };
        assert_eq!(
            [add(0), add(900), add(999), add(1000), add(1001)],
            [1, 2, 3, 1, 2]
        );
    }

    #[test]
    fn only_granted_buckets_and_only_ones_own() {
        let store = Counters::default();
        let own = store.of("default/a", vec!["b".into()]);
        let other = store.of("default/c", vec!["b".into()]);
        assert_eq!(own.increment("b", "k", 5, None), Ok(5));
        assert_eq!(other.get("b", "k"), Ok(None));
        assert_eq!(own.get("b", "k"), Ok(Some(5)));
        assert_eq!(
            own.increment("x", "k", 1, None),
            Err(KeyValueError::NotGranted)
        );
    }

    #[test]
    fn a_token_bucket_starts_full_and_refills_evenly() {
        let (counters, start) = (granted(), Instant::now());
        let terms = Terms {
            capacity: 10,
            refill: 10,
            interval: 1_000_000_000,
        };
        let draw = |at, amount, best| {
            counters
                .draw(
                    "k".into(),
                    start + Duration::from_millis(at),
                    amount,
                    (terms, best),
                )
                .unwrap()
        };
        assert_eq!(
            draw(0, 10, false),
            Taken {
                amount: 10,
                remaining: 0,
                retry_after: 0
            }
        );
        let refused = draw(0, 1, false);
        assert_eq!((refused.amount, refused.retry_after), (0, 100_000_000));
        assert_eq!(draw(350, 1, false).amount, 1);
        assert_eq!(draw(350, 9, true).amount, 2);
        assert_eq!(draw(60_000, 1, false).remaining, 9);
    }

    #[test]
    fn concurrent_increments_lose_nothing() {
        let counters = Arc::new(granted());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        counters.increment("b", "k", 1, None).unwrap();
                    })
                });
            }
        });
        assert_eq!(counters.get("b", "k"), Ok(Some(4000)));
    }

    #[test]
    fn the_number_of_counters_is_bounded_and_dead_ones_make_room() {
        let counters = Counters::bounded(16).of("default/a", vec!["b".into()]);
        let start = Instant::now();
        let second = Some(Duration::from_secs(1));
        let add = |n: usize, at| {
            counters.add(format!("k{n}"), start + Duration::from_secs(at), 1, second)
        };
        let most = SHARDS * 16;
        let full = (0..most * 2).any(|n| add(n, 0) == Err(KeyValueError::Full));
        assert!(full);
        assert_eq!((0..100).filter(|n| add(*n, 2).is_err()).count(), 0);
    }
}
