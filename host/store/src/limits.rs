//! Every bound of the store in one place.

use std::time::Duration;

/// What the store may hold and keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many revisions of history are kept for watches and chunked lists.
    pub history: usize,
    /// How many bytes of log records the history may hold; it is shortened beyond.
    pub history_bytes: usize,
    /// The largest value.
    pub value: usize,
    /// What all live objects may hold together, in memory; the disk holds about five times that with sled, twice with redb.
    pub objects: usize,
    /// How often a store that ran out of room looks whether there is some again.
    pub retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            history: 10_000,
            history_bytes: 256 << 20,
            value: 3 << 19,
            objects: 2 << 30,
            retry: Duration::from_secs(2),
        }
    }
}

/// The longest key. The index pages of sled hold 256 keys, and must stay below the size at which it would move them out.
pub(super) const KEY: usize = 512;
/// The bytes that must be free on a disk before a store that ran out of room writes again: some segments of sled, some
/// growth of redb, so that it does not run out again at once.
pub(super) const ROOM: u64 = 4 << 20;
/// The most writes in one commit.
pub(super) const GROUP: usize = 256;
/// The bytes after which a commit takes no further write.
pub(super) const GROUP_BYTES: usize = 1 << 20;
/// The most writes that wait for their commit; further callers wait for room.
pub(super) const WAITING: usize = 1024;
/// The most KiB that wait for their commit.
pub(super) const WAITING_KIB: usize = 64 << 10;
/// How many revisions are compacted for each write of a commit.
pub(super) const COMPACT_PER_WRITE: usize = 2;
/// How many revisions are compacted in one commit of an idle store.
pub(super) const COMPACT_IDLE: usize = 256;
