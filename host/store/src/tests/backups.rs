//! Backups: whole, of one moment, for either engine, and never over a store.

use std::io::Cursor;

use bytes::Bytes;

use super::{delete, on_each_engine, open, put, run};
use crate::{Contents, Store, StoreError, StoreKind, check_backup, restore};

on_each_engine!(
    what_was_saved_is_there_again_and_goes_on,
    a_store_is_not_replaced,
);

fn file(store: &Store) -> Vec<u8> {
    let pieces: Vec<Bytes> = store.backup().unwrap().pieces().collect();
    pieces.concat()
}

async fn filled(kind: StoreKind) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), kind).unwrap();
    for i in 0..300 {
        put(&store, &format!("a/{:03}", i % 200), &"x".repeat(i * 40)).await;
    }
    delete(&store, "a/007").await;
    (directory, store)
}

fn what_was_saved_is_there_again_and_goes_on(kind: StoreKind) {
    run(async {
        let (_directory, store) = filled(kind).await;
        let saved = file(&store);
        let (revision, objects) = store.list("");
        put(&store, "a/later", "gone").await;
        let other = match kind {
            StoreKind::Sled => StoreKind::Redb,
            StoreKind::Redb => StoreKind::Sled,
        };
        for kind in [kind, other] {
            let directory = tempfile::tempdir().unwrap();
            let contents = restore(directory.path(), kind, &mut Cursor::new(&saved)).unwrap();
            assert_eq!(
                contents,
                Contents {
                    revision,
                    objects: 199
                }
            );
            let again = open(directory.path(), kind).unwrap();
            assert_eq!(again.list("").1, objects);
            // Whoever watched before lists again, and no revision is handed out twice.
            assert!(matches!(
                again.watch("", revision),
                Err(StoreError::Compacted { .. })
            ));
            assert!(put(&again, "a/new", "1").await > revision + 1);
            again.close().await.unwrap();
            let again = open(directory.path(), kind).unwrap();
            assert_eq!(again.list("").1.len(), 200);
        }
    });
}

fn a_store_is_not_replaced(kind: StoreKind) {
    run(async {
        let (directory, store) = filled(kind).await;
        let saved = file(&store);
        let refused = restore(directory.path(), kind, &mut Cursor::new(&saved));
        assert!(
            matches!(refused, Err(StoreError::Locked { .. })),
            "{refused:?}"
        );
        store.close().await.unwrap();
        for kind in [StoreKind::Sled, StoreKind::Redb] {
            let refused = restore(directory.path(), kind, &mut Cursor::new(&saved));
            assert!(
                matches!(refused, Err(StoreError::Occupied { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(open(directory.path(), kind).unwrap().list("").1.len(), 199);
    });
}

#[test]
fn a_file_that_is_not_whole_makes_no_store() {
    run(async {
        let (_directory, store) = filled(StoreKind::Redb).await;
        let saved = file(&store);
        assert!(check_backup(&saved[..]).is_ok());
        let longer = [saved.as_slice(), b"x"].concat();
        let mut files = vec![Vec::new(), b"{}".to_vec(), longer];
        files.extend(
            [1, 30, 45, 5_000, saved.len() / 2, saved.len() - 1].map(|end| saved[..end].to_vec()),
        );
        files.extend([3, 25, 60, saved.len() / 2, saved.len() - 1].map(|place| {
            let mut file = saved.clone();
            file[place] ^= 1;
            file
        }));
        for file in files {
            let directory = tempfile::tempdir().unwrap();
            let refused = restore(directory.path(), StoreKind::Redb, &mut Cursor::new(&file));
            assert!(
                matches!(refused, Err(StoreError::NoBackup { .. })),
                "{refused:?}"
            );
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    });
}
