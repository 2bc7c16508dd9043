//! Who is told of which changes. Each subscriber has a queue bounded by count and by bytes; one that is full is closed,
//! never waited for, so that a slow reader cannot hold up a write.

use std::collections::{BTreeMap, HashMap};
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

/// Of which keys a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Keys {
    /// Of those that begin so.
    Under(Arc<str>),
    /// Of this one.
    One(Arc<str>),
}

impl Keys {
    /// What they begin with.
    pub(super) fn prefix(&self) -> &Arc<str> {
        match self {
            Self::Under(text) | Self::One(text) => text,
        }
    }

    /// Whether a key, which begins so, is one of them.
    pub(super) fn has(&self, key: &str) -> bool {
        match self {
            Self::Under(_) => true,
            Self::One(only) => **only == *key,
        }
    }
}

/// The subscriber's end of its queue.
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) queue: mpsc::Receiver<Arc<Event>>,
    pub(super) backlog: Arc<Backlog>,
}

struct Subscriber {
    queue: mpsc::Sender<Arc<Event>>,
    backlog: Arc<Backlog>,
}

/// Every subscriber, by the keys that it hears of.
#[derive(Default)]
pub(super) struct Subscribers {
    /// Each by its number, so that one of ten thousand of the same keys is forgotten without a look at the others.
    by_keys: HashMap<Keys, BTreeMap<u64, Subscriber>>,
    /// How long the prefixes are that somebody watches, and how many prefixes each: few, whoever watches.
    lengths: BTreeMap<usize, usize>,
    count: usize,
    next: u64,
}

impl Subscribers {
    /// Adds one that hears of every later change of `keys`.
    pub(super) fn add(&mut self, keys: &Keys) -> Result<Subscription, StoreError> {
        if self.count >= SUBSCRIBERS {
            return Err(StoreError::TooManyWatches { limit: SUBSCRIBERS });
        }
        let (sender, queue) = mpsc::channel(EVENTS);
        let (id, backlog) = (self.next, Arc::<Backlog>::default());
        let subscriber = Subscriber {
            queue: sender,
            backlog: Arc::clone(&backlog),
        };
        if let (Keys::Under(prefix), false) = (keys, self.by_keys.contains_key(keys)) {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        self.by_keys
            .entry(keys.clone())
            .or_default()
            .insert(id, subscriber);
        self.count += 1;
        self.next += 1;
        Ok(Subscription { id, queue, backlog })
    }

    /// Forgets one, whether or not it was closed before.
    pub(super) fn remove(&mut self, keys: &Keys, id: u64) {
        self.change(keys, |subscribers| {
            subscribers.remove(&id);
        });
    }

    /// Hands the event to everyone whom it concerns: who watches its key, and who watches a prefix that it has. How many others watch,
    /// and what, costs nothing.
    pub(super) fn tell(&mut self, event: &Arc<Event>) {
        let key: &str = &event.key;
        let lengths = self.lengths.keys();
        let prefixes = lengths.filter_map(|length| key.get(..*length));
        let mut told: Vec<Keys> = prefixes.map(|prefix| Keys::Under(prefix.into())).collect();
        told.push(Keys::One(key.into()));
        for keys in told {
            self.change(&keys, |subscribers| {
                subscribers.retain(|_, subscriber| subscriber.offer(event));
            });
        }
    }

    /// Takes some of those away who hear of some keys, and forgets the keys with the last.
    fn change(&mut self, keys: &Keys, take: impl FnOnce(&mut BTreeMap<u64, Subscriber>)) {
        let Some(subscribers) = self.by_keys.get_mut(keys) else {
            return;
        };
        let before = subscribers.len();
        take(subscribers);
        self.count -= before - subscribers.len();
        if !subscribers.is_empty() {
            return;
        }
        self.by_keys.remove(keys);
        let Keys::Under(prefix) = keys else {
            return;
        };
        if let Some(prefixes) = self.lengths.get_mut(&prefix.len()) {
            *prefixes -= 1;
            if *prefixes == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// Closes every queue as if its reader had not kept up.
    pub(super) fn overflow(&mut self) {
        for subscriber in self.by_keys.values().flat_map(BTreeMap::values) {
            subscriber.backlog.overflowed.store(true, Ordering::Release);
        }
        self.close();
    }

    /// Closes every queue: each subscriber reads what is in its queue and then learns that there is no more.
    pub(super) fn close(&mut self) {
        self.by_keys.clear();
        self.lengths.clear();
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
