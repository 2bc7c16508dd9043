//! Watches: from the past into the present, without a gap and without a repetition.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use proptest::prelude::*;

use super::{Ground, Home, delete, history, key, on_each_store, put, run, with_store};
use crate::{Event, EventKind, Expect, Limits, Store, StoreError, Watch};

on_each_store!(
    a_watch_goes_from_the_past_into_the_present,
    a_watch_reads_the_log_of_an_earlier_process,
    a_watch_hears_only_its_prefix,
    a_slow_watch_is_closed_and_says_so,
    a_watch_that_compaction_overtakes_says_so,
    a_closed_store_ends_its_watches,
    no_interleaving_of_lists_watches_and_writes_has_a_gap,
);

fn a_watch_goes_from_the_past_into_the_present(ground: Ground) {
    with_store(ground, |store| async move {
        let first = put(&store, "a/1", "one").await;
        put(&store, "a/1", "two").await;
        let mut watch = store.watch("a/", first).unwrap();
        assert_eq!(
            watch.progress(),
            first,
            "one change of the past is not yet read"
        );
        delete(&store, "a/1").await;
        let replaced = watch.next().await.unwrap();
        let kinds = EventKind::Put {
            value: "two".into(),
            previous: Some("one".into()),
        };
        assert!(
            replaced.revision == first + 1 && replaced.kind == kinds,
            "{replaced:?}"
        );
        let deleted = watch.next().await.unwrap();
        assert!(
            deleted.kind
                == EventKind::Delete {
                    previous: "two".into()
                }
        );
        assert!(
            watch.next().now_or_never().is_none(),
            "nothing more has happened"
        );
        let other = put(&store, "b/1", "three").await;
        assert_eq!(
            watch.progress(),
            other,
            "a bookmark passes the changes of others"
        );
        let error = store.watch("a/", other + 1).err();
        assert_eq!(
            error,
            Some(StoreError::Future {
                requested: other + 1,
                current: other
            })
        );
    });
}

fn a_watch_reads_the_log_of_an_earlier_process(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = home.open(Limits::default()).await;
        let base = store.revision();
        for group in 0..40 {
            let puts = (group * 25..group * 25 + 25).map(|i| {
                let value = Bytes::from(vec![b'x'; i * 10]);
                store.put(key(&format!("a/{}", i % 10)), value, Expect::Any)
            });
            ground.in_order(puts).await;
        }
        store.close().await.unwrap();
        let store = home.open(Limits::default()).await;
        let mut watch = store.watch("a/3", base).unwrap();
        put(&store, "a/3", "now").await;
        for i in 0..100 {
            let event = watch.next().await.unwrap();
            let EventKind::Put { value, previous } = &event.kind else {
                panic!("{event:?}")
            };
            assert_eq!(value.len(), (i * 10 + 3) * 10);
            assert_eq!(
                previous.as_ref().map(Bytes::len),
                i.checked_sub(1).map(|i| (i * 10 + 3) * 10)
            );
        }
        assert_eq!(watch.next().await.unwrap().revision, store.revision());
        let then = store.list_at("a/", base + 10).await.unwrap();
        let (now, first) = (store.list("a/").1, base + 1..base + 11);
        assert_eq!(
            then.iter().map(|entry| entry.modified).collect::<Vec<_>>(),
            first.clone().collect::<Vec<_>>()
        );
        assert_eq!(
            now.iter().map(|entry| entry.created).collect::<Vec<_>>(),
            first.collect::<Vec<_>>()
        );
    });
}

fn a_watch_hears_only_its_prefix(ground: Ground) {
    with_store(ground, |store| async move {
        let now = store.revision();
        let mut watches = ["a/", "a/b/", "a/b/c"].map(|prefix| store.watch(prefix, now).unwrap());
        for name in ["a/x", "a/b/x", "b/a/", "a/b/c", "a/bc"] {
            put(&store, name, "v").await;
        }
        for (watch, expected) in watches.iter_mut().zip([4, 2, 1]) {
            let heard = std::iter::from_fn(|| watch.next().now_or_never()).count();
            assert_eq!(heard, expected);
        }
        let mut one = store.watch_key("a/b", now).unwrap();
        put(&store, "a/b", "v").await;
        let mut later = store.watch_key("a/b", now).unwrap();
        put(&store, "a/b/c", "v").await;
        for watch in [&mut one, &mut later] {
            let heard = watch.next().await.unwrap();
            assert_eq!(&*heard.key, "a/b", "and not what begins like it");
            assert!(watch.next().now_or_never().is_none());
        }
    });
}

