//! What compaction leaves, and that neither history nor disk grows without end.

use bytes::Bytes;

use super::{bytes_on_disk, delete, history, key, keys_on_disk, on_each_engine, open, put, run};
use crate::{Expect, Limits, Store, StoreError, StoreKind};

on_each_engine!(
    history_is_bounded_and_what_is_left_is_whole,
    an_idle_store_shortens_its_history,
    history_is_bounded_by_bytes_too,
    the_disk_is_bounded_under_churn,
);

/// Waits until the condition holds; the writer works on its own.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} did not happen"
        );
        tokio::task::yield_now().await;
    }
}

fn history_is_bounded_and_what_is_left_is_whole(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = Store::open(directory.path(), kind, history(50)).unwrap();
        for i in 0..400 {
            put(&store, &format!("a/{}", i % 7), &i.to_string()).await;
        }
        for i in 0..5 {
            delete(&store, &format!("a/{i}")).await;
        }
        let now = store.revision();
        let error = store.watch("a/", now - 51).err();
        assert_eq!(
            error,
            Some(StoreError::Compacted {
                requested: now - 51,
                oldest: now - 50
            })
        );
        assert!(matches!(
            store.list_at("a/", now - 51).await,
            Err(StoreError::Compacted { .. })
        ));
        // The history, what it replaced of seven keys, and the two keys that are left.
        let (index, log) = keys_on_disk(&store);
        assert_eq!(index, 2);
        assert!((50..=50 + 7 + 2).contains(&log), "{log} records");
        let old = store.list_at("a/", now - 50).await.unwrap();
        assert_eq!(old.len(), 7);
        assert!(
            old.iter()
                .all(|entry| entry.modified <= now - 50 && entry.modified > now - 57)
        );
        let mut watch = store.watch("a/", now - 50).unwrap();
        for revision in now - 49..=now {
            assert_eq!(watch.next().await.unwrap().revision, revision);
        }
        store.close().await.unwrap();
        let store = Store::open(directory.path(), kind, history(50)).unwrap();
        assert_eq!(
            (store.revision(), keys_on_disk(&store)),
            (now, (index, log))
        );
        assert_eq!(store.list_at("a/", now - 50).await.unwrap(), old);
    });
}

fn an_idle_store_shortens_its_history(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = open(directory.path(), kind).unwrap();
        let puts =
            (0..600).map(|i| store.put(key(&format!("a/{}", i % 3)), "v".into(), Expect::Any));
        futures::future::join_all(puts).await;
        assert_eq!(keys_on_disk(&store), (3, 600));
        store.close().await.unwrap();
        let store = Store::open(directory.path(), kind, history(10)).unwrap();
        eventually("compaction", || store.watch("", 580).is_err()).await;
        eventually("compaction", || keys_on_disk(&store) == (3, 13)).await;
        assert!(store.health().is_ok());
    });
}

fn history_is_bounded_by_bytes_too(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        history_bytes: 1 << 20,
        ..Limits::default()
    };
    run(async {
        let store = Store::open(directory.path(), kind, limits).unwrap();
        for _ in 0..64 {
            store
                .put(key("a"), Bytes::from(vec![1; 100 << 10]), Expect::Any)
                .await
                .unwrap();
        }
        let records = keys_on_disk(&store).1 / 26;
        assert!((10..=12).contains(&records), "{records} records of 100 KiB");
    });
}

fn the_disk_is_bounded_under_churn(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = Store::open(directory.path(), kind, history(200)).unwrap();
        let value = |round: usize| Bytes::from(vec![u8::try_from(round % 250).unwrap(); 4000]);
        let mut sizes = Vec::new();
        for round in 0..30 {
            let puts = (0..500)
                .map(|i| store.put(key(&format!("a/{}", i % 100)), value(round), Expect::Any));
            assert!(
                futures::future::join_all(puts)
                    .await
                    .iter()
                    .all(Result::is_ok)
            );
            sizes.push(bytes_on_disk(directory.path()) >> 20);
        }
        // 60 MB went through; 300 values of 4 KB are live or history.
        let (middle, end) = (sizes[14], sizes[29]);
        assert!(
            end <= 40 && end <= middle + middle / 2 + 8,
            "MiB on disk: {sizes:?}"
        );
    });
}
