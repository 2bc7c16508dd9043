//! The mirrored objects and what differs between two states of them. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use osier_api::Object;

use crate::reconcile::Key;

/// One difference.
#[derive(Debug, Clone)]
pub enum Change {
    /// The object is new here.
    Added(Arc<Object>),
    /// The object changed.
    Modified {
        /// What it was.
        old: Arc<Object>,
        /// What it is.
        new: Arc<Object>,
    },
    /// The object is gone; its last state that we know.
    Deleted(Arc<Object>),
}

impl Change {
    /// The object as it is now, or as it last was.
    pub fn object(&self) -> &Arc<Object> {
        match self {
            Self::Added(object) | Self::Deleted(object) => object,
            Self::Modified { new, .. } => new,
        }
    }

    /// The state before, if there was one.
    pub fn old(&self) -> Option<&Arc<Object>> {
        match self {
            Self::Modified { old, .. } => Some(old),
            Self::Added(_) | Self::Deleted(_) => None,
        }
    }

    /// The object is gone.
    pub fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted(_))
    }
}

/// So many objects a packed mirror holds as trees: those that changed last, which are read most.
pub(super) const TREES: usize = 16 * 1024;

/// Objects by namespace and name. Where they are many, most may be held as text: a tree of values costs hundreds of bytes a map, ten
/// times what is written of it.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    objects: BTreeMap<String, BTreeMap<String, Slot>>,
    /// Those that are trees, the one that changed longest ago first, each with the revision that made it one; some have changed again
    /// or are gone.
    trees: VecDeque<(Key, u64)>,
    /// The most that are trees; all are if there is none.
    bound: Option<usize>,
    /// Counts the lists that were begun.
    round: u32,
}

/// The place of an object.
#[derive(Debug)]
struct Slot {
    kept: Kept,
    revision: u64,
    /// The list in which it was told last.
    round: u32,
}

/// An object as it is held.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// As its readers share it.
    Tree(Arc<Object>),
    /// As text, which is read anew for each reader.
    Text(Arc<[u8]>),
}

impl Kept {
    /// The object.
    pub(super) fn tree(&self) -> Arc<Object> {
        match self {
            Self::Tree(object) => Arc::clone(object),
            // It was written here: it can be read.
            Self::Text(text) => Arc::new(serde_json::from_slice(text).unwrap_or_default()),
        }
    }

    /// The same as text.
    fn packed(&self) -> Self {
        match self {
            Self::Tree(object) => {
                let text = serde_json::to_vec(&**object);
                text.map_or_else(|_| self.clone(), |text| Self::Text(text.into()))
            }
            Self::Text(_) => self.clone(),
        }
    }
}

