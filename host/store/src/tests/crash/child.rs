//! The process that is killed. It does nothing unless the parent says where the store is.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::super::{history, key};
use crate::{Expect, Limits, Store, StoreError};

/// How many tasks write, unless the parent says otherwise.
const WRITERS: u64 = 16;
/// How many objects each task writes.
const OBJECTS: u64 = 12;

#[test]
fn run() {
    let Some(directory) = std::env::var_os("OSIER_STORE_DIRECTORY").map(PathBuf::from) else {
        return;
    };
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let kind = std::env::var("OSIER_STORE_KIND").unwrap().parse().unwrap();
    let limits = Limits {
        // Who does not recover never tries.
        retry: Duration::from_millis(number("OSIER_STORE_RETRY").unwrap_or(1 << 32)),
        ..history(usize::try_from(number("OSIER_STORE_HISTORY").unwrap()).unwrap())
    };
    let recovers = number("OSIER_STORE_RETRY").is_some();
    let writes = number("OSIER_STORE_WRITES").unwrap_or(u64::MAX);
    // The test harness has begun a line.
    say("");
    match Store::open(&directory, kind, limits) {
        Ok(store) => super::super::run(work(
            store,
            number("OSIER_STORE_WRITERS").unwrap_or(WRITERS),
            writes,
            recovers,
        )),
        Err(error) => say(&format!("refused {error}")),
    }
}

/// One line, whole or not at all.
fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    // The parent may have closed its end.
    let _ = output
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| output.flush());
}

async fn work(store: Store, writers: u64, writes: u64, recovers: bool) {
    say("open");
    let Some(error) = write_all(&store, writers, writes).await else {
        return finish(store).await;
    };
    say(&format!("failed {error}"));
    let after = store
        .put(key("after"), "v".into(), Expect::Any)
        .await
        .unwrap_err();
    say(&format!("after failed {after}"));
    assert_eq!(store.health(), Err(after));
    if !store.list("").1.is_empty() {
        say("reads still work");
    }
    if recovers {
        recover(&store).await;
        assert_eq!(write_all(&store, writers, 600).await, None);
        return finish(store).await;
    }
    let _ = store.close().await;
}

/// What the writes of many tasks ended with, if not with the last one.
async fn write_all(store: &Store, writers: u64, writes: u64) -> Option<StoreError> {
    let sequence = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            tokio::task::spawn(write(store.clone(), writer, Arc::clone(&sequence), writes))
        })
        .collect();
    let mut failed = None;
    for task in tasks {
        failed = task.await.unwrap().err().or(failed);
    }
    failed
}

/// Makes room, and writes until a write is taken.
async fn recover(store: &Store) {
    let own = std::process::id().to_string();
    let raised = std::process::Command::new("prlimit")
        .args(["--pid", &own, "--fsize=unlimited"])
        .status();
    assert!(raised.unwrap().success());
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = store.put(key("after"), "v".into(), Expect::Any).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
        tokio::task::yield_now().await;
    }
    assert_eq!(store.health(), Ok(()));
    say("recovered");
}

async fn finish(store: Store) {
    store.close().await.unwrap();
    say("done");
}

/// Writes objects that no other task touches, so that their order is known, and says what it begins and what was
/// acknowledged.
async fn write(
    store: Store,
    writer: u64,
    sequence: Arc<AtomicU64>,
    writes: u64,
) -> Result<(), StoreError> {
    let mut turn = u64::from(std::process::id());
    loop {
        if sequence.fetch_add(1, Ordering::Relaxed) >= writes {
            return Ok(());
        }
        turn = turn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(writer | 1);
        let name = format!("{writer}/{}", (turn >> 33) % OBJECTS);
        let current = store.get(&name);
        let expect = current
            .as_ref()
            .map_or(Expect::Absent, |entry| Expect::Revision(entry.modified));
        let revision = if current.is_some() && (turn >> 40).is_multiple_of(10) {
            say(&format!("deleting {name}"));
            let revision = store.delete(key(&name), expect).await?;
            say(&format!("deleted {name} {revision}"));
            revision
        } else {
            let (seed, size) = (turn >> 20, size(turn));
            say(&format!("putting {name} {seed} {size}"));
            let revision = store.put(key(&name), value(seed, size), expect).await?;
            say(&format!("put {name} {revision} {seed} {size}"));
            revision
        };
        assert!(
            store.revision() >= revision,
            "answered before it was published"
        );
    }
}

/// Mostly 1 to 8 KiB, seldom much more.
fn size(turn: u64) -> usize {
    let size = if (turn >> 50).is_multiple_of(64) {
        300 << 10
    } else {
        1024 + (turn >> 24) % 7168
    };
    usize::try_from(size).unwrap()
}

/// The bytes that belong to a seed.
pub(super) fn value(seed: u64, size: usize) -> Bytes {
    let block = seed.to_be_bytes();
    block.iter().copied().cycle().take(size).collect()
}
