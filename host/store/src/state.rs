//! The cache: every live object, the newest events and the subscribers, as of the last synced group. Readers see nothing
//! that is not on the disk, and a list and the watch after it share one lock, so that no change falls between them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tokio::sync::watch;

use super::entry::{Entry, Event, EventKind, Key};
use super::error::StoreError;
use super::page::{Range, Slice};
use super::recent::Recent;
use super::subscribers::{Keys, Subscribers, Subscription};

/// What readers see.
pub(super) struct State {
    revision: u64,
    compacted: u64,
    objects: BTreeMap<Key, Entry>,
    bytes: usize,
    recent: Recent,
    subscribers: Subscribers,
    observers: Vec<(Box<str>, Observer)>,
    /// Tells of each new revision.
    reached: watch::Sender<u64>,
    closed: bool,
}

/// Is told of a change before anybody can read it.
pub(super) type Observer = Box<dyn Fn(&Event) + Send + Sync>;

impl State {
    /// The state that the disk holds.
    pub(super) fn new(revision: u64, compacted: u64, objects: BTreeMap<Key, Entry>) -> Self {
        let bytes = objects.values().map(Entry::weight).sum();
        let (recent, subscribers) = (Recent::new(revision), Subscribers::default());
        Self {
            revision,
            compacted,
            objects,
            bytes,
            recent,
            subscribers,
            observers: Vec::new(),
            reached: watch::Sender::new(revision),
            closed: false,
        }
    }

    /// The newest revision.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// What the live objects hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest events.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// One object.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.objects.get(key)
    }

    /// Every object under a prefix, in the order of keys.
    pub(super) fn list(&self, prefix: &str) -> Vec<Entry> {
        let range = (Bound::Included(prefix), Bound::Unbounded);
        self.objects
            .range::<str, _>(range)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Those objects under a prefix whose keys come after one, as many as are wanted, and how many more there are; `before` are
    /// changes to be taken back.
    pub(super) fn slice(&self, range: Range<'_>, before: &BTreeMap<Key, Option<Entry>>) -> Slice {
        let keys = (range.lower(), Bound::Unbounded);
        let within = |key: &Key| key.starts_with(range.prefix);
        let live = self.objects.range::<str, _>(keys);
        let live = live.take_while(|(key, _)| within(key));
        let mut live = live
            .filter(|(key, _)| !before.contains_key(*key))
            .peekable();
        let past = before.range::<str, _>(keys);
        let past = past.take_while(|(key, _)| within(key));
        let mut past = past
            .filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
            .peekable();
        let mut slice = Slice {
            revision: self.revision,
            ..Slice::default()
        };
        loop {
            let older = match (live.peek(), past.peek()) {
                (Some((now, _)), Some((then, _))) => then < now,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            let next = if older { past.next() } else { live.next() };
            let Some((_, entry)) = next else {
                return slice;
            };
            if range.limit == 0 || slice.entries.len() < range.limit {
                slice.entries.push(entry.clone());
            } else {
                slice.left += 1;
            }
        }
    }

    /// Refuses a revision that is compacted or has not happened yet.
    pub(super) fn check(&self, requested: u64) -> Result<(), StoreError> {
        if requested < self.compacted {
            return Err(StoreError::Compacted {
                requested,
                oldest: self.compacted,
            });
        }
        if requested > self.revision {
            return Err(StoreError::Future {
                requested,
                current: self.revision,
            });
        }
        Ok(())
    }

    /// Hears of every change after [`State::revision`].
    pub(super) fn subscribe(&mut self, keys: &Keys) -> Result<Subscription, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        self.subscribers.add(keys)
    }

    /// Forgets a subscriber.
    pub(super) fn unsubscribe(&mut self, keys: &Keys, id: u64) {
        self.subscribers.remove(keys, id);
    }

    /// Takes in one change that is on the disk.
    pub(super) fn publish(&mut self, event: Event) {
        let event = Arc::new(event);
        let before = match &event.kind {
            EventKind::Put { value, .. } => {
                let (key, value) = (event.key.clone(), value.clone());
                let entry = Entry {
                    key: key.clone(),
                    value,
                    created: event.created,
                    modified: event.revision,
                };
                self.bytes += entry.weight();
                self.objects.insert(key, entry)
            }
            EventKind::Delete { .. } => self.objects.remove(&event.key),
        };
        self.bytes -= before.as_ref().map_or(0, Entry::weight);
        self.revision = event.revision;
        self.inform(&event);
        self.subscribers.tell(&event);
        self.recent.push(event);
        self.reached.send_replace(self.revision);
    }

    fn inform(&self, event: &Event) {
        for (prefix, observer) in &self.observers {
            if event.key.starts_with(&**prefix) {
                observer(event);
            }
        }
    }

    /// Tells `observer` of every object under a prefix, and from now on of every change.
    pub(super) fn observe(&mut self, prefix: &str, observer: Observer) {
        for entry in self.list(prefix) {
            observer(&appeared(entry));
        }
        self.observers.push((prefix.into(), observer));
    }

    /// The newest revision, as it grows.
    pub(super) fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// Takes a state in place of this one when the way between them is not known. Whoever watches has to list again.
    pub(super) fn replace(&mut self, revision: u64, objects: BTreeMap<Key, Entry>) {
        self.subscribers.overflow();
        for entry in self.objects.values() {
            if !objects.contains_key(&entry.key) {
                self.inform(&vanished(entry, revision));
            }
        }
        let changed = objects.values().filter(|entry| {
            let before = self.objects.get(&entry.key);
            before.is_none_or(|before| before.modified != entry.modified)
        });
        for entry in changed {
            self.inform(&appeared(entry.clone()));
        }
        self.bytes = objects.values().map(Entry::weight).sum();
        self.objects = objects;
        self.revision = revision;
        self.compacted = revision;
        self.recent = Recent::new(revision);
        self.reached.send_replace(revision);
    }

    /// Takes the place of what another look at the same disk found.
    pub(super) fn become_of(&mut self, found: Self) {
        self.replace(found.revision, found.objects);
    }

    /// From now on revisions before this one are refused. Called before their records leave the disk.
    pub(super) fn compact(&mut self, target: u64) {
        self.compacted = self.compacted.max(target);
    }

    /// The revision up to which history is gone, as far as it is known here.
    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Ends every watch.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.subscribers.close();
    }
}

/// An object of which nobody was told yet.
fn appeared(entry: Entry) -> Event {
    Event {
        revision: entry.modified,
        key: entry.key,
        created: entry.created,
        replaced: 0,
        kind: EventKind::Put {
            value: entry.value,
            previous: None,
        },
    }
}

/// An object that went while nobody could see it.
fn vanished(entry: &Entry, revision: u64) -> Event {
    Event {
        revision,
        key: entry.key.clone(),
        created: entry.created,
        replaced: entry.modified,
        kind: EventKind::Delete {
            previous: entry.value.clone(),
        },
    }
}
