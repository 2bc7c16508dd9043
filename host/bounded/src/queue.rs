//! Records that wait for their delivery: bounded, and sharded by thread, so that callers rarely meet at a lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

const SHARDS: usize = 8;
/// Delivered records that a shard keeps, so that the next ones reuse their memory.
const FREE: usize = 64;

/// Which record is lost when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The one that would be added.
    #[default]
    DropNewest,
    /// The oldest of those that the same thread has added; if there is none, the one that would be added.
    DropOldest,
}

/// How many records may wait, and what happens to more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTerms {
    /// So many.
    pub limit: usize,
    /// Which one is lost.
    pub overflow: Overflow,
}

impl Default for QueueTerms {
    /// Two thousand records: twenty batches.
    fn default() -> Self {
        Self {
            limit: 2000,
            overflow: Overflow::default(),
        }
    }
}

/// Records that wait. Each is filled where one that was delivered stood, or in a copy of an empty one.
pub struct Queue<R> {
    terms: QueueTerms,
    empty: R,
    waiting: AtomicUsize,
    shards: [Mutex<Shard<R>>; SHARDS],
}

struct Shard<R> {
    records: VecDeque<R>,
    free: Vec<R>,
}

impl<R> Default for Shard<R> {
    fn default() -> Self {
        Self {
            records: VecDeque::new(),
            free: Vec::new(),
        }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits, together with this many others and itself.
    Waiting(usize),
    /// It waits; an older one was lost for it.
    ForOldest,
    /// It was lost.
    Lost,
}

impl<R: Clone> Queue<R> {
    /// None waits yet; `empty` is what is filled.
    pub fn new(terms: QueueTerms, empty: R) -> Self {
        Self {
            terms,
            empty,
            waiting: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Records that may wait.
    pub fn limit(&self) -> usize {
        self.terms.limit
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records that wait.
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Adds a record, which `fill` writes into memory that a delivered one may have left.
    ///
    /// # Errors
    /// Those of `fill`; the record takes no place then.
    pub fn push<E>(&self, fill: impl FnOnce(&mut R) -> Result<(), E>) -> Result<Pushed, E> {
        let mut shard = self.shards[home() % SHARDS].lock();
        let full = self.len() >= self.terms.limit;
        let place = match (full, self.terms.overflow) {
            (false, _) => shard.free.pop(),
            (true, Overflow::DropOldest) => shard.records.pop_front(),
            (true, Overflow::DropNewest) => None,
        };
        if full && place.is_none() {
            return Ok(Pushed::Lost);
        }
        let mut record = place.unwrap_or_else(|| self.empty.clone());
        if let Err(error) = fill(&mut record) {
            self.waiting.fetch_sub(usize::from(full), Ordering::AcqRel);
            return Err(error);
        }
        shard.records.push_back(record);
        Ok(match full {
            true => Pushed::ForOldest,
            false => Pushed::Waiting(self.waiting.fetch_add(1, Ordering::AcqRel) + 1),
        })
    }

    /// Takes up to `most` records.
    pub fn take(&self, most: usize) -> Vec<R> {
        let mut taken = Vec::with_capacity(most.min(self.len()));
        for shard in &self.shards {
            let mut shard = shard.lock();
            let count = shard.records.len().min(most - taken.len());
            taken.extend(shard.records.drain(..count));
        }
        self.waiting.fetch_sub(taken.len(), Ordering::AcqRel);
        taken
    }

    /// Gives the memory of delivered records back.
    pub fn recycle(&self, records: Vec<R>) {
        let mut shards = self.shards.iter().cycle();
        let mut rest = records.into_iter();
        for shard in shards.by_ref().take(SHARDS) {
            let mut shard = shard.lock();
            let room = FREE.saturating_sub(shard.free.len());
            shard.free.extend(rest.by_ref().take(room));
        }
    }
}

/// The shard of a thread.
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HOME.with(|home| *home)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn queue(limit: usize, overflow: Overflow) -> Queue<u32> {
        Queue::new(QueueTerms { limit, overflow }, 0)
    }

    fn push(queue: &Queue<u32>, number: u32) -> Pushed {
        queue
            .push(|place| {
                *place = number;
                Ok::<(), ()>(())
            })
            .unwrap()
    }

    #[test]
    fn a_full_queue_loses_the_newest_or_the_oldest() {
        let newest = queue(2, Overflow::DropNewest);
        assert_eq!(
            [push(&newest, 1), push(&newest, 2), push(&newest, 3)],
            [Pushed::Waiting(1), Pushed::Waiting(2), Pushed::Lost]
        );
        assert_eq!(newest.take(9), [1, 2]);
        let oldest = queue(2, Overflow::DropOldest);
        (1..=5).for_each(|number| {
            push(&oldest, number);
        });
        assert_eq!((oldest.len(), oldest.take(9)), (2, vec![4, 5]));
    }

    #[test]
    fn a_record_that_cannot_be_filled_takes_no_place() {
        for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
            let queue = queue(1, overflow);
            assert!(queue.push(|_| Err(())).is_err());
            assert_eq!(queue.len(), 0);
            push(&queue, 1);
            let _lost_or_failed = queue.push(|_| Err(()));
            let waiting = queue.len();
            assert_eq!(queue.take(9).len(), waiting, "{overflow:?}");
        }
    }

    #[test]
    fn threads_together_stay_within_the_limit_and_lose_nothing_else() {
        let queue = queue(1_000_000, Overflow::DropNewest);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1000 {
                        push(&queue, number);
                    }
                });
            }
        });
        let mut taken = 0;
        while !queue.is_empty() {
            let batch = queue.take(100);
            assert!(batch.len() <= 100);
            taken += batch.len();
            queue.recycle(batch);
        }
        assert_eq!(taken, 4000);
        let kept: usize = queue
            .shards
            .iter()
            .map(|shard| shard.lock().free.len())
            .sum();
        assert!(kept <= SHARDS * FREE, "{kept}");
    }
}
