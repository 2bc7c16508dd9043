//! The store: every object of the API under one revision, in a key-value file of this machine. A write is answered when it
//! would survive a power cut, and nobody reads or watches it before. Lists and watches join without a gap.
//!
//! `engine` is what differs between sled and redb; everything else does not know which one it is. Values are opaque bytes
//! and are never logged: they hold Secrets.

mod compaction;
mod directory;
mod engine;
mod entry;
mod error;
mod group;
mod layout;
mod limits;
mod load;
mod queue;
mod recent;
mod replay;
mod shared;
mod state;
mod subscribers;
mod watch;
mod writer;

pub use engine::{StoreKind, UnknownStore};
pub use entry::{Entry, Event, EventKind, Expect, Key};
pub use error::StoreError;
pub use limits::Limits;
pub use watch::Watch;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch as latest;

use directory::Directory;
use queue::Queue;
use shared::Shared;
use writer::Writer;

/// A handle to an open store; clones are the same store. The store closes after [`Store::close`], or when the last handle
/// is gone.
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    limits: Limits,
    outcome: latest::Receiver<Option<Result<(), StoreError>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
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
        let shared = Arc::new(Shared::new(loaded.state, loaded.engine, directory.path()));
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
        };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&sender))
            .map_err(|error| directory::unusable("start the writer of", &path, &error))?;
        Ok(Self {
            handle: Arc::new(Handle {
                shared,
                queue,
                limits,
                outcome,
            }),
        })
    }

    /// Creates or replaces an object; answers with the new revision.
    pub async fn put(&self, key: Key, value: Bytes, expect: Expect) -> Result<u64, StoreError> {
        self.check(&key, &value)?;
        self.handle.queue.submit(key, Some(value), expect).await
    }

    /// Deletes an object; answers with the revision of the deletion.
    pub async fn delete(&self, key: Key, expect: Expect) -> Result<u64, StoreError> {
        self.check(&key, &[])?;
        self.handle.queue.submit(key, None, expect).await
    }

    /// One object as it stands.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.handle.shared.state.read().get(key).cloned()
    }

    /// Every object whose key begins with `prefix`, in the order of keys, and the revision at which they stand so.
    pub fn list(&self, prefix: &str) -> (u64, Vec<Entry>) {
        let state = self.handle.shared.state.read();
        (state.revision(), state.list(prefix))
    }

    /// The same as of an older revision, while that is not compacted.
    pub async fn list_at(&self, prefix: &str, revision: u64) -> Result<Vec<Entry>, StoreError> {
        replay::list_at(&self.handle.shared, prefix, revision).await
    }

    /// Every change after a revision of the keys that begin with `prefix`.
    pub fn watch(&self, prefix: &str, after: u64) -> Result<Watch, StoreError> {
        Watch::start(&self.handle.shared, prefix, after)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.handle.shared.state.read().revision()
    }

    /// An error once a write to the disk has failed: the store then only reads.
    pub fn health(&self) -> Result<(), StoreError> {
        self.handle.shared.health()
    }

    /// Resolves when a write to the disk has failed: the process should stop then.
    pub async fn failed(&self) -> StoreError {
        self.handle.shared.failed().await
    }

    /// Makes the writes that wait, ends every watch and gives the files back.
    pub async fn close(self) -> Result<(), StoreError> {
        self.handle.queue.close();
        let mut outcome = self.handle.outcome.clone();
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
