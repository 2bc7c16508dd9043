//! Writes, what they expect, and what is read after them.

use bytes::Bytes;

use super::{Ground, Home, delete, key, on_each_store, put, run, with_store};
use crate::{Entry, Expect, Limits, StoreError};

on_each_store!(
    a_write_meets_its_expectation_or_is_refused,
    one_of_many_racing_writers_wins,
    values_of_every_size_come_back,
    what_cannot_be_stored_is_refused_by_name,
    a_full_store_takes_deletions_only,
    debug_output_hides_values,
);

fn a_write_meets_its_expectation_or_is_refused(ground: Ground) {
    with_store(ground, |store| async move {
        let name = || key("core/pods/default/a");
        let exists = StoreError::AlreadyExists {
            key: name().to_string(),
        };
        let absent = StoreError::NotFound {
            key: name().to_string(),
        };
        let first = store.put(name(), "1".into(), Expect::Absent).await.unwrap();
        assert_eq!(
            store.put(name(), "2".into(), Expect::Absent).await,
            Err(exists)
        );
        let second = store
            .put(name(), "2".into(), Expect::Revision(first))
            .await
            .unwrap();
        assert_eq!(second, first + 1, "a refused write takes no revision");
        let conflict = StoreError::Conflict {
            key: name().to_string(),
            current: second,
        };
        assert_eq!(
            store.put(name(), "3".into(), Expect::Revision(first)).await,
            Err(conflict.clone())
        );
        assert_eq!(
            store.delete(name(), Expect::Revision(first)).await,
            Err(conflict)
        );
        let entry = Entry {
            key: name(),
            value: "2".into(),
            created: first,
            modified: second,
        };
        assert_eq!(store.get(&name()), Some(entry));
        assert_eq!(
            store.delete(name(), Expect::Revision(second)).await,
            Ok(second + 1)
        );
        assert_eq!(store.get(&name()), None);
        assert_eq!(store.delete(name(), Expect::Any).await, Err(absent.clone()));
        assert_eq!(
            store
                .put(name(), "3".into(), Expect::Revision(second))
                .await,
            Err(absent)
        );
        let again = store.put(name(), "3".into(), Expect::Any).await.unwrap();
        assert_eq!(
            store.get(&name()).unwrap().created,
            again,
            "a new object has a new creation"
        );
        assert_eq!(store.revision(), again);
    });
}

fn one_of_many_racing_writers_wins(ground: Ground) {
    with_store(ground, |store| async move {
        for _ in 0..10 {
            let first = put(&store, "core/pods/default/a", "0").await;
            let racing = (0..64).map(|writer| {
                let value = Bytes::from(format!("{writer}"));
                store.put(key("core/pods/default/a"), value, Expect::Revision(first))
            });
            let results = futures::future::join_all(racing).await;
            let won: Vec<_> = results.iter().flatten().copied().collect();
            assert_eq!(won, [first + 1]);
        }
    });
}

fn values_of_every_size_come_back(ground: Ground) {
    let home = Home::new(ground);
    let sizes = [
        0,
        1,
        3999,
        4030,
        4040,
        4050,
        4096,
        8192,
        100_000,
        1 << 20,
        // An etcd takes so much in one request, unless it is told otherwise.
        match ground {
            Ground::Etcd => Limits::default().value - 1024,
            _ => Limits::default().value,
        },
    ];
    let value = |size: usize| -> Bytes {
        (0..size)
            .map(|byte| u8::try_from(byte % 251).unwrap())
            .collect()
    };
    run(async {
        let store = home.open(Limits::default()).await;
        let base = store.revision();
        for round in 0..3 {
            let puts = sizes.map(|size| {
                store.put(
                    key(&format!("a/{round}/{size}")),
                    value(size),
                    Expect::Absent,
                )
            });
            assert!(
                futures::future::join_all(puts)
                    .await
                    .iter()
                    .all(Result::is_ok)
            );
        }
        store.close().await.unwrap();
        let store = home.open(Limits::default()).await;
        for size in sizes {
            assert!(
                store.get(&format!("a/1/{size}")).unwrap().value == value(size),
                "{size} bytes differ"
            );
        }
        let mut watch = store.watch("a/2/", base).unwrap();
        let mut heard = Vec::new();
        for _ in sizes {
            let key = watch.next().await.unwrap().key.to_string();
            heard.push(key[4..].parse::<usize>().unwrap());
        }
        heard.sort_unstable();
        assert_eq!(heard, sizes);
    });
    let blobs = home
        .directory()
        .map(|directory| directory.join("sled/blobs"));
    let blobs = blobs.and_then(|blobs| std::fs::read_dir(blobs).ok());
    let blobs = blobs.map_or(0, Iterator::count);
    assert_eq!(
        blobs, 0,
        "sled does not sync the pages that it puts beside its log"
    );
}

fn what_cannot_be_stored_is_refused_by_name(ground: Ground) {
    with_store(ground, |store| async move {
        let large = Bytes::from(vec![0; Limits::default().value + 1]);
        let error = store
            .put(key("core/secrets/default/a"), large, Expect::Any)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::TooLarge {
                    bytes: 1_572_865,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error.to_string().starts_with("core/secrets/default/a has"),
            "{error}"
        );
        for name in ["", &"n".repeat(513)] {
            let error = store
                .put(key(name), "v".into(), Expect::Any)
                .await
                .unwrap_err();
            assert!(matches!(error, StoreError::InvalidKey { .. }), "{error}");
        }
        let next = store.revision() + 1;
        assert_eq!(put(&store, &"n".repeat(512), "v").await, next);
    });
}

fn a_full_store_takes_deletions_only(ground: Ground) {
    let home = Home::new(ground);
    let limits = Limits {
        objects: 10_000,
        ..Limits::default()
    };
    run(async {
        let store = home.open(limits).await;
        let value = Bytes::from(vec![7; 1000]);
        let puts =
            (0..20).map(|i| store.put(key(&format!("a/{i:02}")), value.clone(), Expect::Any));
        let results = futures::future::join_all(puts).await;
        let taken = results.iter().filter(|result| result.is_ok()).count();
        assert!((5..10).contains(&taken), "{taken}");
        let refusal = results.last().unwrap().clone().unwrap_err();
        assert!(
            matches!(refusal, StoreError::Full { limit: 10_000, .. }),
            "{refusal}"
        );
        delete(&store, "a/00").await;
        store.put(key("a/19"), value, Expect::Absent).await.unwrap();
    });
}

fn debug_output_hides_values(ground: Ground) {
    with_store(ground, |store| async move {
        put(&store, "core/secrets/default/a", "hunter2").await;
        let entry = store.get("core/secrets/default/a").unwrap();
        let made = entry.modified;
        let event = store.watch("", made - 1).unwrap().next().await.unwrap();
        assert_eq!(
            format!("{entry:?}"),
            format!("core/secrets/default/a@{made} (created {made}, 7 bytes)")
        );
        assert_eq!(
            format!("{event:?}"),
            format!("core/secrets/default/a created at {made}")
        );
    });
}