impl Mirror {
    /// A mirror that holds at most so many objects as trees.
    pub(super) fn bounded(bound: Option<usize>) -> Self {
        Self {
            bound,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Kept> {
        let slot = self.objects.get(namespace)?.get(name)?;
        Some(slot.kept.clone())
    }

    pub(super) fn all(&self) -> Vec<Kept> {
        let slots = self.objects.values().flat_map(BTreeMap::values);
        slots.map(|slot| slot.kept.clone()).collect()
    }

    pub(super) fn of(&self, namespace: &str) -> Vec<Kept> {
        let slots = self.objects.get(namespace).into_iter();
        let slots = slots.flat_map(BTreeMap::values);
        slots.map(|slot| slot.kept.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.objects.values().map(BTreeMap::len).sum()
    }

    /// A complete list follows, object by object.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// The list is complete: what it did not tell is gone.
    pub(super) fn end(&mut self) -> Vec<Change> {
        let (round, mut gone) = (self.round, Vec::new());
        self.objects.retain(|_, names| {
            names.retain(|_, slot| {
                let told = slot.round == round;
                if !told {
                    gone.push(Change::Deleted(slot.kept.tree()));
                }
                told
            });
            !names.is_empty()
        });
        gone
    }

    /// Takes one state, new or known.
    pub(super) fn put(&mut self, object: Object) -> Vec<Change> {
        let (round, revision) = (self.round, object.resource_version());
        let names = self
            .objects
            .entry(object.namespace().to_owned())
            .or_default();
        let known = names.get_mut(object.name());
        if let Some(known) = known.filter(|known| known.revision == revision) {
            known.round = round;
            return Vec::new();
        }
        let (key, object) = (Key::of(&object), Arc::new(object));
        let slot = Slot {
            kept: Kept::Tree(Arc::clone(&object)),
            revision,
            round,
        };
        let old = names.insert(key.name.clone(), slot);
        if let Some(bound) = self.bound {
            self.trees.push_back((key, revision));
            self.pack(bound);
        }
        difference(old.map(|old| old.kept.tree()), object)
    }

    /// Takes the last state of an object that is gone.
    pub(super) fn delete(&mut self, object: Object) -> Vec<Change> {
        let Some(names) = self.objects.get_mut(object.namespace()) else {
            return Vec::new();
        };
        let known = names.remove(object.name()).is_some();
        if names.is_empty() {
            self.objects.remove(object.namespace());
        }
        if known {
            vec![Change::Deleted(Arc::new(object))]
        } else {
            Vec::new()
        }
    }

    /// Trees beyond the bound become text.
    fn pack(&mut self, bound: usize) {
        while self.trees.len() > bound {
            let Some((key, revision)) = self.trees.pop_front() else {
                return;
            };
            let names = self.objects.get_mut(&key.namespace);
            let slot = names.and_then(|names| names.get_mut(&key.name));
            if let Some(slot) = slot.filter(|slot| slot.revision == revision) {
                slot.kept = slot.kept.packed();
            }
        }
    }
}

/// A name that was given to another object meanwhile counts as one that went and one that came.
fn difference(old: Option<Arc<Object>>, new: Arc<Object>) -> Vec<Change> {
    match old {
        None => vec![Change::Added(new)],
        Some(old) if old.uid() != new.uid() => vec![Change::Deleted(old), Change::Added(new)],
        Some(old) => vec![Change::Modified { old, new }],
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, uid: &str, version: u64) -> Object {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "namespace": "shop", "name": name, "uid": uid, "resourceVersion": version.to_string()}}))
        .unwrap()
    }

    fn words(changes: &[Change]) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Added(object) => format!("+{}", object.uid()),
            Change::Modified { new, .. } => format!("~{}", new.uid()),
            Change::Deleted(object) => format!("-{}", object.uid()),
        };
        changes.iter().map(word).collect()
    }

    fn list(mirror: &mut Mirror, pods: Vec<Object>) -> Vec<String> {
        mirror.begin();
        let mut changes: Vec<Change> = pods.into_iter().flat_map(|pod| mirror.put(pod)).collect();
        changes.extend(mirror.end());
        words(&changes)
    }

    #[test]
    fn a_list_tells_what_differs() {
        let mut mirror = Mirror::default();
        list(
            &mut mirror,
            vec![pod("a", "1", 1), pod("b", "2", 2), pod("c", "3", 3)],
        );
        let pods = vec![pod("a", "1", 1), pod("b", "2", 9), pod("c", "4", 10)];
        assert_eq!(list(&mut mirror, pods), ["~2", "-3", "+4"]);
        assert_eq!(list(&mut mirror, vec![]), ["-1", "-2", "-4"]);
    }

    #[test]
    fn a_list_that_breaks_off_takes_nothing_away() {
        let mut mirror = Mirror::default();
        list(&mut mirror, vec![pod("a", "1", 1), pod("b", "2", 2)]);
        mirror.begin();
        assert_eq!(words(&mirror.put(pod("a", "1", 5))), ["~1"]);
        let pods = vec![pod("a", "1", 5), pod("b", "2", 2)];
        assert!(list(&mut mirror, pods).is_empty());
    }

    #[test]
    fn watch_events_that_repeat_the_list_change_nothing() {
        let mut mirror = Mirror::default();
        list(&mut mirror, vec![pod("a", "1", 1)]);
        assert!(mirror.put(pod("a", "1", 1)).is_empty());
        assert_eq!(words(&mirror.delete(pod("a", "1", 5))), ["-1"]);
        assert!(mirror.delete(pod("a", "1", 5)).is_empty());
        assert_eq!(mirror.len(), 0);
    }

    fn trees(mirror: &Mirror) -> Vec<String> {
        let trees = mirror
            .all()
            .into_iter()
            .filter(|kept| matches!(kept, Kept::Tree(_)));
        trees.map(|kept| kept.tree().name().to_owned()).collect()
    }

    #[test]
    fn what_changed_last_is_held_as_trees_and_the_rest_reads_the_same() {
        let mut mirror = Mirror::bounded(Some(2));
        for (revision, name) in (1..).zip(["a", "b", "c", "d"]) {
            mirror.put(pod(name, name, revision));
        }
        assert_eq!(trees(&mirror), ["c", "d"]);
        assert_eq!(*mirror.get("shop", "a").unwrap().tree(), pod("a", "a", 1));
        // One that was text changes and becomes a tree; what it was is told.
        let changes = mirror.put(pod("a", "a", 5));
        assert_eq!(**changes[0].old().unwrap(), pod("a", "a", 1));
        assert_eq!(trees(&mirror), ["a", "d"]);
        // One object that changes all the time pushes out the others, and is held once.
        for revision in 6..100 {
            mirror.put(pod("d", "d", revision));
        }
        assert_eq!(trees(&mirror), ["d"]);
        assert_eq!((mirror.trees.len(), mirror.len()), (2, 4));
        // Neither does one stay that is gone.
        mirror.delete(pod("d", "d", 100));
        mirror.put(pod("e", "e", 101));
        assert_eq!(trees(&mirror), ["e"]);
    }
}
