//! The keys of a store in an etcd, and how its past is read there. etcd's revision is the store's.
//!
//! | key of etcd | value |
//! |---|---|
//! | PREFIX`/objects/`KEY | the bytes of an object |
//! | PREFIX`/newest` | who made the newest change; it is part of every change, so its history tells of each revision who made it |
//! | PREFIX`/guards/`NAME | the same as `newest`, of the writes under this guard |
//! | PREFIX`/format` | the version of this layout |
//!
//! `newest` answers two questions. How far must a cache be, so that nobody is shown less than what was acknowledged before they
//! asked? As far as its revision. Was a change made of which etcd broke off to tell? It was, if that change of the object is
//! signed by it (`remote::write`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use osier_etcd::{Change, Cluster, EtcdError, KeyValue, Operation, Range, Watched, behind};

use super::entry::{Entry, Event, EventKind, Key};
use super::error::StoreError;
use super::page::{PAGE_BYTES, PAGE_EVENTS, Page};

/// The keys of one answer.
const PAGE: u32 = 500;
/// The past is told within this time.
const TOLD: Duration = Duration::from_secs(10);
/// How often the past is asked for again, of other members.
const TRIES: usize = 5;

/// The part of an etcd that is ours.
pub(super) struct Keyspace {
    pub(super) cluster: Cluster,
    /// The etcd as people wrote it.
    pub(super) name: String,
    prefix: String,
}

impl Keyspace {
    /// The keys below a prefix.
    pub(super) fn new(cluster: Cluster, name: String, prefix: String) -> Self {
        Self {
            cluster,
            name,
            prefix,
        }
    }

    pub(super) fn objects(&self, prefix: &str) -> Vec<u8> {
        format!("{}/objects/{prefix}", self.prefix).into_bytes()
    }

    pub(super) fn newest(&self) -> Vec<u8> {
        format!("{}/newest", self.prefix).into_bytes()
    }

    pub(super) fn guard(&self, name: &str) -> Vec<u8> {
        format!("{}/guards/{name}", self.prefix).into_bytes()
    }

    pub(super) fn format(&self) -> Vec<u8> {
        format!("{}/format", self.prefix).into_bytes()
    }

    /// What every change does beside itself.
    pub(super) fn signed(&self, author: &Bytes) -> Operation {
        Operation::Put(self.newest(), author.clone())
    }

    /// The object of a key of etcd; none for a key that no store wrote.
    fn entry(&self, found: KeyValue) -> Option<Entry> {
        let key = std::str::from_utf8(&found.key).ok()?;
        let key = key.strip_prefix(&self.prefix)?.strip_prefix("/objects/")?;
        Some(Entry {
            key: Key::from(key),
            created: found.created(),
            modified: found.modified(),
            value: found.value,
        })
    }

    /// The event of a change, where `before` knows what it replaced.
    pub(super) fn event(
        &self,
        change: Change,
        before: impl FnOnce(&Key) -> Option<Entry>,
    ) -> Option<Event> {
        let (deleted, told) = (change.deleted, change.before);
        let now = self.entry(change.now)?;
        let before = match told {
            Some(told) => self.entry(told),
            None => before(&now.key),
        };
        let created = match &before {
            Some(before) if deleted => before.created,
            _ => now.created,
        };
        let replaced = before.as_ref().map_or(0, |before| before.modified);
        let previous = before.map(|before| before.value);
        let kind = match deleted {
            true => EventKind::Delete {
                previous: previous?,
            },
            false => EventKind::Put {
                value: now.value,
                previous,
            },
        };
        Some(Event {
            revision: now.modified,
            key: now.key,
            created,
            replaced,
            kind,
        })
    }

    /// Who made a revision of ours; at revision 0, the newest one, and which that is.
    pub(super) async fn author(&self, revision: u64) -> Result<(u64, Bytes), StoreError> {
        let asked = Range {
            revision,
            ..Range::of(self.newest())
        };
        let found = self.cluster.get(asked).await;
        let found = found.map_err(|error| self.refusal(error, revision))?;
        let found =
            found.ok_or_else(|| self.broken("the key that names the newest change is gone"))?;
        Ok((found.modified(), found.value))
    }

