//! [`Object`]: one API object, a JSON map with the metadata that every kind shares.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::resource::Resource;

/// An object's labels, borrowed.
pub type Labels<'a> = BTreeMap<&'a str, &'a str>;

/// Any API object. It serializes as the JSON map that it is; unknown fields survive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(Map<String, Value>);

/// A value that is not shaped as an object (or a part of it) must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The document is a list, a string, a number..., not an object.
    #[error("an API object must be a JSON object with apiVersion, kind and metadata, not {found}")]
    NotAnObject {
        /// The JSON type that was found, with its article.
        found: &'static str,
    },
    /// A part of the object cannot be read as the type asked for.
    #[error("{kind} {name:?}: {field}: {detail}")]
    Field {
        /// Kind of the object.
        kind: String,
        /// `namespace/name` or name of the object.
        name: String,
        /// Which part.
        field: String,
        /// What is wrong there.
        detail: String,
    },
}

/// One entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `group/version` of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner, in the same namespace.
    pub name: String,
    /// Uid of the owner; a namesake with another uid is not the owner.
    pub uid: String,
    /// True for the one owner that manages this object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub controller: bool,
    /// True if foreground deletion of the owner waits for this object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub block_owner_deletion: bool,
}

impl Object {
    /// Takes a JSON value that is an object; anything else is refused.
    pub fn from_value(value: Value) -> Result<Self, Malformed> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => Err(Malformed::NotAnObject {
                found: type_name(&other),
            }),
        }
    }

    /// A new object of `resource` in its storage version. `namespace` is ignored for cluster-scoped kinds.
    pub fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        let mut object = Self::default();
        object.set(&["apiVersion"], resource.storage_api_version().into());
        object.set(&["kind"], resource.kind.into());
        object.set(&["metadata", "name"], name.into());
        if resource.namespaced {
            object.set(&["metadata", "namespace"], namespace.into());
        }
        object
    }

    /// The JSON value of this object.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// A copy of this object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The JSON map of this object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The JSON map of this object, to change it.
    pub fn as_map_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// `v1`, `policy.osier.dev/v1alpha1`...; empty if absent.
    pub fn api_version(&self) -> &str {
        self.text(&["apiVersion"])
    }

    /// The group part of `apiVersion`; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The version part of `apiVersion`.
    pub fn version(&self) -> &str {
        let whole = self.api_version();
        whole.split_once('/').map_or(whole, |(_, version)| version)
    }

    /// `Pod`, `Service`...; empty if absent.
    pub fn kind(&self) -> &str {
        self.text(&["kind"])
    }

    /// `metadata.name`; empty if absent.
    pub fn name(&self) -> &str {
        self.text(&["metadata", "name"])
    }

    /// `metadata.generateName`; empty if absent.
    pub fn generate_name(&self) -> &str {
        self.text(&["metadata", "generateName"])
    }

    /// `metadata.namespace`; empty if absent or cluster-scoped.
    pub fn namespace(&self) -> &str {
        self.text(&["metadata", "namespace"])
    }

    /// `metadata.uid`; empty if absent.
    pub fn uid(&self) -> &str {
        self.text(&["metadata", "uid"])
    }

    /// `metadata.resourceVersion` as a number; 0 if absent or not a number.
    pub fn resource_version(&self) -> u64 {
        self.text(&["metadata", "resourceVersion"])
            .parse()
            .unwrap_or(0)
    }

    /// Puts `metadata.resourceVersion`.
    pub fn set_resource_version(&mut self, revision: u64) {
        self.set(
            &["metadata", "resourceVersion"],
            revision.to_string().into(),
        );
    }

    /// `metadata.generation`; 0 if absent.
    pub fn generation(&self) -> i64 {
        self.get(&["metadata", "generation"])
            .and_then(Value::as_i64)
            .unwrap_or(0)
    }

    /// `metadata.labels`; entries that are not strings are left out.
    pub fn labels(&self) -> Labels<'_> {
        strings(self.get(&["metadata", "labels"]))
    }

    /// `metadata.annotations`; entries that are not strings are left out.
    pub fn annotations(&self) -> BTreeMap<&str, &str> {
        strings(self.get(&["metadata", "annotations"]))
    }

    /// One label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.get(&["metadata", "labels", key])
            .and_then(Value::as_str)
    }

    /// One annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.get(&["metadata", "annotations", key])
            .and_then(Value::as_str)
    }

    /// `metadata.creationTimestamp`, RFC 3339.
    pub fn creation_timestamp(&self) -> Option<&str> {
        self.get(&["metadata", "creationTimestamp"])
            .and_then(Value::as_str)
    }

    /// `metadata.deletionTimestamp`, RFC 3339; present from the moment a graceful deletion was asked for.
    pub fn deletion_timestamp(&self) -> Option<&str> {
        self.get(&["metadata", "deletionTimestamp"])
            .and_then(Value::as_str)
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> Vec<&str> {
        let list = self
            .get(&["metadata", "finalizers"])
            .and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// `metadata.ownerReferences`; entries that cannot be read are left out.
    pub fn owner_references(&self) -> Vec<OwnerReference> {
        let list = self
            .get(&["metadata", "ownerReferences"])
            .and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(|entry| OwnerReference::deserialize(entry).ok())
            .collect()
    }

    /// The owner that manages this object.
    pub fn controller_of(&self) -> Option<OwnerReference> {
        self.owner_references()
            .into_iter()
            .find(|owner| owner.controller)
    }

    /// The reference by which a dependent names this object as its controller.
    pub fn as_controller(&self) -> OwnerReference {
        OwnerReference {
            api_version: self.api_version().to_owned(),
            kind: self.kind().to_owned(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            controller: true,
            block_owner_deletion: true,
        }
    }

    /// The value at a path of map keys.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.0.get(*first)?, |value, key| value.get(*key))
    }

    /// The string at a path of map keys; empty if there is none.
    pub fn text(&self, path: &[&str]) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or("")
    }

    /// Puts a value at a path of map keys; what stands in the way and is not a map is replaced by one.
    pub fn set(&mut self, path: &[&str], value: Value) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut map = &mut self.0;
        for key in parents {
            let entry = map.entry(*key).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            let Value::Object(next) = entry else { return };
            map = next;
        }
        map.insert((*last).to_owned(), value);
    }

    /// Removes and returns the value at a path of map keys.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let parent = parents
            .iter()
            .try_fold(&mut self.0, |map, key| map.get_mut(*key)?.as_object_mut())?;
        parent.remove(*last)
    }

    /// Reads one top-level field (`spec`, `status`, `data`) as a typed view; an absent field reads as `{}`.
    pub fn view<T: DeserializeOwned>(&self, field: &str) -> Result<T, Malformed> {
        let empty = Value::Object(Map::new());
        let value = self.0.get(field).unwrap_or(&empty);
        T::deserialize(value).map_err(|error| Malformed::Field {
            kind: self.kind().to_owned(),
            name: self.full_name(),
            field: field.to_owned(),
            detail: error.to_string(),
        })
    }

    /// `namespace/name`, or the name alone for a cluster-scoped object.
    pub fn full_name(&self) -> String {
        match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        }
    }
}

