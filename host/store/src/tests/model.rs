//! The store against a model: maps of what should be stored, one for each revision.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Ground, Home, history, key, on_each_store, run};
use crate::{Entry, Expect, Range, Store, StoreError};

on_each_store!(the_store_agrees_with_a_model);

/// How many revisions the store keeps.
const HISTORY: usize = 40;

#[derive(Debug, Clone, Copy)]
enum Wish {
    Absent,
    Current,
    Stale,
    Any,
}

#[derive(Debug, Clone)]
struct Write {
    name: u8,
    /// None deletes.
    value: Option<(u8, usize)>,
    wish: Wish,
}

#[derive(Debug, Clone)]
enum Step {
    /// Writes that are handed over together, and may share a commit.
    Writes(Vec<Write>),
    ListAt(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![9 => 0..64usize, 1 => 4000..20_000usize];
    let value = prop_oneof![3 => (any::<u8>(), size).prop_map(Some), 1 => Just(None)];
    let wish = prop_oneof![
        Just(Wish::Absent),
        Just(Wish::Current),
        Just(Wish::Stale),
        Just(Wish::Any)
    ];
    let write = (0..8u8, value, wish).prop_map(|(name, value, wish)| Write { name, value, wish });
    let step = prop_oneof![
        8 => proptest::collection::vec(write, 1..12).prop_map(Step::Writes),
        3 => (0..60u64).prop_map(Step::ListAt),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What is stored, now and at each revision before.
struct Model {
    past: Vec<BTreeMap<String, Entry>>,
    /// The revision of the new store.
    base: u64,
}

impl Model {
    fn now(&self) -> &BTreeMap<String, Entry> {
        self.past.last().unwrap()
    }

    fn revision(&self) -> u64 {
        self.base + self.past.len() as u64 - 1
    }

    /// What the write really asks for, given what stands.
    fn expect(&self, name: &str, wish: Wish) -> Expect {
        let current = self
            .now()
            .get(name)
            .map_or(self.base, |entry| entry.modified);
        match wish {
            Wish::Absent => Expect::Absent,
            Wish::Current => Expect::Revision(current),
            Wish::Stale => Expect::Revision(current - 1),
            Wish::Any => Expect::Any,
        }
    }

    fn write(
        &mut self,
        name: &str,
        value: Option<Bytes>,
        expect: Expect,
    ) -> Result<u64, StoreError> {
        let mut objects = self.now().clone();
        let found = objects.get(name);
        match (expect, found) {
            (Expect::Absent, Some(_)) => {
                return Err(StoreError::AlreadyExists {
                    key: name.to_owned(),
                });
            }
            (Expect::Revision(_), None) => {
                return Err(StoreError::NotFound {
                    key: name.to_owned(),
                });
            }
            (Expect::Revision(wanted), Some(entry)) if wanted != entry.modified => {
                return Err(StoreError::Conflict {
                    key: name.to_owned(),
                    current: entry.modified,
                });
            }
            (_, None) if value.is_none() => {
                return Err(StoreError::NotFound {
                    key: name.to_owned(),
                });
            }
            _ => {}
        }
        let modified = self.revision() + 1;
        let created = found.map_or(modified, |entry| entry.created);
        match value {
            Some(value) => objects.insert(
                name.to_owned(),
                Entry {
                    key: key(name),
                    value,
                    created,
                    modified,
                },
            ),
            None => objects.remove(name),
        };
        self.past.push(objects);
        Ok(modified)
    }

    fn entries(&self, revision: u64) -> Vec<Entry> {
        self.past[usize::try_from(revision - self.base).unwrap()]
            .values()
            .cloned()
            .collect()
    }
}

async fn compare(ground: Ground, steps: Vec<Step>) {
    let home = Home::new(ground);
    let mut store = home.open(history(HISTORY)).await;
    let mut model = Model {
        past: vec![BTreeMap::new()],
        base: store.revision(),
    };
    for step in steps {
        match step {
            Step::Writes(writes) => write(ground, &store, (&mut model, writes)).await,
            Step::ListAt(back) => list_at(&store, &model, back).await,
            Step::Reopen => {
                store.close().await.unwrap();
                store = home.open(history(HISTORY)).await;
            }
        }
        assert_eq!(
            store.list(""),
            (model.revision(), model.entries(model.revision()))
        );
        for (name, entry) in model.now() {
            assert_eq!(store.get(name).as_ref(), Some(entry));
        }
    }
}

async fn write(ground: Ground, store: &Store, (model, writes): (&mut Model, Vec<Write>)) {
    let (mut pending, mut expected) = (Vec::new(), Vec::new());
    for Write { name, value, wish } in writes {
        let name = format!("a/{name}");
        let expect = model.expect(&name, wish);
        let value = value.map(|(byte, size)| Bytes::from(vec![byte; size]));
        expected.push(model.write(&name, value.clone(), expect));
        let store = store.clone();
        pending.push(async move {
            match value {
                Some(value) => store.put(key(&name), value, expect).await,
                None => store.delete(key(&name), expect).await,
            }
        });
    }
    assert_eq!(ground.in_order(pending).await, expected);
}

async fn list_at(store: &Store, model: &Model, back: u64) {
    let now = model.revision();
    let revision = now.saturating_sub(back).max(model.base);
    match store.list_at("", revision).await {
        Ok(entries) => {
            let expected = model.entries(revision);
            assert_eq!(entries, expected);
            assert_eq!(in_slices(store, Some(revision)).await, expected);
            assert_eq!(in_slices(store, None).await, model.entries(now));
        }
        Err(error) => {
            assert!(matches!(error, StoreError::Compacted { .. }), "{error}");
            assert!(
                back >= HISTORY as u64,
                "{back} revisions back is within the history"
            );
        }
    }
}

/// The same, a few at a time.
async fn in_slices(store: &Store, at: Option<u64>) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let after = found.last().map(|entry| entry.key.to_string());
        let range = Range {
            prefix: "",
            after: after.as_deref(),
            limit: 2,
        };
        let slice = store.slice(range, at).await.unwrap();
        assert!(slice.entries.len() <= 2);
        found.extend(slice.entries);
        if slice.left == 0 {
            return found;
        }
    }
}

fn the_store_agrees_with_a_model(ground: Ground) {
    let config = ProptestConfig {
        cases: ground.cases(32),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| run(compare(ground, steps)));
}
