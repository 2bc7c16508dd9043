//! Key-value buckets of pods: a directory of the node with a file for each key, so that people see what a component keeps, volumes bound
//! it, and whatever keeps the volume keeps the bucket.
//!
//! The directory may be a volume that a guest writes to by other ways. So files are opened by name below the directory that was opened
//! once, no symbolic link is followed, and only plain files are values. A change is written aside and renamed: a reader sees the old
//! value or the new one. Everybody on a node who opens a directory shares one lock, which makes changes atomic.

mod kept;
mod name;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use osier_process::Tasks;
use parking_lot::Mutex;

use kept::Kept;
pub use kept::Page;

/// Values of one request for many.
const MOST_AT_ONCE: usize = 1_000;

/// All buckets of a node that are open. Clones share them.
#[derive(Clone)]
pub struct Buckets(Arc<Inner>);

struct Inner {
    tasks: Tasks,
    /// By device and number of the directory.
    open: Mutex<HashMap<(u64, u64), Weak<Kept>>>,
}

/// Where a bucket lies.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Its path; it must exist.
    pub path: PathBuf,
    /// Whether it may only be read.
    pub read_only: bool,
    /// Whether it outlives the pod: then a change is on the disk before it is answered.
    pub durable: bool,
}

/// A bucket. Clones share it.
#[derive(Clone)]
pub struct Bucket {
    kept: Arc<Kept>,
    tasks: Tasks,
    read_only: bool,
}

/// Why a bucket did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// The bucket may only be read.
    #[error("the bucket is read-only")]
    ReadOnly,
    /// A key that cannot be one.
    #[error("the key {key:?} {fault}")]
    Key {
        /// Its beginning.
        key: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// A value that is no number is not added to.
    #[error("the value of the key {key:?} is not a whole number from 0 to 2^64 - 1")]
    NotANumber {
        /// The key.
        key: String,
    },
    /// A bound would be exceeded.
    #[error("{what}: at most {most}")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: u64,
    },
    /// The disk failed.
    #[error("the bucket's directory: {reason}")]
    Disk {
        /// What the system said.
        reason: String,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl Buckets {
    /// None is open yet; what blocks is done by these tasks.
    #[must_use]
    pub fn new(tasks: Tasks) -> Self {
        Self(Arc::new(Inner {
            tasks,
            open: Mutex::default(),
        }))
    }

    /// Opens the bucket in a directory. Blocks: it counts what is there.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(&self, directory: &Directory) -> Result<Bucket, BucketError> {
        let (place, opened) = kept::enter(&directory.path)?;
        // Held while it is counted: nobody shall count what another already changes.
        let mut open = self.0.open.lock();
        open.retain(|_, kept| kept.strong_count() > 0);
        let known = open.get(&place).and_then(Weak::upgrade);
        let kept = match known {
            Some(kept) => kept,
            None => Arc::new(Kept::count(opened, directory.durable)?),
        };
        open.insert(place, Arc::downgrade(&kept));
        Ok(Bucket {
            kept,
            tasks: self.0.tasks.clone(),
            read_only: directory.read_only,
        })
    }
}

impl Bucket {
    /// The value of a key.
    ///
    /// # Errors
    /// See [`BucketError`]; likewise of all that follow.
    pub async fn get(&self, key: String) -> Result<Option<Vec<u8>>, BucketError> {
        self.on(move |kept| kept.get(&key)).await
    }

    /// Whether a key exists.
    pub async fn exists(&self, key: String) -> Result<bool, BucketError> {
        self.on(move |kept| kept.exists(&key)).await
    }

    /// A page of the keys in order, from a place on.
    pub async fn keys(&self, from: u64) -> Result<Page, BucketError> {
        self.on(move |kept| kept.keys(from)).await
    }

    /// Sets the value of a key.
    pub async fn set(&self, key: String, value: Vec<u8>) -> Result<(), BucketError> {
        self.change(move |kept| kept.set(&key, &value)).await
    }

    /// Removes a key, if it exists.
    pub async fn delete(&self, key: String) -> Result<(), BucketError> {
        self.change(move |kept| kept.delete(&key)).await
    }

    /// Adds to the number that a key holds.
    pub async fn increment(&self, key: String, delta: u64) -> Result<u64, BucketError> {
        self.change(move |kept| kept.increment(&key, delta)).await
    }

    /// The values of keys, in their order.
    pub async fn get_many(
        &self,
        keys: Vec<String>,
    ) -> Result<Vec<Option<(String, Vec<u8>)>>, BucketError> {
        at_once(keys.len())?;
        self.on(move |kept| {
            let pairs = keys.into_iter().map(|key| {
                let value = kept.get(&key)?;
                Ok(value.map(|value| (key, value)))
            });
            pairs.collect()
        })
        .await
    }

    /// Sets the values of keys, one after the other.
    pub async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), BucketError> {
        at_once(pairs.len())?;
        self.change(move |kept| {
            pairs
                .iter()
                .try_for_each(|(key, value)| kept.set(key, value))
        })
        .await
    }

    /// Removes keys, one after the other.
    pub async fn delete_many(&self, keys: Vec<String>) -> Result<(), BucketError> {
        at_once(keys.len())?;
        self.change(move |kept| keys.iter().try_for_each(|key| kept.delete(key)))
            .await
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Kept) -> Result<T, BucketError> + Send + 'static,
    ) -> Result<T, BucketError> {
        if self.read_only {
            return Err(BucketError::ReadOnly);
        }
        self.on(work).await
    }

    async fn on<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Kept) -> Result<T, BucketError> + Send + 'static,
    ) -> Result<T, BucketError> {
        let kept = Arc::clone(&self.kept);
        let done = self.tasks.spawn_blocking("bucket", move || work(&kept));
        done.await.map_err(|_| BucketError::Stopping)?
    }
}

fn at_once(number: usize) -> Result<(), BucketError> {
    match number > MOST_AT_ONCE {
        true => Err(BucketError::Full {
            what: "keys of one request",
            most: MOST_AT_ONCE as u64,
        }),
        false => Ok(()),
    }
}
