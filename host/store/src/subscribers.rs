//! Who is told of which changes. Each subscriber has a queue bounded by count and by bytes; one that is full is closed,
//! never waited for, so that a slow reader cannot hold up a write.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::entry::Event;
use super::error::StoreError;

/// The most events that wait for one subscriber.
pub(super) const EVENTS: usize = 1024;
/// The most bytes of events that wait for one subscriber.
const BYTES: usize = 16 << 20;
/// The most subscribers.
const SUBSCRIBERS: usize = 20_000;

/// What a subscriber and its queue tell each other beside the events.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    overflowed: AtomicBool,
}

impl Backlog {
    /// Says that an event was taken out of the queue.
    pub(super) fn taken(&self, event: &Event) {
        self.bytes.fetch_sub(event.weight(), Ordering::Relaxed);
    }

    /// True when the subscriber was closed because it did not keep up.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire)
    }
}

/// The subscriber's end of its queue.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) queue: mpsc::Receiver<Arc<Event>>,
    pub(super) backlog: Arc<Backlog>,
}

struct Subscriber {
    id: u64,
    queue: mpsc::Sender<Arc<Event>>,
    backlog: Arc<Backlog>,
}

/// Every subscriber, by the prefix it watches.
#[derive(Default)]
pub(super) struct Subscribers {
    by_prefix: HashMap<Arc<str>, Vec<Subscriber>>,
    count: usize,
    next: u64,
}

impl Subscribers {
    /// Adds one that hears of every later change under `prefix`.
    pub(super) fn add(&mut self, prefix: &Arc<str>) -> Result<Subscription, StoreError> {
        if self.count >= SUBSCRIBERS {
            return Err(StoreError::TooManyWatches { limit: SUBSCRIBERS });
        }
        let (sender, queue) = mpsc::channel(EVENTS);
        let (id, backlog) = (self.next, Arc::<Backlog>::default());
        let subscriber = Subscriber {
            id,
            queue: sender,
            backlog: Arc::clone(&backlog),
        };
        self.by_prefix
            .entry(Arc::clone(prefix))
            .or_default()
            .push(subscriber);
        self.count += 1;
        self.next += 1;
        Ok(Subscription { id, queue, backlog })
    }

    /// Forgets one, whether or not it was closed before.
    pub(super) fn remove(&mut self, prefix: &str, id: u64) {
        if let Some(subscribers) = self.by_prefix.get_mut(prefix) {
            let before = subscribers.len();
            subscribers.retain(|subscriber| subscriber.id != id);
            self.count -= before - subscribers.len();
            if subscribers.is_empty() {
                self.by_prefix.remove(prefix);
            }
        }
    }

    /// Hands the event to everyone whom it concerns. They are found by each prefix that its key has: how many others watch, and what,
    /// costs nothing.
    pub(super) fn tell(&mut self, event: &Arc<Event>) {
        let key: &str = &event.key;
        let ends = key.char_indices().map(|(end, _)| end).chain([key.len()]);
        for prefix in ends.filter_map(|end| key.get(..end)) {
            let Some(subscribers) = self.by_prefix.get_mut(prefix) else {
                continue;
            };
            let before = subscribers.len();
            subscribers.retain(|subscriber| subscriber.offer(event));
            self.count -= before - subscribers.len();
            if subscribers.is_empty() {
                self.by_prefix.remove(prefix);
            }
        }
    }

    /// Closes every queue as if its reader had not kept up.
    pub(super) fn overflow(&mut self) {
        for subscriber in self.by_prefix.values().flatten() {
            subscriber.backlog.overflowed.store(true, Ordering::Release);
        }
        self.close();
    }

    /// Closes every queue: each subscriber reads what is in its queue and then learns that there is no more.
    pub(super) fn close(&mut self) {
        self.by_prefix.clear();
        self.count = 0;
    }
}

impl Subscriber {
    /// False when the subscriber is gone or was closed for being slow.
    fn offer(&self, event: &Arc<Event>) -> bool {
        let weight = event.weight();
        let held = self.backlog.bytes.fetch_add(weight, Ordering::Relaxed);
        // One event alone always fits, however large.
        let full = held > 0 && held + weight > BYTES;
        if !full && self.queue.try_send(Arc::clone(event)).is_ok() {
            return true;
        }
        self.backlog.overflowed.store(true, Ordering::Release);
        false
    }
}