fn strings(value: Option<&Value>) -> BTreeMap<&str, &str> {
    let map = value.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

/// The JSON type of a value with its article, for messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Object {
        Object::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "a", "namespace": "n", "resourceVersion": "42", "labels": {"app": "x"},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": "w", "uid": "1"},
                    {"apiVersion": "v1", "kind": "ReplicationController", "name": "rc", "uid": "2", "controller": true}
                ]
            },
            "spec": {"replicas": "many"}
        }))
        .unwrap()
    }

    #[test]
    fn reads_metadata() {
        let pod = pod();
        assert_eq!(
            (pod.name(), pod.namespace(), pod.resource_version()),
            ("a", "n", 42)
        );
        assert_eq!(pod.labels(), BTreeMap::from([("app", "x")]));
        assert_eq!(pod.controller_of().unwrap().name, "rc");
        assert_eq!(pod.full_name(), "n/a");
    }

    #[test]
    fn set_makes_the_way_and_remove_undoes_it() {
        let mut pod = pod();
        pod.set(&["status", "conditions", "x"], json!(1));
        assert_eq!(pod.get(&["status", "conditions", "x"]), Some(&json!(1)));
        assert_eq!(pod.remove(&["status", "conditions", "x"]), Some(json!(1)));
        assert_eq!(pod.remove(&["status", "nothing", "x"]), None);
    }

    #[test]
    fn a_bad_view_names_object_and_field() {
        #[derive(Debug, Deserialize)]
        struct Spec {
            #[serde(rename = "replicas")]
            _replicas: i32,
        }
        let error = pod().view::<Spec>("spec").unwrap_err().to_string();
        assert!(
            error.starts_with("Pod \"n/a\": spec: invalid type: string \"many\""),
            "{error}"
        );
    }

    #[test]
    fn a_list_is_no_object() {
        let error = Object::from_value(json!([])).unwrap_err().to_string();
        assert!(error.ends_with("not an array"), "{error}");
    }
}
