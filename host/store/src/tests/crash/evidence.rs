//! What the children said was acknowledged, and the comparison with what the store holds after them.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use super::super::{history, keys_on_disk};
use super::child::value;
use crate::{EventKind, Store, StoreKind};

/// What a write leaves: a seed and a size, or nothing where it deletes.
type Content = Option<(u64, usize)>;

/// What the children told of the writes.
#[derive(Default)]
pub(super) struct Evidence {
    /// The acknowledged writes by revision.
    told: BTreeMap<u64, (String, Content)>,
    /// Writes of each object, after its last acknowledged one, that were begun: they may have been made or not.
    begun: BTreeMap<String, Vec<Content>>,
    before: usize,
}

impl Evidence {
    /// Takes in what a child said.
    pub(super) fn take(&mut self, lines: &[String]) {
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let content =
                |seed: &str, size: &str| Some((seed.parse().unwrap(), size.parse().unwrap()));
            match words[..] {
                ["putting", name, seed, size] => self.begin(name, content(seed, size)),
                ["deleting", name] => self.begin(name, None),
                ["put", name, revision, seed, size] => {
                    self.end(name, revision, content(seed, size))
                }
                ["deleted", name, revision] => self.end(name, revision, None),
                _ => {}
            }
        }
    }

    fn begin(&mut self, name: &str, content: Content) {
        self.begun.entry(name.to_owned()).or_default().push(content);
    }

    fn end(&mut self, name: &str, revision: &str, content: Content) {
        self.begun.remove(name);
        let revision = revision.parse().unwrap();
        let twice = self.told.insert(revision, (name.to_owned(), content));
        assert!(
            twice.is_none(),
            "revision {revision} was acknowledged twice"
        );
    }

    /// Begins anew with an empty store.
    pub(super) fn forget(&mut self) {
        self.before += self.told.len();
        self.told.clear();
        self.begun.clear();
    }

    /// How many writes were acknowledged in all.
    pub(super) fn acknowledged(&self) -> usize {
        self.before + self.told.len()
    }

    /// Opens the store and compares.
    pub(super) async fn check(&self, directory: &Path, kind: StoreKind) {
        let store = match Store::open(directory, kind, history(300)) {
            Ok(store) => store,
            Err(error) => panic!("after {} acknowledged writes: {error}", self.told.len()),
        };
        let last = self.told.keys().next_back().copied().unwrap_or_default();
        assert!(
            store.revision() >= last,
            "the store stands at {}, {last} was acknowledged",
            store.revision()
        );
        let log = read_log(&store).await;
        self.check_log(&log);
        self.check_objects(&store);
        store.close().await.unwrap();
    }

    /// Each acknowledged revision that is not compacted is in the log as it was told.
    fn check_log(&self, log: &BTreeMap<u64, (String, Option<Bytes>)>) {
        let Some(first) = log.keys().next() else {
            return;
        };
        for (revision, (name, content)) in self.told.range(first..) {
            let (found, bytes) = &log[revision];
            let expected = content.map(|(seed, size)| value(seed, size));
            assert!(
                found == name && *bytes == expected,
                "revision {revision} of {name} is not what was told"
            );
        }
    }

    /// Each object stands as its last acknowledged write left it, or as one left it that was begun after that.
    fn check_objects(&self, store: &Store) {
        let mut latest: BTreeMap<&String, (u64, Content)> = BTreeMap::new();
        for (revision, (name, content)) in &self.told {
            latest.insert(name, (*revision, *content));
        }
        for (name, (revision, content)) in latest {
            let found = store.get(name).map(|entry| (entry.modified, entry.value));
            let is = |content: &Content| match (content, &found) {
                (Some((seed, size)), Some((_, bytes))) => value(*seed, *size) == bytes,
                (None, None) => true,
                _ => false,
            };
            let later = self
                .begun
                .get(name)
                .is_some_and(|begun| begun.iter().any(is));
            let same = is(&content)
                && found
                    .as_ref()
                    .is_none_or(|(modified, _)| *modified == revision);
            assert!(
                same || later,
                "{name} is not what revision {revision} or a write begun after it left"
            );
        }
        assert_eq!(keys_on_disk(store).0, store.list("").1.len());
    }
}

/// The whole history, of which no revision may be missing.
async fn read_log(store: &Store) -> BTreeMap<u64, (String, Option<Bytes>)> {
    let oldest = (1..=store.revision())
        .find(|revision| store.watch("", *revision).is_ok())
        .unwrap();
    let mut watch = store.watch("", oldest).unwrap();
    let mut log = BTreeMap::new();
    for revision in oldest + 1..=store.revision() {
        let event = watch.next().await.unwrap();
        assert_eq!(event.revision, revision, "the log has a gap");
        let value = match &event.kind {
            EventKind::Put { value, .. } => Some(value.clone()),
            EventKind::Delete { .. } => None,
        };
        log.insert(revision, (event.key.to_string(), value));
    }
    log
}
