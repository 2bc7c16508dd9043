//! Damage on the disk: it is noticed and reported, or it hit nothing that counts. It is never answered by an empty store,
//! nor by one that lost something, and the files stay.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rand::Rng;

use super::{delete, key, on_each_engine, open, run};
use crate::{Entry, Expect, Store, StoreError, StoreKind};

on_each_engine!(
    flipped_bytes_are_reported,
    truncated_files_are_reported,
    an_older_copy_of_the_data_is_reported
);

/// A store with some hundred objects, closed.
fn fill(directory: &Path, kind: StoreKind) -> Contents {
    run(async {
        let store = open(directory, kind).unwrap();
        for round in 0..6 {
            let puts = (0..100).map(|i| {
                let value = Bytes::from(vec![b'a' + round; 200 + i * 40]);
                store.put(key(&format!("a/{i}")), value, Expect::Any)
            });
            futures::future::join_all(puts).await;
            delete(&store, &format!("a/{round}")).await;
        }
        let contents = contents(&store).await;
        store.close().await.unwrap();
        contents
    })
}

/// Everything that a client can learn of a store.
#[derive(PartialEq)]
struct Contents {
    objects: (u64, Vec<Entry>),
    log: BTreeMap<u64, (String, u64)>,
}

async fn contents(store: &Store) -> Contents {
    let mut watch = store.watch("", 1).unwrap();
    let mut log = BTreeMap::new();
    for _ in 1..store.revision() {
        let event = watch.next().await.unwrap();
        log.insert(event.revision, (event.key.to_string(), event.replaced));
    }
    Contents {
        objects: store.list(""),
        log,
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

/// The one file that holds the data.
fn data(directory: &Path, kind: StoreKind) -> PathBuf {
    directory.join(match kind {
        StoreKind::Sled => "sled/db",
        StoreKind::Redb => "redb/data.redb",
    })
}

/// Opens twice what was damaged; true if it was refused.
fn judge(directory: &Path, kind: StoreKind, expected: &Contents, what: &str) -> bool {
    let mut refused = false;
    for attempt in 0..2 {
        match open(directory, kind) {
            Ok(store) => {
                assert!(!refused, "{what}: refused first, then opened");
                let found = run(async {
                    let found = contents(&store).await;
                    store.close().await.unwrap();
                    found
                });
                assert!(
                    found == *expected,
                    "{what}: attempt {attempt} opened with other contents"
                );
            }
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Corrupt { .. }),
                    "{what}: {error}"
                );
                assert!(
                    data(directory, kind).metadata().unwrap().len() > 0,
                    "{what}: the file is gone"
                );
                refused = true;
            }
        }
    }
    refused
}

fn flipped_bytes_are_reported(kind: StoreKind) {
    let (whole, mut random, mut refused) = (tempfile::tempdir().unwrap(), rand::rng(), 0);
    let expected = fill(whole.path(), kind);
    let length = data(whole.path(), kind).metadata().unwrap().len();
    for _ in 0..40 {
        let damaged = tempfile::tempdir().unwrap();
        copy(whole.path(), damaged.path());
        let file = File::options()
            .read(true)
            .write(true)
            .open(data(damaged.path(), kind))
            .unwrap();
        let (at, mut bytes) = (random.random_range(0..length - 16), [0; 16]);
        file.read_exact_at(&mut bytes, at).unwrap();
        file.write_all_at(&bytes.map(|byte| byte ^ random.random_range(1..=255)), at)
            .unwrap();
        refused += u32::from(judge(
            damaged.path(),
            kind,
            &expected,
            &format!("16 bytes flipped at {at}"),
        ));
    }
    println!("{kind}: {refused} of 40 refused, the others hit free space");
    assert!(refused > 0);
}

fn truncated_files_are_reported(kind: StoreKind) {
    let (whole, mut random, mut refused) = (tempfile::tempdir().unwrap(), rand::rng(), 0);
    let expected = fill(whole.path(), kind);
    let length = data(whole.path(), kind).metadata().unwrap().len();
    for round in 0..12 {
        let damaged = tempfile::tempdir().unwrap();
        copy(whole.path(), damaged.path());
        let left = if round == 0 {
            1
        } else {
            random.random_range(1..length)
        };
        File::options()
            .write(true)
            .open(data(damaged.path(), kind))
            .unwrap()
            .set_len(left)
            .unwrap();
        refused += u32::from(judge(
            damaged.path(),
            kind,
            &expected,
            &format!("cut to {left} of {length} bytes"),
        ));
    }
    println!("{kind}: {refused} of 12 refused, the others lost free space");
    assert!(refused > 0);
}

fn an_older_copy_of_the_data_is_reported(kind: StoreKind) {
    let (now, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(now.path(), kind);
    copy(now.path(), older.path());
    run(async {
        let store = open(now.path(), kind).unwrap();
        delete(&store, "a/50").await;
        store.close().await.unwrap();
    });
    fs::remove_dir_all(now.path().join(kind.word())).unwrap();
    copy(
        &older.path().join(kind.word()),
        &now.path().join(kind.word()),
    );
    let Err(error) = open(now.path(), kind) else {
        panic!("the loss of an acknowledged write went unnoticed")
    };
    assert!(
        error
            .to_string()
            .contains("but revision 608 was acknowledged"),
        "{error}"
    );
}

/// sled fills its file with zeros when the segment in which its recovery begins is gone; it must not come to that.
#[test]
fn what_sled_would_wipe_is_refused_and_left_as_it_is() {
    let (whole, kind) = (tempfile::tempdir().unwrap(), StoreKind::Sled);
    run(async {
        let store = open(whole.path(), kind).unwrap();
        for round in 0..40 {
            let value = Bytes::from(vec![round; 100_000]);
            store.put(key("a"), value, Expect::Any).await.unwrap();
        }
        store.close().await.unwrap();
    });
    let length = data(whole.path(), kind).metadata().unwrap().len();
    let mut refused = 0;
    for segment in 0..length >> 19 {
        let damaged = tempfile::tempdir().unwrap();
        copy(whole.path(), damaged.path());
        let path = data(damaged.path(), kind);
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[0; 20], segment << 19).unwrap();
        let before = fs::read(&path).unwrap();
        let error = open(damaged.path(), kind)
            .err()
            .map(|error| error.to_string());
        if error.is_some_and(|error| error.contains("of sled's log")) {
            refused += 1;
            assert!(fs::read(&path).unwrap() == before, "its file was changed");
        }
    }
    assert!(refused > 0, "none of {} headers mattered", length >> 19);
}
