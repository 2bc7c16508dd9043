//! The store: every object of the API under one revision, in a key-value file of this machine or in an etcd that several
//! processes share. A write is answered when it would survive a power cut, and nobody reads or watches it before. Lists and
//! watches join without a gap.
//!
//! Readers meet one cache, whose history goes on in [`shared::Past`]. Of a store of this machine, `engine` is what differs
//! between sled and redb; of one in an etcd, `remote` is the whole. Values are opaque bytes and are never logged: they hold
//! Secrets.

mod backup;
mod compaction;
mod directory;
mod engine;
mod entry;
mod error;
mod group;
mod keyspace;
mod layout;
mod limits;
mod load;
mod page;
mod queue;
mod recent;
mod remote;
mod replay;
mod sealing;
mod shared;
mod state;
mod subscribers;
mod watch;
mod writer;

pub use backup::{Backup, Contents, check_backup, restore};
pub use engine::{StoreKind, UnknownStore, is_guarded};
pub use entry::{Entry, Event, EventKind, Expect, Key};
pub use error::StoreError;
pub use limits::Limits;
pub use osier_etcd::{BadLocation, ClientConfig, Location};
pub use page::{Range, Slice};
pub use remote::Guard;
pub use sealing::{Sealing, SealingRule};
pub use watch::Watch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use osier_etcd::Cluster;
use osier_process::Tasks;
use tokio::sync::watch as latest;

use directory::Directory;
use keyspace::Keyspace;
use queue::Queue;
use remote::Remote;
use shared::{Disk, Past, Shared};
use subscribers::Keys;
use writer::Writer;

/// A handle to an open store; clones are the same store. The store closes after [`Store::close`], or when the last handle
/// is gone.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
    sealing: Arc<Sealing>,
}

struct Handle {
    shared: Arc<Shared>,
    limits: Limits,
    writes: Writes,
}

/// Who makes writes.
enum Writes {
    /// The writer of a store of this machine.
    Local {
        queue: Arc<Queue>,
        outcome: latest::Receiver<Option<Result<(), StoreError>>>,
    },
    /// An etcd.
    Remote(Box<Remote>),
}

impl Drop for Handle {
    fn drop(&mut self) {
        match &self.writes {
            Writes::Local { queue, .. } => queue.close(),
            Writes::Remote(remote) => remote.stop(),
        }
    }
}

