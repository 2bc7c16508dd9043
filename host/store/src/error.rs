//! Everything that a store can answer instead of doing what it was asked, in words that name the object and the remedy.

use std::path::PathBuf;

/// Why the store refused an operation, or could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A write expected the key to be absent.
    #[error("{key} already exists")]
    AlreadyExists {
        /// The key that exists.
        key: String,
    },
    /// A write expected the key to be present.
    #[error("{key} does not exist")]
    NotFound {
        /// The key that is absent.
        key: String,
    },
    /// A write expected another revision of the key.
    #[error(
        "{key} stands at revision {current}, not at the expected one: read it again and repeat the change"
    )]
    Conflict {
        /// The key of the object.
        key: String,
        /// The revision at which it stands.
        current: u64,
    },
    /// The revision asked for is older than the history that is kept.
    #[error(
        "revision {requested} is compacted, the oldest kept is {oldest}: list again and watch from there"
    )]
    Compacted {
        /// The revision that was asked for.
        requested: u64,
        /// The oldest revision from which a watch can start.
        oldest: u64,
    },
    /// The revision asked for has not happened yet.
    #[error("revision {requested} is in the future, the store stands at {current}")]
    Future {
        /// The revision that was asked for.
        requested: u64,
        /// The newest revision.
        current: u64,
    },
    /// A watcher fell too far behind and was closed.
    #[error(
        "the watch of {prefix:?} did not keep up with the changes and was closed: list again and watch from there"
    )]
    Overflow {
        /// What was watched.
        prefix: String,
    },
    /// There are too many watchers.
    #[error("there are already {limit} watches open: close some, or try again later")]
    TooManyWatches {
        /// The most watches that may be open.
        limit: usize,
    },
    /// A key is empty or too long.
    #[error("a key of {length} bytes cannot be stored, it must have 1 to {limit}: {key}")]
    InvalidKey {
        /// The key, cut where it is very long.
        key: String,
        /// Its length in bytes.
        length: usize,
        /// The longest key.
        limit: usize,
    },
    /// A value is too large.
    #[error(
        "{key} has {bytes} bytes, the store takes {limit} at most: split it, or move the bulk elsewhere"
    )]
    TooLarge {
        /// The key of the value.
        key: String,
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The objects together are larger than the store may grow.
    #[error(
        "the store is full: its objects hold {bytes} bytes of {limit}; delete some, deletions are still taken"
    )]
    Full {
        /// What the live objects hold.
        bytes: usize,
        /// What they may hold.
        limit: usize,
    },
    /// There is no room on the disk. Writes are taken again once there is.
    #[error("the store in {} takes no writes: {reason}. What was written before is read and served on. Make room on that disk: writes are taken again some seconds later", directory.display())]
    NoRoom {
        /// Where the store is.
        directory: PathBuf,
        /// What the system answered.
        reason: String,
    },
    /// Writing to the disk failed before; the store only reads until the process starts again.
    #[error(
        "the store takes no more writes since {reason}; what was written before is read and served on: see to the disk, then restart"
    )]
    Failed {
        /// What happened.
        reason: String,
    },
    /// What a guarded write was decided by has changed.
    #[error(
        "{key} was not written: what its write was decided by has changed; look again and repeat it"
    )]
    Overtaken {
        /// The key of the object.
        key: String,
    },
    /// An object is encrypted, and cannot be read.
    #[error(
        "{key} cannot be read: {reason}. Nothing was changed: start again with the keys it was written with (--encryption-provider-config)"
    )]
    Sealed {
        /// The key of the object.
        key: String,
        /// Why it does not open.
        reason: String,
    },
    /// Nobody of an etcd answers, or not in time.
    #[error(
        "{store} does not answer: {reason}; see to its members, a majority of them must run and reach each other"
    )]
    Unreachable {
        /// Where the store is.
        store: String,
        /// What was found.
        reason: String,
    },
    /// An etcd answers, but not with what was asked for.
    #[error("{store} cannot be used: {reason}")]
    Refused {
        /// Where the store is.
        store: String,
        /// What it said.
        reason: String,
    },
    /// The store is closed or closing.
    #[error("the store is closed")]
    Closed,
    /// Another process has the store open.
    #[error("the store in {} is in use by process {owner}: stop that process, or choose another data directory", directory.display())]
    Locked {
        /// Where the store is.
        directory: PathBuf,
        /// The pid of the owner, or "unknown".
        owner: String,
    },
    /// The directory holds what another engine, or a newer version, wrote.
    #[error("the store in {} is written as {found:?}, this process was asked for {asked:?}: choose that engine, or another place", directory.display())]
    OtherFormat {
        /// Where the store is.
        directory: PathBuf,
        /// What the directory says of itself.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// What is on the disk is damaged. Nothing was deleted, and nothing will be served.
    #[error("the store in {} is damaged: {reason}. Its files are kept as they are: put a backup in their place, or move the directory aside to start with an empty store", directory.display())]
    Corrupt {
        /// Where the store is.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file is no backup, or not whole.
    #[error("the backup cannot be used: {reason}. Nothing was written")]
    NoBackup {
        /// What is wrong with it.
        reason: String,
    },
    /// There is a store where one should be made of a backup.
    #[error("there is a store in {} already: move it aside, or choose another data directory", directory.display())]
    Occupied {
        /// Where it is.
        directory: PathBuf,
    },
    /// A file or directory of the store cannot be used.
    #[error("cannot {action} {}: {reason}. The store needs a directory that it may write to, on a disk with free space", path.display())]
    Unusable {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system answered.
        reason: String,
    },
}
