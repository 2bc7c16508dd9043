//! Opening: again after closing, only once at a time, and never over what something else wrote.

use std::fs;

use bytes::Bytes;

use super::{delete, key, keys_on_disk, on_each_engine, open, put, refused, run, with_store};
use crate::{Expect, StoreError, StoreKind};

on_each_engine!(
    a_new_store_is_empty,
    reopening_restores_everything,
    closing_makes_the_writes_that_wait,
    a_second_opener_is_told_who_has_it,
    a_dropped_store_can_be_opened_again,
    another_engine_is_refused,
    missing_files_are_not_an_empty_store,
    a_creation_that_was_cut_short_begins_again,
    a_directory_that_cannot_be_written_is_named,
);

fn a_new_store_is_empty(kind: StoreKind) {
    with_store(kind, |store| async move {
        assert_eq!(store.list(""), (1, Vec::new()));
        assert!(store.watch("", 1).is_ok() && store.health().is_ok());
        assert!(matches!(
            store.watch("", 0),
            Err(StoreError::Compacted {
                requested: 0,
                oldest: 1
            })
        ));
    });
}

fn reopening_restores_everything(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = open(directory.path(), kind).unwrap();
        for i in 0..100 {
            put(&store, &format!("a/{:02}", i % 40), &i.to_string()).await;
        }
        delete(&store, "a/07").await;
        let before = (
            store.list(""),
            store.list_at("", 50).await.unwrap(),
            keys_on_disk(&store),
        );
        store.close().await.unwrap();
        let store = open(directory.path(), kind).unwrap();
        let after = (
            store.list(""),
            store.list_at("", 50).await.unwrap(),
            keys_on_disk(&store),
        );
        assert_eq!(before, after);
        assert_eq!(put(&store, "a/07", "new").await, before.0.0 + 1);
    });
}

fn closing_makes_the_writes_that_wait(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = open(directory.path(), kind).unwrap();
        let writers: Vec<_> = (0..200)
            .map(|i| {
                let store = store.clone();
                let write = async move {
                    store
                        .put(key(&format!("a/{i}")), "v".into(), Expect::Any)
                        .await
                };
                tokio::task::spawn(write)
            })
            .collect();
        let closed = store.clone().close().await;
        assert_eq!(closed, Ok(()));
        let mut made = 0;
        for writer in writers {
            match writer.await.unwrap() {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error, StoreError::Closed),
            }
        }
        let store = open(directory.path(), kind).unwrap();
        assert_eq!(
            store.list("a/").1.len(),
            made,
            "an answer and the disk differ"
        );
    });
}

fn a_second_opener_is_told_who_has_it(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = open(directory.path(), kind).unwrap();
        let error = refused(directory.path(), kind);
        let owner = std::process::id().to_string();
        assert_eq!(
            error,
            StoreError::Locked {
                directory: directory.path().to_owned(),
                owner: owner.clone()
            }
        );
        assert!(
            error
                .to_string()
                .contains(&format!("in use by process {owner}: stop that process")),
            "{error}"
        );
        put(&store, "a", "still works").await;
        store.close().await.unwrap();
        assert!(
            open(directory.path(), kind).is_ok(),
            "a lock that nobody holds blocks nobody"
        );
    });
}

fn a_dropped_store_can_be_opened_again(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        for round in 0..5 {
            let store = loop {
                match open(directory.path(), kind) {
                    // The writer of the store dropped before is about to let go.
                    Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                    opened => break opened.unwrap(),
                }
            };
            assert_eq!(store.list("a/").1.len(), round);
            put(&store, &format!("a/{round}"), "v").await;
        }
    });
}

fn another_engine_is_refused(kind: StoreKind) {
    let other = if kind == StoreKind::Sled {
        StoreKind::Redb
    } else {
        StoreKind::Sled
    };
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let store = open(directory.path(), kind).unwrap();
        put(&store, "a", "v").await;
        store.close().await.unwrap();
        let error = refused(directory.path(), other);
        assert!(matches!(&error, StoreError::OtherFormat { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("written as \"osier store 1 {kind}\"")),
            "{error}"
        );
        fs::write(
            directory.path().join("format"),
            format!("osier store 2 {kind}\n"),
        )
        .unwrap();
        assert!(matches!(
            refused(directory.path(), kind),
            StoreError::OtherFormat { .. }
        ));
        fs::remove_file(directory.path().join("format")).unwrap();
        assert!(matches!(
            refused(directory.path(), kind),
            StoreError::Corrupt { .. }
        ));
        assert!(matches!(
            refused(directory.path(), other),
            StoreError::Corrupt { .. }
        ));
    });
}

fn missing_files_are_not_an_empty_store(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join(kind.word());
    run(async {
        let store = open(directory.path(), kind).unwrap();
        put(&store, "a", "v").await;
        store.close().await.unwrap();
    });
    for file in fs::read_dir(&data).unwrap().map(Result::unwrap) {
        if file.path().is_file() {
            fs::remove_file(file.path()).unwrap();
        }
    }
    for _ in 0..2 {
        let error = refused(directory.path(), kind);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
    fs::remove_dir_all(&data).unwrap();
    let error = refused(directory.path(), kind);
    assert!(error.to_string().contains("files are missing"), "{error}");
    assert!(
        error.to_string().contains("put a backup in their place"),
        "{error}"
    );
}

fn a_creation_that_was_cut_short_begins_again(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let draft = directory.path().join(format!("{kind}.new"));
    fs::create_dir(&draft).unwrap();
    fs::write(draft.join("db"), Bytes::from(vec![9; 4096])).unwrap();
    fs::write(directory.path().join("format.new"), "osi").unwrap();
    fs::write(directory.path().join("acknowledged"), "").unwrap();
    let store = open(directory.path(), kind).unwrap();
    assert_eq!(store.revision(), 1);
    assert!(!draft.exists());
}

fn a_directory_that_cannot_be_written_is_named(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // Root may write anywhere but here.
    for path in [file.join("store"), "/proc/osier/store".into()] {
        let error = refused(&path, kind);
        assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("cannot create the directory"), "{text}");
        assert!(
            text.contains("needs a directory that it may write to"),
            "{text}"
        );
    }
}
