//! Defaults: what a schema says of fields that are not there, and of nulls where there may be none.

use serde_json::{Map, Value};

use super::{Node, Rest};

/// Takes nulls out where the schema wants a value, and puts its defaults in. Applying it twice changes nothing more.
pub(crate) fn complete(node: &Node, object: &mut Map<String, Value>) {
    object.retain(|key, inner| {
        let known = known(node, key);
        !inner.is_null() || known.is_none_or(|node| node.nullable || node.default.is_some())
    });
    for (key, property) in &node.properties {
        if let Some(default) = &property.default
            && object
                .get(key)
                .is_none_or(|value| value.is_null() && !property.nullable)
        {
            object.insert(key.clone(), default.clone());
        }
    }
    for (key, inner) in object.iter_mut() {
        if let Some(node) = known(node, key) {
            value(node, inner);
        }
    }
}

fn known<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.properties.get(key).or(match &node.rest {
        Rest::Each(each) => Some(each),
        _ => None,
    })
}

fn value(node: &Node, inner: &mut Value) {
    if inner.is_null()
        && !node.nullable
        && let Some(default) = &node.default
    {
        *inner = default.clone();
    }
    match inner {
        Value::Object(object) => complete(node, object),
        Value::Array(list) => {
            if let Some(items) = &node.items {
                list.iter_mut().for_each(|item| value(items, item));
            }
        }
        _ => {}
    }
}