    /// Every object under a prefix as of a revision, and that revision; of the newest one for 0.
    pub(super) async fn objects_at(
        &self,
        prefix: &str,
        mut revision: u64,
    ) -> Result<(u64, Vec<Entry>), StoreError> {
        let (mut key, end) = (self.objects(prefix), behind(&self.objects(prefix)));
        let mut entries = Vec::new();
        loop {
            let range = Range {
                key,
                end: end.clone(),
                revision,
                limit: PAGE,
            };
            let answer = self.cluster.range(range).await;
            let (found, more, now) = answer.map_err(|error| self.refusal(error, revision))?;
            // The pages are of one state: that of the first.
            if revision == 0 {
                revision = now;
            }
            let Some(last) = found.last().filter(|_| more) else {
                entries.extend(found.into_iter().filter_map(|one| self.entry(one)));
                return Ok((revision, entries));
            };
            key = [&last.key[..], &[0]].concat();
            entries.extend(found.into_iter().filter_map(|one| self.entry(one)));
        }
    }

    /// Every object under a prefix as it stood at a revision.
    pub(super) async fn list(&self, prefix: &str, revision: u64) -> Result<Vec<Entry>, StoreError> {
        Ok(self.objects_at(prefix, revision).await?.1)
    }

    /// The next events under a prefix after one revision, up to another that has been published.
    pub(super) async fn page(
        &self,
        prefix: &Arc<str>,
        after: u64,
        until: u64,
    ) -> Result<Page, StoreError> {
        let mut tries = 0;
        loop {
            let read = tokio::time::timeout(TOLD, self.told(prefix, after, until)).await;
            let late = || EtcdError::Unanswered(format!("no history after {} s", TOLD.as_secs()));
            match read.unwrap_or_else(|_| Err(late())) {
                Err(error) if error.passes() && tries < TRIES => {
                    self.cluster.turn();
                    tries += 1;
                }
                read => return read.map_err(|error| self.refusal(error, after)),
            }
        }
    }

    /// Watches from the past on until the page is full, or has come to `until`, which is the revision of a change of ours.
    async fn told(&self, prefix: &str, after: u64, until: u64) -> Result<Page, EtcdError> {
        let mut watcher = self.cluster.watch(self.from(after + 1, true)).await?;
        let mut page = Page {
            events: Vec::new(),
            reached: after,
        };
        let mut bytes = 0;
        while page.reached < until && page.events.len() < PAGE_EVENTS && bytes < PAGE_BYTES {
            for change in watcher.next().await?.changes {
                let revision = change.now.modified();
                if revision > until {
                    break;
                }
                page.reached = revision;
                let event = self.event(change, |_| None);
                if let Some(event) = event.filter(|event| event.key.starts_with(prefix)) {
                    bytes += event.weight();
                    page.events.push(Arc::new(event));
                }
            }
        }
        Ok(page)
    }

    /// All objects from a revision on.
    pub(super) fn from(&self, from: u64, previous: bool) -> Watched {
        let key = self.objects("");
        Watched {
            end: behind(&key),
            key,
            from,
            previous,
        }
    }

    /// What an error of etcd means to whoever asked for something of a revision.
    pub(super) fn refusal(&self, error: EtcdError, requested: u64) -> StoreError {
        let store = self.name.clone();
        match error {
            EtcdError::Compacted(oldest) => StoreError::Compacted {
                requested,
                oldest: oldest.max(requested + 1),
            },
            EtcdError::Unreached(reason) | EtcdError::Unanswered(reason) => {
                StoreError::Unreachable { store, reason }
            }
            error => StoreError::Refused {
                store,
                reason: error.to_string(),
            },
        }
    }

    pub(super) fn broken(&self, reason: &str) -> StoreError {
        StoreError::Refused {
            store: self.name.clone(),
            reason: reason.to_owned(),
        }
    }
}
