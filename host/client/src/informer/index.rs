//! Objects of a mirror by something that they say, such as the node of a pod: a look at a group costs what the group holds, not what
//! the collection holds. What client-go calls an indexer.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use osier_api::Object;
use parking_lot::{Mutex, RwLock};

use super::mirror::{Kept, Mirror};
use super::{Change, Informer};
use crate::reconcile::Key;

/// The group of an object; `None` for one that is in no group.
pub type Grouping = fn(&Object) -> Option<String>;

/// An index over an informer. Bounded by the number of mirrored objects, which it leaves in the mirror.
#[derive(Debug)]
pub struct Index {
    grouping: Grouping,
    mirror: Arc<RwLock<Mirror>>,
    groups: Mutex<Groups>,
}

#[derive(Debug, Default)]
struct Groups {
    /// By namespace and name, as a list would be.
    members: HashMap<Arc<str>, BTreeSet<Arc<Key>>>,
    /// Where each object stands: the last state that is told of one may have another group than the last that was seen.
    places: HashMap<Arc<Key>, Arc<str>>,
}

impl Index {
    /// An index that follows the informer. Who registers with the informer after this finds the index as new as the change.
    pub fn follow(informer: &Informer, grouping: Grouping) -> Arc<Self> {
        let index = Arc::new(Self::new(grouping, Arc::clone(&informer.mirror)));
        let noting = Arc::clone(&index);
        informer.on_change(move |change| noting.note(change));
        index
    }

    fn new(grouping: Grouping, mirror: Arc<RwLock<Mirror>>) -> Self {
        Self {
            grouping,
            mirror,
            groups: Mutex::default(),
        }
    }

    /// The objects of a group, ordered by namespace and name. The mirror is ahead of the index while it tells what changed: an object
    /// that left the group meanwhile is not among them.
    pub fn of(&self, group: &str) -> Vec<Arc<Object>> {
        let members: Vec<Arc<Key>> = {
            let groups = self.groups.lock();
            let members = groups.members.get(group).into_iter();
            members.flatten().cloned().collect()
        };
        let kept: Vec<Kept> = {
            let mirror = self.mirror.read();
            let found = members.iter();
            found
                .filter_map(|key| mirror.get(&key.namespace, &key.name))
                .collect()
        };
        let objects = kept.iter().map(Kept::tree);
        objects
            .filter(|object| (self.grouping)(object).as_deref() == Some(group))
            .collect()
    }

    /// The groups that hold something.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.groups.lock().members.keys().cloned().collect()
    }

    fn note(&self, change: &Change) {
        let (object, mut groups) = (change.object(), self.groups.lock());
        let key = Key::of(object);
        let group = (!change.is_deleted()).then(|| (self.grouping)(object));
        match group.flatten() {
            Some(group) => groups.put(key, &group),
            None => groups.remove(&key),
        }
    }
}

impl Groups {
    fn put(&mut self, key: Key, group: &str) {
        if self.places.get(&key).is_some_and(|place| **place == *group) {
            return;
        }
        self.remove(&key);
        // Names of groups are shared: many objects have the same.
        let known = self.members.get_key_value(group);
        let group = known.map_or_else(|| group.into(), |(group, _)| Arc::clone(group));
        let key = Arc::new(key);
        let members = self.members.entry(Arc::clone(&group)).or_default();
        members.insert(Arc::clone(&key));
        self.places.insert(key, group);
    }

    fn remove(&mut self, key: &Key) {
        let Some(group) = self.places.remove(key) else {
            return;
        };
        if let Some(members) = self.members.get_mut(&group) {
            members.remove(key);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, node: Option<&str>, revision: u64) -> Object {
        let pod = json!({"metadata": {"namespace": "shop", "name": name, "resourceVersion": revision.to_string()},
            "spec": {"nodeName": node}});
        Object::from_value(pod).unwrap()
    }

    fn by_node() -> Index {
        let node = |pod: &Object| {
            Some(pod.text(&["spec", "nodeName"]).to_owned()).filter(|it| !it.is_empty())
        };
        // Of the objects, all but one are text.
        Index::new(node, Arc::new(RwLock::new(Mirror::bounded(Some(1)))))
    }

    fn put(index: &Index, pod: Object) -> Vec<Change> {
        index.mirror.write().put(pod)
    }

    fn note(index: &Index, pod: Object) {
        put(index, pod).iter().for_each(|change| index.note(change));
    }

    fn names(index: &Index, group: &str) -> String {
        let objects = index.of(group);
        let names: Vec<&str> = objects.iter().map(|object| object.name()).collect();
        names.join(" ")
    }

    #[test]
    fn a_group_holds_what_says_so() {
        let index = by_node();
        for (revision, (name, node)) in (1..).zip([
            ("b", Some("n")),
            ("a", Some("n")),
            ("c", Some("m")),
            ("d", None),
        ]) {
            note(&index, pod(name, node, revision));
        }
        assert_eq!((&*names(&index, "n"), &*names(&index, "m")), ("a b", "c"));
        assert!(index.of("").is_empty());
        assert_eq!(index.groups().len(), 2);
    }

    #[test]
    fn an_object_moves_and_leaves_nothing_behind() {
        let index = by_node();
        note(&index, pod("a", Some("n"), 1));
        note(&index, pod("a", Some("m"), 2));
        assert_eq!((&*names(&index, "n"), &*names(&index, "m")), ("", "a"));
        // Told last with another group than it was seen in.
        index.note(&Change::Deleted(Arc::new(pod("a", Some("n"), 2))));
        let groups = index.groups.lock();
        assert!(groups.members.is_empty() && groups.places.is_empty());
    }

    #[test]
    fn what_the_mirror_knows_better_is_not_told_as_it_was() {
        let index = by_node();
        note(&index, pod("a", Some("n"), 1));
        note(&index, pod("b", Some("n"), 2));
        // Both have changed, and the index was not told yet.
        let moved = put(&index, pod("a", Some("m"), 3));
        index.mirror.write().delete(pod("b", Some("n"), 4));
        assert_eq!((&*names(&index, "n"), &*names(&index, "m")), ("", ""));
        moved.iter().for_each(|change| index.note(change));
        assert_eq!(names(&index, "m"), "a");
    }
}
