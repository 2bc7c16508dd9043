//! Pods by their controller: a change of one pod costs its controller a look at its own pods and at those that nobody owns,
//! not at all pods of the namespace. Bounded by the number of pods.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use osier_api::Object;
use osier_client::{Change, Informer};
use parking_lot::Mutex;

/// A namespace, and the uid of a controller in it; empty for pods without one.
type Group = (String, String);

/// An index over an informer of pods.
#[derive(Debug, Default)]
pub(crate) struct OwnedPods(Mutex<Groups>);

#[derive(Debug, Default)]
struct Groups {
    /// By name, as a list of the namespace would be.
    pods: HashMap<Group, BTreeMap<String, Arc<Object>>>,
    /// Where each pod stands, by namespace and name: its owner may have changed since.
    places: HashMap<(String, String), Group>,
}

impl OwnedPods {
    /// An index that follows the informer. Who registers with the informer after this finds the index as new as the change.
    pub(crate) fn follow(pods: &Informer) -> Arc<Self> {
        let owned = Arc::new(Self::default());
        let noting = Arc::clone(&owned);
        pods.on_change(move |change| noting.note(change));
        owned
    }

    /// What a controller of this uid may be concerned with: its own pods, and those that nobody owns.
    pub(crate) fn of(&self, namespace: &str, uid: &str) -> Vec<Arc<Object>> {
        let groups = self.0.lock();
        let group = |uid: &str| groups.pods.get(&(namespace.to_owned(), uid.to_owned()));
        let (own, free) = (group(uid), group(""));
        let pods = own.into_iter().chain(free).flat_map(BTreeMap::values);
        pods.cloned().collect()
    }

    fn note(&self, change: &Change) {
        let (mut groups, pod) = (self.0.lock(), change.object());
        groups.remove(pod);
        if !change.is_deleted() {
            groups.insert(pod);
        }
    }
}

impl Groups {
    fn remove(&mut self, pod: &Object) {
        let place = (pod.namespace().to_owned(), pod.name().to_owned());
        let Some(group) = self.places.remove(&place) else {
            return;
        };
        if let Some(pods) = self.pods.get_mut(&group) {
            pods.remove(pod.name());
            if pods.is_empty() {
                self.pods.remove(&group);
            }
        }
    }

    fn insert(&mut self, pod: &Arc<Object>) {
        let owner = pod.controller_of().map(|owner| owner.uid);
        let group = (pod.namespace().to_owned(), owner.unwrap_or_default());
        let place = (pod.namespace().to_owned(), pod.name().to_owned());
        self.places.insert(place, group.clone());
        let pods = self.pods.entry(group).or_default();
        pods.insert(pod.name().to_owned(), Arc::clone(pod));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, owner: Option<&str>) -> Arc<Object> {
        let owners = owner.map(
            |uid| json!([{"kind": "ReplicaSet", "name": uid, "uid": uid, "controller": true}]),
        );
        let pod = json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "ownerReferences": owners}});
        Arc::new(Object::from_value(pod).unwrap())
    }

    fn names(index: &OwnedPods, uid: &str) -> String {
        let pods = index.of("shop", uid);
        let names: Vec<&str> = pods.iter().map(|pod| pod.name()).collect();
        names.join(" ")
    }

    #[test]
    fn a_controller_sees_its_own_and_the_free() {
        let index = OwnedPods::default();
        for (name, owner) in [
            ("b", Some("rs")),
            ("a", Some("rs")),
            ("c", Some("other")),
            ("d", None),
        ] {
            index.note(&Change::Added(pod(name, owner)));
        }
        assert_eq!(names(&index, "rs"), "a b d");
        assert_eq!(names(&index, "other"), "c d");
        assert!(index.of("elsewhere", "rs").is_empty());
    }

    #[test]
    fn a_pod_moves_with_its_owner_and_leaves_nothing_behind() {
        let index = OwnedPods::default();
        index.note(&Change::Added(pod("a", None)));
        let (old, new) = (pod("a", None), pod("a", Some("rs")));
        index.note(&Change::Modified { old, new });
        assert_eq!(
            (names(&index, "rs"), names(&index, "other")),
            ("a".into(), String::new())
        );
        // The last state that is told may have another owner than the last that was seen.
        index.note(&Change::Deleted(pod("a", None)));
        let groups = index.0.lock();
        assert!(groups.pods.is_empty() && groups.places.is_empty());
    }
}
