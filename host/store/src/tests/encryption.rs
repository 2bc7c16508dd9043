//! Encryption where objects are stored: nothing in the clear, keys that change, and keys that are wrong.

use bytes::Bytes;
use futures::FutureExt;
use osier_identity::KeyRing;

use super::{Ground, Home, delete, key, on_each_store, put, run};
use crate::{EventKind, Expect, Limits, Sealing, SealingRule, Store, StoreError};

on_each_store!(
    what_is_encrypted_is_read_listed_and_watched_as_it_was_put,
    nothing_is_in_the_clear_where_it_is_stored,
    a_key_is_changed_and_the_old_one_is_no_longer_needed,
    encryption_is_turned_on_and_off,
    a_wrong_key_is_refused_and_nothing_is_lost,
);

const SECRET: &str = "core/secrets/default/a";
const VALUE: &str = "hunter2-hunter2-hunter2";

/// Secrets are encrypted with the first of these keys, each given by its name and the byte that it is made of.
fn sealing(keys: &[(&str, u8)]) -> Sealing {
    let keys = keys
        .iter()
        .map(|(name, byte)| ((*name).to_owned(), vec![*byte; 32]));
    let rule = SealingRule {
        resources: vec!["secrets".to_owned()],
        keys: KeyRing::new(keys.collect()).unwrap(),
        plain: false,
    };
    Sealing { rules: vec![rule] }
}

async fn open(home: &Home, sealing: Sealing) -> Result<Store, StoreError> {
    home.open(Limits::default()).await.sealed(sealing).await
}

/// What the store holds of an object.
fn stored(store: &Store, name: &str) -> Bytes {
    let state = store.handle.shared.state.read();
    state.get(name).unwrap().value.clone()
}

fn what_is_encrypted_is_read_listed_and_watched_as_it_was_put(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        let start = store.revision();
        let first = put(&store, SECRET, VALUE).await;
        put(&store, SECRET, "second").await;
        put(&store, "core/configmaps/default/a", "plain").await;
        delete(&store, SECRET).await;
        assert_eq!(
            store.list_at("core/secrets/", first).await.unwrap()[0].value,
            VALUE
        );
        let mut watch = store.watch("core/secrets/", start).unwrap();
        let kinds = [
            EventKind::Put {
                value: VALUE.into(),
                previous: None,
            },
            EventKind::Put {
                value: "second".into(),
                previous: Some(VALUE.into()),
            },
            EventKind::Delete {
                previous: "second".into(),
            },
        ];
        for kind in kinds {
            assert!(watch.next().await.unwrap().kind == kind);
        }
        assert!(watch.next().now_or_never().is_none());
        let (seen, told) = std::sync::mpsc::channel();
        store.observe("core/", move |event| {
            if let EventKind::Put { value, .. } = &event.kind {
                seen.send(value.clone()).unwrap();
            }
        });
        put(&store, SECRET, "third").await;
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["plain", "third"]);
        assert_eq!(store.get(SECRET).unwrap().value, "third");
        assert_eq!(store.list("core/secrets/").1[0].value, "third");
        assert_eq!(stored(&store, "core/configmaps/default/a"), "plain");
        store.close().await.unwrap();
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        assert_eq!(store.get(SECRET).unwrap().value, "third");
        // The past that is read anew opens too.
        let mut watch = store.watch("core/secrets/", start).unwrap();
        let event = watch.next().await.unwrap();
        assert!(
            event.kind
                == EventKind::Put {
                    value: VALUE.into(),
                    previous: None
                }
        );
        store.close().await.unwrap();
    });
}

fn nothing_is_in_the_clear_where_it_is_stored(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        for number in 0..20 {
            put(&store, &format!("{SECRET}{number}"), VALUE).await;
        }
        assert!(!holds(&stored(&store, &format!("{SECRET}7")), VALUE));
        store.close().await.unwrap();
    });
    let files = files(home.folder());
    assert!(
        files
            .iter()
            .any(|file| holds(file, "osier:enc:aesgcm:v1:k1:"))
    );
    assert!(!files.iter().any(|file| holds(file, "hunter2")));
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// The content of every file below a directory.
fn files(directory: &std::path::Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let read = entries.flat_map(|entry| match entry.path().is_dir() {
        true => files(&entry.path()),
        false => vec![std::fs::read(entry.path()).unwrap()],
    });
    read.collect()
}

fn a_key_is_changed_and_the_old_one_is_no_longer_needed(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        for number in 0..10 {
            put(&store, &format!("{SECRET}{number}"), &number.to_string()).await;
        }
        assert_eq!(store.seal_anew().await, Ok(0));
        store.close().await.unwrap();

        let store = open(&home, sealing(&[("k2", 2), ("k1", 1)])).await.unwrap();
        let before = store.revision();
        assert_eq!(store.seal_anew().await, Ok(10));
        assert_eq!(
            (store.seal_anew().await, store.revision()),
            (Ok(0), before + 10)
        );
        store.close().await.unwrap();

        let store = open(&home, sealing(&[("k2", 2)])).await.unwrap();
        for number in 0..10 {
            let found = store.get(&format!("{SECRET}{number}")).unwrap();
            assert_eq!(found.value, number.to_string());
        }
        store.close().await.unwrap();
    });
}

fn encryption_is_turned_on_and_off(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = open(&home, Sealing::default()).await.unwrap();
        put(&store, SECRET, VALUE).await;
        assert_eq!(stored(&store, SECRET), VALUE);
        store.close().await.unwrap();
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        assert_eq!(store.seal_anew().await, Ok(1));
        assert!(!holds(&stored(&store, SECRET), VALUE));
        store.close().await.unwrap();
        let mut off = sealing(&[("k1", 1)]);
        off.rules[0].plain = true;
        let store = open(&home, off).await.unwrap();
        assert_eq!(store.seal_anew().await, Ok(1));
        assert_eq!(stored(&store, SECRET), VALUE);
        store.close().await.unwrap();
        open(&home, Sealing::default())
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
    });
}

fn a_wrong_key_is_refused_and_nothing_is_lost(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        let revision = put(&store, SECRET, VALUE).await;
        store.close().await.unwrap();
        for (wrong, told) in [
            (sealing(&[("k1", 9)]), "another key has that name"),
            (sealing(&[("k2", 1)]), "not among those given"),
            (sealing(&[]), "not among those given"),
            (Sealing::default(), "not among those given"),
        ] {
            let error = open(&home, wrong).await.err().unwrap();
            assert!(matches!(error, StoreError::Sealed { .. }), "{error}");
            for word in [SECRET, "k1", "--encryption-provider-config", told] {
                assert!(error.to_string().contains(word), "{error}");
            }
        }
        let store = open(&home, sealing(&[("k1", 1)])).await.unwrap();
        let found = store.get(SECRET).unwrap();
        assert_eq!((found.modified, found.value), (revision, VALUE.into()));
        let absent = store.put(key(SECRET), "x".into(), Expect::Absent).await;
        assert!(matches!(absent, Err(StoreError::AlreadyExists { .. })));
        store.close().await.unwrap();
    });
}
