//! What only a store in an etcd does: several processes share it, members come and go, history is compacted by others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use osier_tests::etcd::Etcd;
use tokio::sync::watch;

use super::home::connect;
use super::{delete, history, key, put, run};
use crate::{EventKind, Expect, Limits, Location, Store, StoreError};

/// Several stores of one etcd, as if of several processes.
async fn several(etcd: &Etcd, count: usize) -> Vec<Store> {
    let stores = (0..count).map(|_| connect(etcd, Limits::default()));
    futures::future::join_all(stores).await
}

#[test]
fn what_one_process_wrote_another_reads_after_it_caught_up() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let stores = several(&etcd, 3).await;
        for round in 0..60 {
            let (writer, reader) = (&stores[round % 3], &stores[(round + 1) % 3]);
            let revision = put(writer, "a/1", &round.to_string()).await;
            reader.catch_up().await.unwrap();
            let found = reader.get("a/1").unwrap();
            assert_eq!(
                (found.modified, found.value),
                (revision, round.to_string().into())
            );
        }
        for store in stores {
            store.close().await.unwrap();
        }
    });
}

#[test]
fn one_of_many_processes_wins_and_the_others_see_why() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let stores = several(&etcd, 4).await;
        for _ in 0..10 {
            let first = put(&stores[0], "a/1", "0").await;
            let racing = stores.iter().enumerate().map(|(number, store)| async move {
                let value = Bytes::from(number.to_string());
                let result = store.put(key("a/1"), value, Expect::Revision(first)).await;
                (result, store.get("a/1").unwrap())
            });
            let results = futures::future::join_all(racing).await;
            let won: Vec<u64> = results
                .iter()
                .filter_map(|(result, _)| result.clone().ok())
                .collect();
            assert_eq!(won, [first + 1]);
            for (result, seen) in results {
                assert_eq!(seen.modified, first + 1, "{result:?}");
            }
        }
    });
}

#[test]
fn all_processes_watch_the_same_changes_in_the_same_order() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let stores = several(&etcd, 3).await;
        let start = stores[0].revision();
        let mut watches: Vec<_> = stores
            .iter()
            .map(|store| store.watch("a/", start).unwrap())
            .collect();
        for number in 0..50 {
            let store = &stores[number % 3];
            put(store, &format!("a/{}", number % 4), &number.to_string()).await;
            put(store, "b/1", "elsewhere").await;
        }
        stores[0].catch_up().await.unwrap();
        delete(&stores[0], "a/0").await;
        let mut heard = Vec::new();
        for watch in &mut watches {
            let mut own = Vec::new();
            for _ in 0..51 {
                own.push(watch.next().await.unwrap());
            }
            heard.push(own);
        }
        assert!(heard[0] == heard[1] && heard[1] == heard[2]);
        let last = heard[0].last().unwrap();
        assert!(
            last.kind
                == EventKind::Delete {
                    previous: "48".into()
                },
            "{last:?}"
        );
    });
}

/// Writes counters until told to stop; each write expects its own one before, so none may be lost or made twice.
async fn count(
    store: Store,
    name: String,
    stop: Arc<AtomicBool>,
    made: watch::Sender<usize>,
) -> u64 {
    let mut last = store.put(key(&name), "0".into(), Expect::Absent).await;
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let value = Bytes::from(number.to_string());
        let expect = Expect::Revision(last.unwrap_or_else(|error| panic!("{name}: {error}")));
        last = store.put(key(&name), value, expect).await;
        made.send_modify(|made| *made += 1);
    }
    last.unwrap();
    number
}

#[test]
fn one_of_three_members_is_killed_without_a_failed_write() {
    let mut etcd = Etcd::start(3).unwrap();
    run(async {
        let stores = several(&etcd, 3).await;
        let mut follower = stores[2].watch("a/", stores[2].revision()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let made = watch::Sender::new(0);
        let mut writers = BTreeMap::new();
        for (number, store) in stores.iter().enumerate() {
            for lane in 0..2 {
                let name = format!("a/{number}-{lane}");
                let writing = count(store.clone(), name.clone(), stop.clone(), made.clone());
                writers.insert(name, tokio::spawn(writing));
            }
        }
        // Whoever leads and whoever follows: each is killed once, and comes back.
        for round in 0..3 {
            after(&made, 50).await;
            let member = match round {
                0 => etcd.leader().unwrap(),
                _ => (etcd.leader().unwrap() + round) % 3,
            };
            etcd.kill(member).unwrap();
            after(&made, 50).await;
            etcd.restart(member).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        let mut expected = BTreeMap::new();
        for (name, writer) in writers {
            expected.insert(name, writer.await.unwrap());
        }
        for store in &stores {
            store.catch_up().await.unwrap();
            for (name, number) in &expected {
                assert_eq!(store.get(name).unwrap().value, number.to_string());
            }
        }
        // Every change was heard once, in order, by a watch that outlived all of it.
        let mut heard: BTreeMap<String, u64> = BTreeMap::new();
        let total: u64 = expected.values().map(|number| number + 1).sum();
        for _ in 0..total {
            let event = follower.next().await.unwrap();
            let EventKind::Put { value, .. } = &event.kind else {
                panic!("{event:?}");
            };
            let number: u64 = std::str::from_utf8(value).unwrap().parse().unwrap();
            let before = heard.insert(event.key.to_string(), number);
            assert_eq!(before, number.checked_sub(1), "{event:?}");
        }
        assert_eq!(heard, expected);
    });
}

/// Waits until so many more writes were made.
async fn after(made: &watch::Sender<usize>, more: usize) {
    let mut told = made.subscribe();
    let goal = *told.borrow() + more;
    let reached = told.wait_for(|made| *made >= goal);
    let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(reached.is_ok(), "writes do not go on");
}

#[test]
fn without_a_majority_nothing_is_promised() {
    let mut etcd = Etcd::start(3).unwrap();
    run(async {
        let store = connect(&etcd, Limits::default()).await;
        put(&store, "a/1", "before").await;
        etcd.kill(0).unwrap();
        etcd.kill(1).unwrap();
        let began = tokio::time::Instant::now();
        let many = futures::future::join_all((0..10).map(|_| store.catch_up()));
        let (written, caught) =
            tokio::join!(store.put(key("a/1"), "after".into(), Expect::Any), many);
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "they wait together"
        );
        for refused in caught.into_iter().chain([written.map(drop)]) {
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, StoreError::Unreachable { .. }),
                "{refused}"
            );
            assert!(refused.to_string().contains("majority"), "{refused}");
        }
        assert_eq!(
            store.get("a/1").unwrap().value,
            "before",
            "the cache still answers"
        );
        etcd.restart(0).unwrap();
        store.catch_up().await.unwrap();
        put(&store, "a/1", "again").await;
    });
}

