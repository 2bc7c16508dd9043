//! The mirrored objects and what differs between two states of them. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::Object;

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

/// Objects by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Mirror(BTreeMap<String, BTreeMap<String, Arc<Object>>>);

impl Mirror {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.0.get(namespace)?.get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Object>> {
        self.0
            .values()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    pub(super) fn of(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.0
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Takes a complete list; the result is what differs.
    pub(super) fn replace(&mut self, items: Vec<Object>) -> Vec<Change> {
        let before = std::mem::take(&mut self.0);
        let mut changes = Vec::new();
        for object in items {
            let old = before
                .get(object.namespace())
                .and_then(|names| names.get(object.name()));
            let same = old
                .filter(|old| old.resource_version() == object.resource_version())
                .cloned();
            let kept = same.unwrap_or_else(|| Arc::new(object));
            changes.extend(difference(old, &kept));
            self.insert(kept);
        }
        for gone in before.values().flat_map(BTreeMap::values) {
            if self.get(gone.namespace(), gone.name()).is_none() {
                changes.push(Change::Deleted(Arc::clone(gone)));
            }
        }
        changes
    }

    /// Takes one new state.
    pub(super) fn put(&mut self, object: Object) -> Vec<Change> {
        let object = Arc::new(object);
        let old = self.insert(Arc::clone(&object));
        difference(old.as_ref(), &object)
    }

    /// Takes the last state of an object that is gone.
    pub(super) fn delete(&mut self, object: Object) -> Vec<Change> {
        let Some(names) = self.0.get_mut(object.namespace()) else {
            return Vec::new();
        };
        let known = names.remove(object.name()).is_some();
        if names.is_empty() {
            self.0.remove(object.namespace());
        }
        if known {
            vec![Change::Deleted(Arc::new(object))]
        } else {
            Vec::new()
        }
    }

    fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let names = self.0.entry(object.namespace().to_owned()).or_default();
        names.insert(object.name().to_owned(), object)
    }
}

/// A name that was given to another object meanwhile counts as one that went and one that came.
fn difference(old: Option<&Arc<Object>>, new: &Arc<Object>) -> Vec<Change> {
    let added = Change::Added(Arc::clone(new));
    match old {
        None => vec![added],
        Some(old) if old.resource_version() == new.resource_version() => Vec::new(),
        Some(old) if old.uid() != new.uid() => vec![Change::Deleted(Arc::clone(old)), added],
        Some(old) => vec![Change::Modified {
            old: Arc::clone(old),
            new: Arc::clone(new),
        }],
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

    #[test]
    fn a_list_tells_what_differs() {
        let mut mirror = Mirror::default();
        mirror.replace(vec![pod("a", "1", 1), pod("b", "2", 2), pod("c", "3", 3)]);
        let changes = mirror.replace(vec![pod("a", "1", 1), pod("b", "2", 9), pod("c", "4", 10)]);
        assert_eq!(words(&changes), ["~2", "-3", "+4"]);
        assert_eq!(words(&mirror.replace(vec![])), ["-1", "-2", "-4"]);
    }

    #[test]
    fn watch_events_that_repeat_the_list_change_nothing() {
        let mut mirror = Mirror::default();
        mirror.replace(vec![pod("a", "1", 1)]);
        assert!(mirror.put(pod("a", "1", 1)).is_empty());
        assert_eq!(words(&mirror.delete(pod("a", "1", 5))), ["-1"]);
        assert!(mirror.delete(pod("a", "1", 5)).is_empty());
        assert_eq!(mirror.len(), 0);
    }
}
