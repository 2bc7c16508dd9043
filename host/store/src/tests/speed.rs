//! How fast: `cargo test -p osier-apiserver speed -- --ignored --nocapture` prints puts a second and how long each took.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{key, on_ignored_engines, open, run};
use crate::{Expect, Store, StoreKind};

on_ignored_engines!(puts_a_second_by_writers);

/// How long each row runs.
const SPAN: Duration = Duration::from_secs(3);

fn puts_a_second_by_writers(kind: StoreKind) {
    for writers in [1, 16, 256] {
        let directory = tempfile::tempdir().unwrap();
        let mut times = run(async {
            let store = open(directory.path(), kind).unwrap();
            let started = Instant::now();
            let tasks: Vec<_> = (0..writers)
                .map(|w| tokio::task::spawn(write(store.clone(), w, started)))
                .collect();
            let mut times = Vec::new();
            for task in tasks {
                times.extend(task.await.unwrap());
            }
            store.close().await.unwrap();
            times
        });
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
        let rate = times.len() as u64 / SPAN.as_secs();
        println!(
            "{kind}: {writers:3} writers {rate:6} puts/s, p50 {:.2} ms, p99 {:.2} ms",
            at(50),
            at(99)
        );
    }
}

/// Puts values of 4 KiB over 200 objects until the time is up.
async fn write(store: Store, writer: usize, started: Instant) -> Vec<Duration> {
    let value = Bytes::from(vec![b'v'; 4096]);
    let mut times = Vec::new();
    while started.elapsed() < SPAN {
        let name = format!("core/configmaps/default/{writer}-{}", times.len() % 200);
        let began = Instant::now();
        store
            .put(key(&name), value.clone(), Expect::Any)
            .await
            .unwrap();
        times.push(began.elapsed());
    }
    times
}
