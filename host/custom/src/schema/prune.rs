//! Pruning: what a schema does not know is not stored.

use serde_json::{Map, Value};

use super::{Node, Rest, join};

/// The fields that every object has, which no schema needs to name.
const OWN: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes every field that the schema does not know, and returns their paths. The root is an object of the API.
pub(crate) fn prune(node: &Node, object: &mut Map<String, Value>) -> Vec<String> {
    let mut removed = Vec::new();
    map(node, object, (true, ""), &mut removed);
    removed
}

fn map(
    node: &Node,
    object: &mut Map<String, Value>,
    (resource, path): (bool, &str),
    removed: &mut Vec<String>,
) {
    object.retain(|key, inner| {
        if resource && OWN.contains(&key.as_str()) {
            return true;
        }
        let path = join(path, key);
        match (node.properties.get(key), &node.rest) {
            (Some(property), _) => value(property, inner, &path, removed),
            (None, Rest::Each(each)) => value(each, inner, &path, removed),
            (None, Rest::Open) => {}
            (None, Rest::Closed) if node.preserve => {}
            (None, Rest::Closed) => {
                removed.push(path);
                return false;
            }
        }
        true
    });
}

fn value(node: &Node, inner: &mut Value, path: &str, removed: &mut Vec<String>) {
    match inner {
        Value::Object(object) => map(node, object, (node.embedded, path), removed),
        Value::Array(list) => {
            let Some(items) = &node.items else {
                return;
            };
            for (index, item) in list.iter_mut().enumerate() {
                value(items, item, &format!("{path}[{index}]"), removed);
            }
        }
        _ => {}
    }
}
