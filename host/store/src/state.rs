//! The cache: every live object, the newest events and the subscribers, as of the last synced group. Readers see nothing
//! that is not on the disk, and a list and the watch after it share one lock, so that no change falls between them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::entry::{Entry, Event, EventKind, Key};
use super::error::StoreError;
use super::recent::Recent;
use super::subscribers::{Subscribers, Subscription};

/// What readers see.
pub(super) struct State {
    revision: u64,
    compacted: u64,
    objects: BTreeMap<Key, Entry>,
    bytes: usize,
    recent: Recent,
    subscribers: Subscribers,
    closed: bool,
}

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
    pub(super) fn subscribe(&mut self, prefix: &Arc<str>) -> Result<Subscription, StoreError> {
        if self.closed {
            return Err(StoreError::Closed);
        }
        self.subscribers.add(prefix)
    }

    /// Forgets a subscriber.
    pub(super) fn unsubscribe(&mut self, prefix: &str, id: u64) {
        self.subscribers.remove(prefix, id);
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
        self.subscribers.tell(&event);
        self.recent.push(event);
    }

    /// From now on revisions before this one are refused. Called before their records leave the disk.
    pub(super) fn compact(&mut self, target: u64) {
        self.compacted = target;
    }

    /// Ends every watch.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.subscribers.close();
    }
}