fn a_slow_watch_is_closed_and_says_so(ground: Ground) {
    with_store(ground, |store| async move {
        let now = store.revision();
        let mut slow = store.watch("a/", now).unwrap();
        let mut heavy = store.watch("b/", now).unwrap();
        let small = (0..1100).map(|i| store.put(key(&format!("a/{i}")), "v".into(), Expect::Any));
        futures::future::join_all(small).await;
        let large =
            (0..20).map(|_| store.put(key("b/1"), Bytes::from(vec![0; 1 << 20]), Expect::Any));
        futures::future::join_all(large).await;
        for (watch, bound) in [(&mut slow, 1024), (&mut heavy, 16)] {
            let mut heard = 0;
            let error = loop {
                match watch.next().await {
                    Ok(_) => heard += 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, StoreError::Overflow { .. }), "{error}");
            assert!((1..=bound).contains(&heard), "{heard}");
        }
        let (revision, _) = store.list("a/");
        assert!(store.watch("a/", revision).is_ok());
    });
}

fn a_watch_that_compaction_overtakes_says_so(ground: Ground) {
    let home = Home::new(ground);
    run(async {
        let store = home.open(history(50)).await;
        let first = put(&store, "a/0", "v").await - 1;
        let mut watch = store.watch("a/", first).unwrap();
        for i in 0..200 {
            put(&store, "a/0", &i.to_string()).await;
        }
        store.compacted_beyond(first).await;
        let error = watch.next().await.unwrap_err();
        assert!(
            matches!(error, StoreError::Compacted { requested, .. } if requested == first),
            "{error}"
        );
    });
}

fn a_closed_store_ends_its_watches(ground: Ground) {
    with_store(ground, |store| async move {
        let mut watch = store.watch("a/", store.revision()).unwrap();
        let made = put(&store, "a/1", "v").await;
        let other = store.clone();
        store.close().await.unwrap();
        assert_eq!(
            watch.next().await.unwrap().revision,
            made,
            "what was published is still handed out"
        );
        assert_eq!(watch.next().await.unwrap_err(), StoreError::Closed);
        assert_eq!(
            other.put(key("a/2"), "v".into(), Expect::Any).await,
            Err(StoreError::Closed)
        );
        assert_eq!(other.watch("a/", made).err(), Some(StoreError::Closed));
        assert_eq!(
            other.get("a/1").unwrap().modified,
            made,
            "the cache still answers"
        );
    });
}

/// One step of an interleaving.
#[derive(Debug, Clone)]
enum Step {
    Put {
        name: u8,
        value: u16,
    },
    Delete {
        name: u8,
    },
    /// Lists and watches from there.
    Follow {
        narrow: bool,
    },
    /// Watches from this far in the past.
    Resume {
        back: u64,
    },
    Read {
        watch: usize,
        events: usize,
    },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..6u8, any::<u16>()).prop_map(|(name, value)| Step::Put { name, value }),
        3 => (0..6u8).prop_map(|name| Step::Delete { name }),
        2 => any::<bool>().prop_map(|narrow| Step::Follow { narrow }),
        2 => (0..40u64).prop_map(|back| Step::Resume { back }),
        4 => (any::<usize>(), 0..6usize).prop_map(|(watch, events)| Step::Read { watch, events }),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A watch, what it was told, and where it began.
struct Follower {
    watch: Watch,
    prefix: &'static str,
    after: u64,
    heard: Vec<Arc<Event>>,
    /// The objects as the client of the watch believes them to be.
    objects: Option<BTreeMap<String, Bytes>>,
}