#[test]
fn history_that_is_compacted_meanwhile_costs_watches_and_nothing_else() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let (short, other) = (history(50), Limits::default());
        let (busy, idle) = (connect(&etcd, short).await, connect(&etcd, other).await);
        let first = put(&busy, "a/0", "v").await;
        for number in 0..200 {
            put(&busy, &format!("a/{}", number % 3), &number.to_string()).await;
        }
        busy.compacted_beyond(first).await;
        idle.catch_up().await.unwrap();
        // The other process does not know yet, and is told by etcd.
        let error = idle.list_at("a/", first).await.unwrap_err();
        assert!(matches!(error, StoreError::Compacted { .. }), "{error}");
        let error = idle.watch("a/", first).err();
        assert!(
            matches!(error, Some(StoreError::Compacted { .. })),
            "{error:?}"
        );
        assert_eq!(idle.list("a/"), busy.list("a/"));
        let kept = busy.revision() - 40;
        assert_eq!(
            idle.list_at("a/", kept).await.unwrap(),
            busy.list_at("a/", kept).await.unwrap()
        );
    });
}

#[test]
fn two_clusters_share_an_etcd_under_prefixes_of_their_own() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let at = |prefix: &str| format!("{}/{prefix}", etcd.location());
        let connect = |prefix: &'static str| async move {
            let location: Location = prefix.parse().unwrap();
            Store::connect(&location, None, Limits::default())
                .await
                .unwrap()
        };
        let (one, two) = (at("one").leak(), at("two").leak());
        let (one, two) = (connect(one).await, connect(two).await);
        for number in 0..30 {
            put(&one, "a/1", &number.to_string()).await;
            put(&two, "a/1", &(100 + number).to_string()).await;
        }
        let start = one.get("a/1").unwrap().created;
        let mut watch = one.watch("a/", start).unwrap();
        for number in 1..30 {
            let event = watch.next().await.unwrap();
            let EventKind::Put { value, .. } = &event.kind else {
                panic!("{event:?}");
            };
            assert_eq!(*value, number.to_string());
        }
        one.catch_up().await.unwrap();
        assert_eq!(one.list("").1.len(), 1);
        assert_eq!(two.get("a/1").unwrap().value, "129");
    });
}

#[test]
fn what_is_too_large_for_etcd_is_refused_by_name() {
    let etcd = Etcd::start(1).unwrap();
    run(async {
        let limits = Limits {
            value: 8 << 20,
            ..Limits::default()
        };
        let store = connect(&etcd, limits).await;
        for size in [1_600_000, 4 << 20] {
            let large = Bytes::from(vec![0; size]);
            let refused = store
                .put(key("core/secrets/n/a"), large, Expect::Absent)
                .await;
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
            assert!(
                refused.to_string().starts_with("core/secrets/n/a has"),
                "{refused}"
            );
        }
        put(&store, "core/secrets/n/a", "small").await;
    });
}

#[test]
fn an_etcd_with_tls_takes_the_store_with_its_certificate_only() {
    let etcd = Etcd::secure().unwrap();
    run(async {
        let files = etcd
            .credential()
            .map(|file| std::fs::read_to_string(file).unwrap());
        let [authority, certificate_pem, key_pem] = files;
        let credential = osier_identity::Credential {
            certificate_pem,
            key_pem,
        };
        let location: Location = etcd.location().parse().unwrap();
        let config = osier_identity::client_config(&authority, Some(&credential)).unwrap();
        let store = Store::connect(&location, Some(config), Limits::default()).await;
        let store = store.unwrap();
        put(&store, "a/1", "v").await;
        assert_eq!(store.list("").1.len(), 1);
        let stranger = osier_identity::client_config(&authority, None).unwrap();
        let refused = Store::connect(&location, Some(stranger), Limits::default()).await;
        assert!(matches!(
            refused.err(),
            Some(StoreError::Unreachable { .. })
        ));
    });
}

#[test]
fn an_etcd_that_went_back_ends_the_store() {
    let mut etcd = Etcd::start(1).unwrap();
    run(async {
        let store = connect(&etcd, Limits::default()).await;
        for number in 0..20 {
            put(&store, "a/1", &number.to_string()).await;
        }
        etcd.kill(0).unwrap();
        etcd.wipe(0).unwrap();
        etcd.restart(0).unwrap();
        let failed = tokio::time::timeout(Duration::from_secs(30), store.failed()).await;
        let told = failed.unwrap().to_string();
        assert!(
            told.contains("backup") && told.contains("start this process again"),
            "{told}"
        );
    });
}
