//! The work queue: a key waits at most once, is never worked on twice at once, and comes back
//! after its own growing delay when the work failed. Keys of a lower rank are taken first, and of equal rank the oldest.
//! Bounded by the number of distinct keys.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// A deduplicating queue of keys, shared by clones.
#[derive(Debug)]
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    wake: Notify,
    backoff: Backoff,
}

#[derive(Debug)]
struct State<K> {
    /// Ready to be taken, by rank and then by age. Every key here is in `waiting`.
    ready: BTreeMap<(i64, u64), K>,
    rank: fn(&K) -> i64,
    waiting: HashSet<K>,
    /// Being worked on. A key added meanwhile goes to `again`.
    working: HashSet<K>,
    again: HashSet<K>,
    /// Due later; a key may stand here several times, the earliest wins.
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed_keys: HashMap<u64, K>,
    earliest: HashMap<K, Instant>,
    sequence: u64,
    failures: HashMap<K, u32>,
    closed: bool,
}

/// A key that is being worked on; nobody else gets it until this is finished or dropped.
#[derive(Debug)]
pub struct Taken<K: Clone + Eq + Hash + Debug> {
    key: K,
    queue: WorkQueue<K>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Clone + Eq + Hash + Debug> WorkQueue<K> {
    /// An empty queue whose failed keys come back by `backoff`; the oldest key is taken first.
    pub fn new(backoff: Backoff) -> Self {
        Self::ranked(backoff, |_| 0)
    }

    /// The same, where a key of a lower `rank` is taken before those of a higher one, however old.
    pub fn ranked(backoff: Backoff, rank: fn(&K) -> i64) -> Self {
        let state = State {
            ready: BTreeMap::new(),
            rank,
            waiting: HashSet::new(),
            working: HashSet::new(),
            again: HashSet::new(),
            delayed: BinaryHeap::new(),
            delayed_keys: HashMap::new(),
            earliest: HashMap::new(),
            sequence: 0,
            failures: HashMap::new(),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                wake: Notify::new(),
                backoff,
            }),
        }
    }

    /// Adds a key; nothing happens if it waits already.
    pub fn add(&self, key: K) {
        self.shared.state.lock().add(key);
        self.shared.wake.notify_one();
    }

    /// Adds a key after `delay`; the earlier of two delays wins.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.shared.state.lock().delay(key, Instant::now() + delay);
        self.shared.wake.notify_one();
    }

    /// The next key, or `None` once the queue is closed. Cancel safe.
    pub async fn take(&self) -> Option<Taken<K>> {
        loop {
            let wake = self.shared.wake.notified();
            let next_due = {
                let mut state = self.shared.state.lock();
                if state.closed {
                    return None;
                }
                state.release_due(Instant::now());
                if let Some(key) = state.start() {
                    if !state.ready.is_empty() {
                        self.shared.wake.notify_one();
                    }
                    return Some(Taken {
                        key,
                        queue: self.clone(),
                    });
                }
                state.delayed.peek().map(|Reverse((at, _))| *at)
            };
            match next_due {
                Some(at) => tokio::select! {
                    () = wake => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => wake.await,
            }
        }
    }

    /// Wakes every taker with `None`; later additions are ignored.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_waiters();
        self.shared.wake.notify_one();
    }

    /// Keys ready or delayed; for metrics and tests.
    pub fn len(&self) -> usize {
        let state = self.shared.state.lock();
        state.ready.len() + state.earliest.len()
    }

    /// Nothing ready and nothing delayed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn finish(&self, key: &K) {
        self.shared.state.lock().finish(key);
        self.shared.wake.notify_one();
    }
}

impl<K: Clone + Eq + Hash + Debug> State<K> {
    fn add(&mut self, key: K) {
        if self.closed {
            return;
        }
        if self.working.contains(&key) {
            self.again.insert(key);
        } else if self.waiting.insert(key.clone()) {
            self.sequence += 1;
            self.ready.insert(((self.rank)(&key), self.sequence), key);
        }
    }

    fn delay(&mut self, key: K, at: Instant) {
        if self.closed || self.earliest.get(&key).is_some_and(|sooner| *sooner <= at) {
            return;
        }
        self.earliest.insert(key.clone(), at);
        self.sequence += 1;
        self.delayed.push(Reverse((at, self.sequence)));
        self.delayed_keys.insert(self.sequence, key);
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied() {
            if at > now {
                break;
            }
            self.delayed.pop();
            let Some(key) = self.delayed_keys.remove(&id) else {
                continue;
            };
            // An entry that a sooner one replaced is stale: its key has been released already.
            if self.earliest.get(&key) == Some(&at) {
                self.earliest.remove(&key);
                self.add(key);
            }
        }
    }

    fn start(&mut self) -> Option<K> {
        let (_, key) = self.ready.pop_first()?;
        self.waiting.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }

    fn finish(&mut self, key: &K) {
        self.working.remove(key);
        if self.again.remove(key) {
            self.add(key.clone());
        }
    }

    fn count_failure(&mut self, key: &K) -> u32 {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        *failures = failures.saturating_add(1);
        *failures
    }
}

impl<K: Clone + Eq + Hash + Debug> Taken<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The work is done: the count of failures starts again.
    pub fn succeed(self) {
        self.queue.shared.state.lock().failures.remove(&self.key);
    }

    /// The work failed: the key comes back after its own back-off, whose length is returned.
    pub fn retry(self) -> Duration {
        let mut state = self.queue.shared.state.lock();
        let failures = state.count_failure(&self.key);
        let delay = self.queue.shared.backoff.after(failures);
        state.delay(self.key.clone(), Instant::now() + delay);
        drop(state);
        delay
    }

    /// The work is done for now and wants to be repeated after `delay`.
    pub fn again_after(self, delay: Duration) {
        self.queue.add_after(self.key.clone(), delay);
        self.succeed();
    }
}

impl<K: Clone + Eq + Hash + Debug> Drop for Taken<K> {
    fn drop(&mut self) {
        self.queue.finish(&self.key);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