impl Store {
    /// Opens the store in a directory, or makes one there. Blocks while everything is read.
    ///
    /// # Errors
    /// `Locked` when another process has it, `Corrupt` when it is damaged, `OtherFormat` when another engine wrote it,
    /// `Unusable` when the directory cannot be written.
    pub fn open(directory: &Path, kind: StoreKind, limits: Limits) -> Result<Self, StoreError> {
        let directory = Directory::claim(directory, kind)?;
        let loaded = load::load(&directory, kind, limits)?;
        let disk = Disk::new(loaded.engine, directory.path());
        let shared = Arc::new(Shared::new(loaded.state, Past::Disk(disk)));
        let queue = Arc::new(Queue::new());
        let (sender, outcome) = latest::channel(None);
        let path = directory.path().to_owned();
        let history = loaded.history;
        let writer = Writer {
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            directory,
            history,
            limits,
            looked: Instant::now(),
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&sender))
            .map_err(|error| directory::unusable("start the writer of", &path, &error))?;
        Ok(Self::of(shared, limits, Writes::Local { queue, outcome }))
    }

    /// Opens the store in an etcd, or makes one there; over TLS where there is a configuration. Other processes may have it
    /// open too.
    ///
    /// # Errors
    /// `Unreachable` when no majority of its members answers, `OtherFormat` when another version wrote it.
    pub async fn connect(
        location: &Location,
        tls: Option<Arc<ClientConfig>>,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let tasks = Tasks::new();
        let cluster = Cluster::new(location, tls.as_ref(), &tasks);
        let keys = Keyspace::new(cluster, location.to_string(), location.prefix.clone());
        let opened = remote::open(keys, limits, tasks.clone()).await;
        let opened = opened.inspect_err(|_| tasks.stop())?;
        Ok(Self::of(
            opened.shared,
            limits,
            Writes::Remote(Box::new(opened.remote)),
        ))
    }

    fn of(shared: Arc<Shared>, limits: Limits, writes: Writes) -> Self {
        let handle = Handle {
            shared,
            limits,
            writes,
        };
        Self {
            handle: Arc::new(handle),
            sealing: Arc::default(),
        }
    }

    /// The store with encryption: what is written from now on is encrypted by these rules, and what they open is read.
    ///
    /// # Errors
    /// `Sealed` when an object is stored that they do not open; nothing is changed then, and the store is closed.
    pub async fn sealed(self, sealing: Sealing) -> Result<Self, StoreError> {
        let checked = sealing.check(&self.handle.shared.state.read().list(""));
        if let Err(error) = checked {
            let closed = self.close().await;
            return Err(closed.err().unwrap_or(error));
        }
        Ok(Self {
            sealing: Arc::new(sealing),
            ..self
        })
    }

    /// Writes every object anew that is not stored as the rules of encryption say: with an older key, in the clear, or encrypted
    /// though it should not be any more. How many there were.
    ///
    /// # Errors
    /// The first that a write ends with, other than that somebody else wrote or deleted the object meanwhile.
    pub async fn seal_anew(&self) -> Result<usize, StoreError> {
        let mut stale = self.handle.shared.state.read().list("");
        stale.retain(|entry| self.sealing.is_stale(entry));
        let mut written = 0;
        for entry in stale {
            let value = self.sealing.opened(&entry.key, &entry.value)?;
            let expect = Expect::Revision(entry.modified);
            match self.put(entry.key, value, expect).await {
                Ok(_) => written += 1,
                // Whoever wrote it wrote it by the rules.
                Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Whether other processes write to the store too.
    pub fn is_shared(&self) -> bool {
        matches!(self.handle.writes, Writes::Remote(_))
    }

    /// Waits until what is read here holds everything that was acknowledged before this call, by whichever process.
    ///
    /// # Errors
    /// `Unreachable` when that cannot be known.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        match &self.handle.writes {
            Writes::Local { .. } => Ok(()),
            Writes::Remote(remote) => remote.catch_up().await,
        }
    }

    /// Tells `observer` of every object under a prefix as if it were new, and from then on of each change before anybody can
    /// read it. It is called while the store is locked: it must be quick, and must not use the store.
    pub fn observe(&self, prefix: &str, observer: impl Fn(&Event) + Send + Sync + 'static) {
        let sealing = Arc::clone(&self.sealing);
        let opened = move |event: &Event| observer(&sealing.open_event(event));
        let mut state = self.handle.shared.state.write();
        state.observe(prefix, Box::new(opened));
    }

    /// Takes a guard of some name before a look at the state, for a write that is decided by it: of the writes under guards of one
    /// name, in all processes, each has seen those before it. Where one process has the store there is none, and its own locks do.
    ///
    /// # Errors
    /// `Unreachable` when the state cannot be known.
    pub async fn guard(&self, name: &str) -> Result<Option<Guard>, StoreError> {
        match &self.handle.writes {
            Writes::Local { .. } => Ok(None),
            Writes::Remote(remote) => remote.guard(name).await.map(Some),
        }
    }

    /// Creates or replaces an object if nothing was written under these guards since they were taken.
    ///
    /// # Errors
    /// As [`Store::put`]; `Overtaken` when something was.
    pub async fn put_guarded(
        &self,
        key: Key,
        value: Bytes,
        expect: Expect,
        guards: &[Guard],
    ) -> Result<u64, StoreError> {
        self.check(&key, &value)?;
        let value = self.sealing.seal(&key, value)?;
        self.submit((key, Some(value)), expect, guards).await
    }

    async fn submit(
        &self,
        (key, value): (Key, Option<Bytes>),
        expect: Expect,
        guards: &[Guard],
    ) -> Result<u64, StoreError> {
        match &self.handle.writes {
            Writes::Local { queue, .. } => queue.submit(key, value, expect).await,
            Writes::Remote(remote) => remote.submit((key, value), expect, guards).await,
        }
    }

    /// Creates or replaces an object; answers with the new revision.
    pub async fn put(&self, key: Key, value: Bytes, expect: Expect) -> Result<u64, StoreError> {
        self.put_guarded(key, value, expect, &[]).await
    }

    /// Deletes an object; answers with the revision of the deletion.
    pub async fn delete(&self, key: Key, expect: Expect) -> Result<u64, StoreError> {
        self.check(&key, &[])?;
        self.submit((key, None), expect, &[]).await
    }

    /// One object as it stands.
    pub fn get(&self, key: &str) -> Option<Entry> {
        let entry = self.handle.shared.state.read().get(key).cloned();
        entry.map(|entry| self.sealing.open_entry(entry))
    }

    /// Every object whose key begins with `prefix`, in the order of keys, and the revision at which they stand so.
    pub fn list(&self, prefix: &str) -> (u64, Vec<Entry>) {
        let (revision, entries) = {
            let state = self.handle.shared.state.read();
            (state.revision(), state.list(prefix))
        };
        (revision, self.open_all(entries))
    }

    /// Some of the objects under a prefix: as they stand, or as they stood at a revision.
    ///
    /// # Errors
    /// As [`Store::list_at`], of an older revision.
    pub async fn slice(&self, range: Range<'_>, at: Option<u64>) -> Result<Slice, StoreError> {
        let shared = &self.handle.shared;
        let mut slice = match at {
            None => shared.state.read().slice(range, &BTreeMap::new()),
            Some(revision) => replay::slice_at(shared, range, revision).await?,
        };
        slice.entries = self.open_all(slice.entries);
        Ok(slice)
    }

    fn open_all(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let open = |entry| self.sealing.open_entry(entry);
        entries.into_iter().map(open).collect()
    }

    /// The same as of an older revision, while that is not compacted.
    pub async fn list_at(&self, prefix: &str, revision: u64) -> Result<Vec<Entry>, StoreError> {
        let entries = replay::list_at(&self.handle.shared, prefix, revision).await;
        entries.map(|entries| self.open_all(entries))
    }

    /// Everything as it stands, for a file to make the store anew from. An etcd has its own means for that.
    pub fn backup(&self) -> Option<Backup> {
        if self.is_shared() {
            return None;
        }
        let state = self.handle.shared.state.read();
        Some(Backup::new(state.revision(), state.list("")))
    }

    /// Every change after a revision of the keys that begin with `prefix`.
    pub fn watch(&self, prefix: &str, after: u64) -> Result<Watch, StoreError> {
        let keys = Keys::Under(prefix.into());
        Watch::start(&self.handle.shared, &self.sealing, keys, after)
    }

    /// Every change after a revision of one key.
    pub fn watch_key(&self, key: &str, after: u64) -> Result<Watch, StoreError> {
        let keys = Keys::One(key.into());
        Watch::start(&self.handle.shared, &self.sealing, keys, after)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.handle.shared.state.read().revision()
    }

    /// An error while writes to the disk fail: the store then only reads.
    pub fn health(&self) -> Result<(), StoreError> {
        self.handle.shared.health()
    }

    /// Resolves when this process should stop: an etcd went back behind what was read of it. A failed disk is none: what was
    /// written is in memory, and whoever only reads goes on.
    pub async fn failed(&self) -> StoreError {
        match self.handle.writes {
            Writes::Local { .. } => std::future::pending().await,
            Writes::Remote(_) => self.handle.shared.failed().await,
        }
    }

    /// Makes the writes that wait, ends every watch and gives the files back.
    pub async fn close(self) -> Result<(), StoreError> {
        let (queue, outcome) = match &self.handle.writes {
            Writes::Local { queue, outcome } => (queue, outcome),
            Writes::Remote(remote) => return remote.close().await,
        };
        queue.close();
        let mut outcome = outcome.clone();
        let closed = outcome.wait_for(Option::is_some).await;
        closed.map_or(Err(StoreError::Closed), |closed| {
            closed.clone().unwrap_or(Ok(()))
        })
    }

    fn check(&self, key: &Key, value: &[u8]) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > limits::KEY {
            let cut = key.chars().take(80).collect();
            return Err(StoreError::InvalidKey {
                key: cut,
                length: key.len(),
                limit: limits::KEY,
            });
        }
        let limit = self.handle.limits.value;
        if value.len() > limit {
            return Err(StoreError::TooLarge {
                key: key.to_string(),
                bytes: value.len(),
                limit,
            });
        }
        self.health()
    }
}

#[cfg(test)]
mod tests;
