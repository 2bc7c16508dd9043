//! Pods made from a controller's template. Pure.

use osier_api::Object;
use serde_json::{Map, Value, json};

use crate::ownership;

/// A pod as the `spec.template` of the controller describes it, owned by it; the API names it.
pub(crate) fn pod(controller: &Object) -> Object {
    let template = controller.get(&["spec", "template"]);
    pod_of(controller, template.unwrap_or(&Value::Null))
}

/// The same of another template, such as one of its history.
pub(crate) fn pod_of(controller: &Object, template: &Value) -> Object {
    let mut metadata = Map::new();
    for kept in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(kept) {
            metadata.insert(kept.to_owned(), value.clone());
        }
    }
    let prefix = format!("{}-", controller.name());
    metadata.insert("generateName".to_owned(), prefix.into());
    metadata.insert("namespace".to_owned(), controller.namespace().into());
    let owners = json!([ownership::reference(controller)]);
    metadata.insert("ownerReferences".to_owned(), owners);
    let mut pod = Object::default();
    for (field, value) in [
        ("apiVersion", "v1".into()),
        ("kind", "Pod".into()),
        ("metadata", metadata.into()),
        ("spec", template["spec"].clone()),
    ] {
        pod.as_map_mut().insert(field.to_owned(), value);
    }
    pod
}
