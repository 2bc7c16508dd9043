//! One commit in the making: each write is judged against the cache and the writes before it in the same commit, and
//! becomes a record, an entry of the index and an event. Nobody is answered before the commit is on the disk, not even
//! those that are refused, since what they lost against may not be there yet.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::compaction::History;
use super::engine::Batch;
use super::entry::{Entry, Event, EventKind, Expect, Key};
use super::error::StoreError;
use super::layout::{Record, Standing, index_key, parts};
use super::queue::Request;
use super::state::State;

/// A client that waits, and what it will be told.
pub(super) type Answer = (
    oneshot::Sender<Result<u64, StoreError>>,
    Result<u64, StoreError>,
);

/// A commit that is not yet on the disk.
pub(super) struct Group<'a> {
    state: &'a State,
    history: &'a mut History,
    objects_limit: usize,
    bytes: usize,
    revision: u64,
    /// What the writes of this group leave of the keys that they touch.
    overlay: HashMap<Key, Option<Entry>>,
    batch: Batch,
    events: Vec<Event>,
    answers: Vec<Answer>,
}

/// A commit to make, and what to say once it is made.
pub(super) struct Commit {
    pub(super) batch: Batch,
    pub(super) events: Vec<Event>,
    pub(super) answers: Vec<Answer>,
}

impl<'a> Group<'a> {
    /// An empty group on top of the published state.
    pub(super) fn new(state: &'a State, history: &'a mut History, objects_limit: usize) -> Self {
        Self {
            state,
            history,
            objects_limit,
            bytes: state.bytes(),
            revision: state.revision(),
            overlay: HashMap::new(),
            batch: Batch::default(),
            events: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Takes in one write, or notes why not.
    pub(super) fn add(&mut self, request: Request) {
        let Request {
            key,
            value,
            expect,
            answer,
            ..
        } = request;
        let before = match self.overlay.get(&key) {
            Some(entry) => entry.clone(),
            None => self.state.get(&key).cloned(),
        };
        let result = judge(&key, expect, before.as_ref(), value.is_none())
            .and_then(|()| self.account(&key, value.as_ref(), before.as_ref()))
            .map(|()| self.change(key, value, before));
        self.answers.push((answer, result));
    }

    /// Refuses growth over the bound of the store.
    fn account(
        &mut self,
        key: &Key,
        value: Option<&Bytes>,
        before: Option<&Entry>,
    ) -> Result<(), StoreError> {
        let old = before.map_or(0, Entry::weight);
        let new = value.map_or(0, |value| Entry::weight_of(key, value));
        if new > old && self.bytes + new - old > self.objects_limit {
            return Err(StoreError::Full {
                bytes: self.bytes,
                limit: self.objects_limit,
            });
        }
        self.bytes = (self.bytes + new).saturating_sub(old);
        Ok(())
    }

    /// Makes the next revision; everything that it can fail at was checked before.
    fn change(&mut self, key: Key, value: Option<Bytes>, before: Option<Entry>) -> u64 {
        self.revision += 1;
        let record = record(self.revision, key, value.as_ref(), before.as_ref());
        self.write(&record);
        let Record {
            revision,
            key,
            created,
            replaced,
            ..
        } = record;
        let after = value.clone().map(|value| Entry {
            key: key.clone(),
            value,
            created,
            modified: revision,
        });
        self.overlay.insert(key.clone(), after);
        let previous = before.map(|entry| entry.value);
        let kind = match value {
            Some(value) => EventKind::Put { value, previous },
            None => EventKind::Delete {
                previous: previous.unwrap_or_default(),
            },
        };
        self.events.push(Event {
            revision,
            key,
            created,
            replaced,
            kind,
        });
        revision
    }

    fn write(&mut self, record: &Record) {
        for (key, part) in record.encode() {
            self.batch.put(key, part);
        }
        let index = index_key(&record.key);
        if record.deleted {
            self.batch.remove(index);
        } else {
            let standing = Standing {
                modified: record.revision,
                created: record.created,
            };
            self.batch.put(index, standing.encode());
        }
        self.history.push(record);
    }

    /// The whole group.
    pub(super) fn finish(self) -> Commit {
        Commit {
            batch: self.batch,
            events: self.events,
            answers: self.answers,
        }
    }
}

/// What the log says of a change.
fn record(revision: u64, key: Key, value: Option<&Bytes>, before: Option<&Entry>) -> Record {
    Record {
        revision,
        replaced: before.map_or(0, |entry| entry.modified),
        created: before.map_or(revision, |entry| entry.created),
        replaced_parts: before.map_or(0, |entry| parts(&key, &entry.value)),
        deleted: value.is_none(),
        key,
        value: value.cloned().unwrap_or_default(),
    }
}

/// Compares what a write expects with what stands.
fn judge(
    key: &Key,
    expect: Expect,
    current: Option<&Entry>,
    deleting: bool,
) -> Result<(), StoreError> {
    match (expect, current) {
        (Expect::Absent, Some(_)) => Err(StoreError::AlreadyExists {
            key: key.to_string(),
        }),
        (Expect::Revision(_), None) => Err(StoreError::NotFound {
            key: key.to_string(),
        }),
        (_, None) if deleting => Err(StoreError::NotFound {
            key: key.to_string(),
        }),
        (Expect::Revision(expected), Some(entry)) if entry.modified != expected => {
            Err(StoreError::Conflict {
                key: key.to_string(),
                current: entry.modified,
            })
        }
        _ => Ok(()),
    }
}