impl Follower {
    async fn read(&mut self, events: usize) {
        for _ in 0..events {
            let Ok(next) =
                tokio::time::timeout(std::time::Duration::from_secs(5), self.watch.next()).await
            else {
                panic!(
                    "the watch of {:?} after {} is stuck after {:?}",
                    self.prefix,
                    self.after,
                    self.heard.last()
                );
            };
            let event = next.unwrap();
            if let Some(objects) = &mut self.objects {
                match &event.kind {
                    EventKind::Put { value, .. } => {
                        objects.insert(event.key.to_string(), value.clone())
                    }
                    EventKind::Delete { .. } => objects.remove(&*event.key),
                };
            }
            self.heard.push(event);
        }
    }

    /// How many events it has not yet read.
    fn pending(&self, log: &[(u64, String)]) -> usize {
        let all = log
            .iter()
            .filter(|(revision, key)| *revision > self.after && key.starts_with(self.prefix));
        all.count() - self.heard.len()
    }
}

async fn interleave(ground: Ground, steps: Vec<Step>) {
    let home = Home::new(ground);
    let mut store = home.open(Limits::default()).await;
    let base = store.revision();
    let mut log: Vec<(u64, String)> = Vec::new();
    let mut followers: Vec<Follower> = Vec::new();
    for step in steps {
        match step {
            Step::Put { name, value } => {
                let name = format!("a/{}/{name}", name % 2);
                log.push((put(&store, &name, &value.to_string()).await, name));
            }
            Step::Delete { name } => {
                let name = format!("a/{}/{name}", name % 2);
                if let Ok(revision) = store.delete(key(&name), Expect::Any).await {
                    log.push((revision, name));
                }
            }
            Step::Follow { narrow } => {
                let prefix = if narrow { "a/1/" } else { "a/" };
                let (after, entries) = store.list(prefix);
                let watch = store.watch(prefix, after).unwrap();
                let objects = entries
                    .into_iter()
                    .map(|entry| (entry.key.to_string(), entry.value))
                    .collect();
                followers.push(Follower {
                    watch,
                    prefix,
                    after,
                    heard: Vec::new(),
                    objects: Some(objects),
                });
            }
            Step::Resume { back } => {
                let after = store.revision().saturating_sub(back).max(base);
                let watch = store.watch("a/", after).unwrap();
                followers.push(Follower {
                    watch,
                    prefix: "a/",
                    after,
                    heard: Vec::new(),
                    objects: None,
                });
            }
            Step::Read { watch, events } if !followers.is_empty() => {
                let index = watch % followers.len();
                let pending = followers[index].pending(&log);
                followers[index].read(events.min(pending)).await;
            }
            Step::Read { .. } => {}
            Step::Reopen => {
                finish(&store, &log, followers.drain(..)).await;
                store.close().await.unwrap();
                store = home.open(Limits::default()).await;
            }
        }
    }
    finish(&store, &log, followers.drain(..)).await;
}

/// Reads every watch to its end and compares.
async fn finish(store: &Store, log: &[(u64, String)], followers: impl Iterator<Item = Follower>) {
    for mut follower in followers {
        let pending = follower.pending(log);
        follower.read(pending).await;
        assert!(
            follower.watch.next().now_or_never().is_none(),
            "an event too many"
        );
        let heard: Vec<_> = follower
            .heard
            .iter()
            .map(|event| (event.revision, event.key.to_string()))
            .collect();
        let expected = log
            .iter()
            .filter(|(revision, _)| *revision > follower.after);
        let expected: Vec<_> = expected
            .filter(|(_, key)| key.starts_with(follower.prefix))
            .cloned()
            .collect();
        assert_eq!(heard, expected);
        assert_eq!(follower.watch.progress(), store.revision());
        if let Some(objects) = follower.objects {
            let entries = store.list(follower.prefix).1.into_iter();
            let stored: BTreeMap<_, _> = entries
                .map(|entry| (entry.key.to_string(), entry.value))
                .collect();
            assert!(
                objects == stored,
                "the list and its watch do not lead to what is stored"
            );
        }
    }
}

fn no_interleaving_of_lists_watches_and_writes_has_a_gap(ground: Ground) {
    let config = ProptestConfig {
        cases: ground.cases(24),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| run(interleave(ground, steps)));
}
