//! Answers that may be repeated: bounded, keyed by the built record and nothing else, for as long and as often as the plugin says.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const SHARDS: usize = 16;
/// Answers in one generation of one shard; two generations live.
const PER_GENERATION: usize = 512;
/// Longest key that is worth keeping.
const MAX_KEY: usize = 4_096;
/// Longest time that any answer is repeated.
const MAX_TIME: Duration = Duration::from_secs(3600);

/// How long and how often an answer may be repeated for the same question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// None: not at all.
    pub time: Option<Duration>,
    /// None: without bound.
    pub uses: Option<u32>,
}

/// The answers to one asker. Costs nothing until there is a first answer with a validity.
pub struct Cache<A> {
    used: AtomicBool,
    hasher: RandomState,
    shards: [Mutex<Shard<A>>; SHARDS],
}

/// Two generations: what is asked for again moves to the young one, the old one is forgotten whole.
struct Shard<A> {
    young: HashMap<Box<[u8]>, Cached<A>>,
    old: HashMap<Box<[u8]>, Cached<A>>,
}

impl<A> Default for Shard<A> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

struct Cached<A> {
    answer: Arc<A>,
    expires: Instant,
    uses: Option<u32>,
}

impl<A> Default for Cache<A> {
    fn default() -> Self {
        Self {
            used: AtomicBool::new(false),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<A: Clone> Cache<A> {
    /// True once an answer was kept.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard<A>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The answer for a key, if it still holds; one use is taken.
    pub fn get(&self, key: &[u8], now: Instant) -> Option<Arc<A>> {
        let mut shard = self.shard(key).lock();
        if !shard.young.contains_key(key) {
            let (key, cached) = shard.old.remove_entry(key)?;
            shard.insert(key, cached);
        }
        let cached = shard.young.get_mut(key)?;
        if cached.expires <= now || cached.uses == Some(0) {
            shard.young.remove(key);
            return None;
        }
        cached.uses = cached.uses.map(|uses| uses - 1);
        Some(cached.answer.clone())
    }

    /// Keeps an answer, if it says that it holds for a time.
    pub fn put(&self, key: &[u8], answer: &A, validity: Validity, now: Instant) {
        let Some(time) = validity.time.filter(|time| !time.is_zero()) else {
            return;
        };
        self.used.store(true, Ordering::Relaxed);
        if key.len() > MAX_KEY || validity.uses == Some(0) {
            return;
        }
        let cached = Cached {
            answer: Arc::new(answer.clone()),
            expires: now + time.min(MAX_TIME),
            // The call that brought the answer was its first use.
            uses: validity.uses.map(|uses| uses - 1),
        };
        self.shard(key).lock().insert(key.into(), cached);
    }
}

impl<A> Shard<A> {
    fn insert(&mut self, key: Box<[u8]>, cached: Cached<A>) {
        if self.young.len() >= PER_GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, cached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(uses: Option<u32>) -> Validity {
        Validity {
            time: Some(Duration::from_secs(10)),
            uses,
        }
    }

    #[test]
    fn an_answer_holds_for_its_time_and_its_uses() {
        let (cache, start) = (Cache::default(), Instant::now());
        assert!(!cache.is_used());
        cache.put(b"k", &1, validity(None), start);
        assert!(cache.is_used());
        assert!(cache.get(b"k", start + Duration::from_secs(9)).is_some());
        assert!(cache.get(b"k", start + Duration::from_secs(10)).is_none());
        cache.put(b"k", &1, validity(Some(3)), start);
        let hits = (0..9).filter(|_| cache.get(b"k", start).is_some()).count();
        assert_eq!(hits, 2, "the first use was the call itself");
    }

    #[test]
    fn without_a_validity_nothing_is_kept() {
        let cache = Cache::default();
        cache.put(b"k", &1, Validity::default(), Instant::now());
        assert!(!cache.is_used() && cache.get(b"k", Instant::now()).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_asked_for() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(b"hot", &1, validity(None), now);
        for n in 0..100_000_u32 {
            cache.put(&n.to_le_bytes(), &1, validity(None), now);
            if n % 100 == 0 {
                assert!(cache.get(b"hot", now).is_some(), "{n}");
            }
        }
        let kept: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock();
                shard.young.len() + shard.old.len()
            })
            .sum();
        assert!(kept <= SHARDS * PER_GENERATION * 2, "{kept}");
    }
}
