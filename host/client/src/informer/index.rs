//! Objects of a mirror by something that they say, such as the node of a pod: a look at a group costs what the group holds, not what
//! the collection holds. What client-go calls an indexer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use osier_api::Object;
use parking_lot::Mutex;

use super::{Change, Informer};
use crate::reconcile::Key;

/// The group of an object; `None` for one that is in no group.
pub type Grouping = fn(&Object) -> Option<String>;

/// An index over an informer. Bounded by the number of mirrored objects, which it shares.
#[derive(Debug)]
pub struct Index {
    grouping: Grouping,
    groups: Mutex<Groups>,
}

#[derive(Debug, Default)]
struct Groups {
    /// By namespace and name, as a list would be.
    objects: HashMap<Arc<str>, BTreeMap<Key, Arc<Object>>>,
    /// Where each object stands: the last state that is told of one may have another group than the last that was seen.
    places: HashMap<Key, Arc<str>>,
}

impl Index {
    /// An index that follows the informer. Who registers with the informer after this finds the index as new as the change.
    pub fn follow(informer: &Informer, grouping: Grouping) -> Arc<Self> {
        let index = Arc::new(Self::new(grouping));
        let noting = Arc::clone(&index);
        informer.on_change(move |change| noting.note(change));
        index
    }

    fn new(grouping: Grouping) -> Self {
        Self {
            grouping,
            groups: Mutex::default(),
        }
    }

    /// The objects of a group, ordered by namespace and name.
    pub fn of(&self, group: &str) -> Vec<Arc<Object>> {
        let groups = self.groups.lock();
        let objects = groups.objects.get(group).into_iter();
        objects.flat_map(BTreeMap::values).cloned().collect()
    }

    /// The groups that hold something.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.groups.lock().objects.keys().cloned().collect()
    }

    fn note(&self, change: &Change) {
        let (object, mut groups) = (change.object(), self.groups.lock());
        let key = Key::of(object);
        let group = (!change.is_deleted()).then(|| (self.grouping)(object));
        match group.flatten() {
            Some(group) => groups.put(key, &group, object),
            None => groups.remove(&key),
        }
    }
}

impl Groups {
    fn put(&mut self, key: Key, group: &str, object: &Arc<Object>) {
        let stays = self.places.get(&key).is_some_and(|place| **place == *group);
        if !stays {
            self.remove(&key);
        }
        // Names of groups are shared: many objects have the same.
        let known = self.objects.get_key_value(group);
        let group = known.map_or_else(|| group.into(), |(group, _)| Arc::clone(group));
        let objects = self.objects.entry(Arc::clone(&group)).or_default();
        objects.insert(key.clone(), Arc::clone(object));
        self.places.insert(key, group);
    }

    fn remove(&mut self, key: &Key) {
        let Some(group) = self.places.remove(key) else {
            return;
        };
        if let Some(objects) = self.objects.get_mut(&group) {
            objects.remove(key);
            if objects.is_empty() {
                self.objects.remove(&group);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, node: Option<&str>) -> Arc<Object> {
        let pod =
            json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"nodeName": node}});
        Arc::new(Object::from_value(pod).unwrap())
    }

    fn by_node() -> Index {
        Index::new(|pod| {
            Some(pod.text(&["spec", "nodeName"]).to_owned()).filter(|it| !it.is_empty())
        })
    }

    fn names(index: &Index, group: &str) -> String {
        let objects = index.of(group);
        let names: Vec<&str> = objects.iter().map(|object| object.name()).collect();
        names.join(" ")
    }

    #[test]
    fn a_group_holds_what_says_so() {
        let index = by_node();
        for (name, node) in [
            ("b", Some("n")),
            ("a", Some("n")),
            ("c", Some("m")),
            ("d", None),
        ] {
            index.note(&Change::Added(pod(name, node)));
        }
        assert_eq!((&*names(&index, "n"), &*names(&index, "m")), ("a b", "c"));
        assert!(index.of("").is_empty());
        assert_eq!(index.groups().len(), 2);
    }

    #[test]
    fn an_object_moves_and_leaves_nothing_behind() {
        let index = by_node();
        index.note(&Change::Added(pod("a", Some("n"))));
        let (old, new) = (pod("a", Some("n")), pod("a", Some("m")));
        index.note(&Change::Modified { old, new });
        assert_eq!((&*names(&index, "n"), &*names(&index, "m")), ("", "a"));
        // Told last with another group than it was seen in.
        index.note(&Change::Deleted(pod("a", Some("n"))));
        let groups = index.groups.lock();
        assert!(groups.objects.is_empty() && groups.places.is_empty());
    }
}
