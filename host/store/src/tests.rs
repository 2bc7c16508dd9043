//! One suite for every store: what it promises is checked on sled, on redb and on a real etcd by the same code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod backups;
mod bounds;
mod crash;
mod damage;
mod encryption;
mod home;
mod model;
mod opening;
mod remote;
mod speed;
mod watching;
mod writing;

use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;

use super::layout::{INDEX_RANGE, LOG_RANGE};
use super::shared::Past;
use super::{Expect, Key, Limits, Store, StoreError, StoreKind};

/// Makes a test of each scenario for each engine.
macro_rules! on_each_engine {
    ($($scenario:ident),* $(,)?) => {
        mod sled {
            $(#[test] fn $scenario() { super::$scenario(crate::StoreKind::Sled) })*
        }
        mod redb {
            $(#[test] fn $scenario() { super::$scenario(crate::StoreKind::Redb) })*
        }
    };
}
/// Makes a test of each scenario for each store.
macro_rules! on_each_store {
    ($($scenario:ident),* $(,)?) => {
        mod sled {
            $(#[test] fn $scenario() { super::$scenario(crate::tests::home::Ground::Sled) })*
        }
        mod redb {
            $(#[test] fn $scenario() { super::$scenario(crate::tests::home::Ground::Redb) })*
        }
        mod etcd {
            $(#[test] fn $scenario() { super::$scenario(crate::tests::home::Ground::Etcd) })*
        }
    };
}
/// The same for what is run by hand.
macro_rules! on_ignored_engines {
    ($($scenario:ident),* $(,)?) => {
        mod sled {
            $(#[test] #[ignore = "a measurement"] fn $scenario() { super::$scenario(crate::StoreKind::Sled) })*
        }
        mod redb {
            $(#[test] #[ignore = "a measurement"] fn $scenario() { super::$scenario(crate::StoreKind::Redb) })*
        }
    };
}
use home::{Ground, Home};
use {on_each_engine, on_each_store, on_ignored_engines};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// A scenario on a new store of its own.
fn with_store<F: Future<Output = ()>>(
    ground: impl Into<Ground>,
    scenario: impl FnOnce(Store) -> F,
) {
    let home = Home::new(ground.into());
    run(async { scenario(home.open(Limits::default()).await).await });
}

fn open(directory: &Path, kind: StoreKind) -> Result<Store, StoreError> {
    Store::open(directory, kind, Limits::default())
}

/// A history of so many revisions.
fn history(history: usize) -> Limits {
    Limits {
        history,
        ..Limits::default()
    }
}

fn key(text: &str) -> Key {
    Key::from(text)
}

async fn put(store: &Store, name: &str, value: &str) -> u64 {
    store
        .put(
            key(name),
            Bytes::copy_from_slice(value.as_bytes()),
            Expect::Any,
        )
        .await
        .unwrap()
}

async fn delete(store: &Store, name: &str) -> u64 {
    store.delete(key(name), Expect::Any).await.unwrap()
}

/// How many keys the engine holds of the index and of the log.
fn keys_on_disk(store: &Store) -> (usize, usize) {
    let count = |(from, to): ([u8; 1], [u8; 1])| {
        let mut count = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        let Past::Disk(disk) = &store.handle.shared.past else {
            panic!("not on a disk");
        };
        disk.read(|engine| engine.range(&from, &to, &mut visit))
            .unwrap();
        count
    };
    (count(INDEX_RANGE), count(LOG_RANGE))
}

/// What the files in a directory take, below it too.
fn bytes_on_disk(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.path().is_dir() {
                bytes_on_disk(&entry.path())
            } else {
                entry.metadata().unwrap().len()
            }
        })
        .sum()
}

/// The error of an opening that must not work.
fn refused(directory: &Path, kind: StoreKind) -> StoreError {
    match open(directory, kind) {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}
