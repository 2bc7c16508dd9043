//! Who owns whom, by uid, and what to do about an object because of it. Pure.

use std::collections::{BTreeSet, HashMap};

use osier_api::Object;
use osier_client::Propagation;
use serde_json::Value;

use super::Item;

/// The finalizer that makes a deleted owner wait for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer that makes a deleted owner let its dependents go first.
pub(super) const ORPHAN: &str = "orphan";

/// All objects' uids and their dependents.
#[derive(Debug, Default)]
pub(super) struct Graph {
    present: HashMap<String, Item>,
    dependents: HashMap<String, BTreeSet<Item>>,
}

/// What is known of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It is there and waits for its dependents to go.
    Waiting,
    /// It is gone, or its name belongs to another object now.
    Absent,
}

/// What to do about a dependent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has an owner, or never had one.
    Keep,
    /// It keeps some owners and loses these uids.
    Disown(Vec<String>),
    /// All its owners are gone or wait for it.
    Delete(Propagation),
}

impl Graph {
    /// Takes an object's present state; `old` is the state before.
    pub(super) fn put(&mut self, item: &Item, old: Option<&Object>, new: &Object) {
        if let Some(old) = old {
            self.unlink(item, old);
        }
        self.present.insert(new.uid().to_owned(), item.clone());
        for owner in new.owner_references() {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(item.clone());
        }
    }

    /// The object is gone; the result is what it owned.
    pub(super) fn remove(&mut self, item: &Item, last: &Object) -> Vec<Item> {
        self.unlink(item, last);
        self.present.remove(last.uid());
        self.dependents_of(last.uid())
    }

    /// An object of this uid is there.
    pub(super) fn item(&self, uid: &str) -> Option<&Item> {
        self.present.get(uid)
    }

    pub(super) fn dependents_of(&self, uid: &str) -> Vec<Item> {
        self.dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    fn unlink(&mut self, item: &Item, object: &Object) {
        for owner in object.owner_references() {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(item);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }
}

/// Judges an object by what is known of each owner (uid and state), as Kubernetes' collector does.
pub(super) fn judge(object: &Object, owners: &[(String, Owner)], has_dependents: bool) -> Verdict {
    let is = |wanted: Owner| owners.iter().filter(move |(_, owner)| *owner == wanted);
    if owners.is_empty() {
        return Verdict::Keep;
    }
    if is(Owner::Solid).next().is_some() {
        let lost: Vec<String> = is(Owner::Absent)
            .chain(is(Owner::Waiting))
            .map(|(uid, _)| uid.clone())
            .collect();
        return if lost.is_empty() {
            Verdict::Keep
        } else {
            Verdict::Disown(lost)
        };
    }
    if is(Owner::Waiting).next().is_some() && has_dependents {
        return Verdict::Delete(Propagation::Foreground);
    }
    let finalizers = object.finalizers();
    let has = |name: &str| finalizers.contains(&name);
    Verdict::Delete(if has(ORPHAN) {
        Propagation::Orphan
    } else if has(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    })
}

/// The dependent must be gone before its owner of this uid may go.
pub(super) fn blocks(dependent: &Object, owner: &str) -> bool {
    let references = dependent
        .get(&["metadata", "ownerReferences"])
        .and_then(Value::as_array);
    let mut references = references.into_iter().flatten();
    references.any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}

/// The object's owner references without those uids.
pub(super) fn disowned(object: &Object, uids: &[String]) -> Vec<Value> {
    let references = object
        .get(&["metadata", "ownerReferences"])
        .and_then(Value::as_array);
    let lost = |reference: &&Value| uids.iter().any(|uid| reference["uid"] == uid.as_str());
    references
        .into_iter()
        .flatten()
        .filter(|reference| !lost(reference))
        .cloned()
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use osier_api::resources::{PODS, REPLICATION_CONTROLLERS};
    use serde_json::json;

    fn object(name: &str, owners: &[&str]) -> Object {
        let owners: Vec<Value> = owners
            .iter()
            .map(|uid| json!({"apiVersion": "v1", "kind": "ReplicationController", "name": uid, "uid": uid, "blockOwnerDeletion": true}))
            .collect();
        Object::from_value(json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "ownerReferences": owners}})).unwrap()
    }

    #[test]
    fn dependents_follow_changes_of_their_references() {
        let mut graph = Graph::default();
        let (one, two) = (object("p", &["a"]), object("p", &["b"]));
        let item = Item::of(&PODS, &one);
        graph.put(&item, None, &one);
        graph.put(&item, Some(&one), &two);
        assert!(graph.dependents_of("a").is_empty());
        let owner = object("b", &[]);
        let gone = graph.remove(&Item::of(&REPLICATION_CONTROLLERS, &owner), &owner);
        assert_eq!(gone, [item]);
    }

    #[test]
    fn one_living_owner_keeps_an_object() {
        let pod = object("p", &["a", "b"]);
        let owners = |a, b| [("a".to_owned(), a), ("b".to_owned(), b)];
        assert_eq!(
            judge(&pod, &owners(Owner::Solid, Owner::Solid), false),
            Verdict::Keep
        );
        let lost = Verdict::Disown(vec!["b".to_owned()]);
        assert_eq!(
            judge(&pod, &owners(Owner::Solid, Owner::Absent), false),
            lost
        );
        let delete = Verdict::Delete(Propagation::Background);
        assert_eq!(
            judge(&pod, &owners(Owner::Absent, Owner::Absent), false),
            delete
        );
        let foreground = Verdict::Delete(Propagation::Foreground);
        assert_eq!(
            judge(&pod, &owners(Owner::Absent, Owner::Waiting), true),
            foreground
        );
        assert_eq!(judge(&object("p", &[]), &[], false), Verdict::Keep);
    }

    #[test]
    fn disowning_takes_only_the_named_references() {
        let pod = object("p", &["a", "b"]);
        let left = disowned(&pod, &["a".to_owned()]);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0]["uid"], "b");
        assert!(blocks(&pod, "a") && !blocks(&pod, "c"));
    }
}
