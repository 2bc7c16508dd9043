//! Where a store of a scenario lives: a directory, or an etcd of its own.

use std::future::Future;
use std::path::Path;

use osier_tests::etcd::Etcd;
use tempfile::TempDir;

use crate::{Limits, Location, Store, StoreKind};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Sled,
    Redb,
    Etcd,
}

impl From<StoreKind> for Ground {
    fn from(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sled => Self::Sled,
            StoreKind::Redb => Self::Redb,
        }
    }
}

impl Ground {
    /// How many cases of a property are tried: each needs a store of its own, and an etcd starts more slowly.
    pub(super) fn cases(self, most: u32) -> u32 {
        match self {
            Self::Etcd => most / 8,
            _ => most,
        }
    }

    /// Makes writes that are to be made in this order: at once where the store has one queue, one by one in an etcd.
    pub(super) async fn in_order<F: Future>(
        self,
        writes: impl IntoIterator<Item = F>,
    ) -> Vec<F::Output> {
        if self != Self::Etcd {
            return futures::future::join_all(writes).await;
        }
        let mut made = Vec::new();
        for write in writes {
            made.push(write.await);
        }
        made
    }
}

/// A place for one store, which is gone when it is dropped.
pub(super) enum Home {
    Directory(TempDir, StoreKind),
    Etcd(Etcd),
}

impl Home {
    pub(super) fn new(ground: Ground) -> Self {
        let directory = || tempfile::tempdir().unwrap();
        match ground {
            Ground::Sled => Self::Directory(directory(), StoreKind::Sled),
            Ground::Redb => Self::Directory(directory(), StoreKind::Redb),
            Ground::Etcd => Self::Etcd(Etcd::start(1).unwrap()),
        }
    }

    pub(super) async fn open(&self, limits: Limits) -> Store {
        match self {
            Self::Directory(directory, kind) => {
                Store::open(directory.path(), *kind, limits).unwrap()
            }
            Self::Etcd(etcd) => connect(etcd, limits).await,
        }
    }

    /// Where the bytes end up on the disk.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Directory(directory, _) => directory.path(),
            Self::Etcd(etcd) => etcd.folder(),
        }
    }

    /// The directory, if it is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(directory, _) => Some(directory.path()),
            Self::Etcd(_) => None,
        }
    }
}

/// One process's store of an etcd.
pub(super) async fn connect(etcd: &Etcd, limits: Limits) -> Store {
    let location: Location = etcd.location().parse().unwrap();
    Store::connect(&location, None, limits).await.unwrap()
}

impl Store {
    /// Waits until a watch can no longer start at a revision.
    pub(super) async fn compacted_beyond(&self, revision: u64) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while self.handle.shared.state.read().compacted() <= revision {
            assert!(tokio::time::Instant::now() < deadline, "no compaction");
            tokio::task::yield_now().await;
        }
    }
}
