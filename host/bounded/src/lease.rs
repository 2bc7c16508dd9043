//! Allowances that were granted in advance: more than a call wanted, for a time, to be handed out to calls that are like it without asking again.
//!
//! What was leased is taken from the allowance already, so that no more is handed out than was granted, whoever else asks. What is left when the time is over
//! is lost: in doubt the allowance is smaller, not larger.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const SHARDS: usize = 16;
/// Leases of one shard; what finds no room is lost.
const PER_SHARD: usize = 1024;
/// Longest key that is worth keeping.
const MAX_KEY: usize = 4_096;
/// Longest time that anything is leased for.
const MAX_TIME: Duration = Duration::from_secs(3600);

/// Leases by what they are for.
type Shard<T> = HashMap<Box<[u8]>, Lease<T>>;

/// The leases of one asker, each with what came along with its grant. Costs nothing until there is a first one.
pub struct Leases<T> {
    used: AtomicBool,
    hasher: RandomState,
    shards: [Mutex<Shard<T>>; SHARDS],
}

struct Lease<T> {
    left: u64,
    ends: Instant,
    along: T,
}

impl<T> Lease<T> {
    fn holds(&self, now: Instant) -> bool {
        self.left > 0 && now < self.ends
    }
}

impl<T> Default for Leases<T> {
    fn default() -> Self {
        Self {
            used: AtomicBool::new(false),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T: Clone> Leases<T> {
    /// True once something was leased.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &[u8]) -> &Mutex<Shard<T>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// Takes an amount from a lease, if there is so much; what came along with the lease comes back.
    pub fn take(&self, key: &[u8], amount: u64, now: Instant) -> Option<T> {
        let mut shard = self.shard(key).lock();
        let lease = shard.get_mut(key)?;
        if !lease.holds(now) {
            shard.remove(key);
            return None;
        }
        lease.left = lease.left.checked_sub(amount)?;
        Some(lease.along.clone())
    }

    /// Keeps what was granted and not wanted yet. Of two leases for one key the sum is kept, until the first of them ends.
    pub fn keep(&self, key: &[u8], (left, time): (u64, Duration), along: T, now: Instant) {
        if left == 0 || time.is_zero() || key.len() > MAX_KEY {
            return;
        }
        self.used.store(true, Ordering::Relaxed);
        let ends = now + time.min(MAX_TIME);
        let mut shard = self.shard(key).lock();
        if let Some(lease) = shard.get_mut(key).filter(|lease| lease.holds(now)) {
            lease.left = lease.left.saturating_add(left);
            lease.ends = lease.ends.min(ends);
            lease.along = along;
            return;
        }
        if shard.len() >= PER_SHARD {
            shard.retain(|_, lease| lease.holds(now));
        }
        if shard.len() < PER_SHARD {
            shard.insert(key.into(), Lease { left, ends, along });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lease_is_handed_out_in_parts_until_it_is_used_up() {
        let (leases, now) = (Leases::default(), Instant::now());
        assert!(!leases.is_used());
        leases.keep(b"a", (10, SECOND), "ten", now);
        assert!(leases.is_used());
        let took = |amount| leases.take(b"a", amount, now);
        assert_eq!(
            [took(4), took(7), took(6), took(1)],
            [Some("ten"), None, Some("ten"), None]
        );
        assert_eq!(leases.take(b"b", 1, now), None, "each key has its own");
    }

    #[test]
    fn what_is_left_when_the_time_is_over_is_lost() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.keep(b"a", (10, SECOND), (), now);
        assert!(leases.take(b"a", 1, now + SECOND / 2).is_some());
        assert!(leases.take(b"a", 1, now + SECOND).is_none());
        leases.keep(b"a", (10, Duration::from_secs(86_400)), (), now);
        assert!(leases.take(b"a", 1, now + MAX_TIME).is_none());
    }

    #[test]
    fn two_leases_of_one_key_add_up_until_the_first_ends() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.keep(b"a", (3, SECOND), "one", now);
        leases.keep(b"a", (4, SECOND * 9), "other", now);
        assert_eq!(leases.take(b"a", 7, now), Some("other"));
        leases.keep(b"a", (3, SECOND), "one", now);
        leases.keep(b"a", (4, SECOND * 9), "other", now);
        assert_eq!(leases.take(b"a", 1, now + SECOND), None);
    }

    #[test]
    fn no_more_is_handed_out_than_was_leased_however_many_ask() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.keep(b"a", (1000, SECOND), (), now);
        let taken: usize = std::thread::scope(|scope| {
            let each = || {
                (0..1000)
                    .filter(|_| leases.take(b"a", 1, now).is_some())
                    .count()
            };
            let threads = [scope.spawn(each), scope.spawn(each), scope.spawn(each)];
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .sum()
        });
        assert_eq!(taken, 1000);
    }

    #[test]
    fn the_number_of_leases_is_bounded_and_ended_ones_make_room() {
        let (leases, now) = (Leases::default(), Instant::now());
        let kept = |leases: &Leases<()>| -> usize {
            leases.shards.iter().map(|shard| shard.lock().len()).sum()
        };
        for key in 0..100_000_u32 {
            leases.keep(&key.to_le_bytes(), (1, SECOND), (), now);
        }
        assert_eq!(kept(&leases), SHARDS * PER_SHARD);
        let later = now + SECOND;
        leases.keep(b"new", (1, SECOND), (), later);
        assert!(leases.take(b"new", 1, later).is_some());
    }
}
