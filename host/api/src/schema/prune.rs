//! Removes what a schema does not know.

use serde_json::{Map, Value};

use super::{join, open, resolve};
use crate::fault::{Fault, FaultKind};

pub(super) fn prune(schema: &'static Value, object: &mut Map<String, Value>) -> Vec<Fault> {
    let mut removed = Vec::new();
    map(resolve(schema), object, "", &mut removed);
    removed
}

fn map(
    schema: &'static Value,
    object: &mut Map<String, Value>,
    path: &str,
    removed: &mut Vec<Fault>,
) {
    let properties = schema.get("properties");
    let rest = schema.get("additionalProperties");
    let open = open(schema);
    object.retain(|key, inner| {
        let known = properties.and_then(|all| all.get(key)).or(rest);
        if let Some(schema) = known {
            value(schema, inner, &join(path, key), removed);
        } else if !open {
            removed.push(Fault::new(FaultKind::Unknown, join(path, key), ""));
        }
        known.is_some() || open
    });
}

fn value(schema: &'static Value, inner: &mut Value, path: &str, removed: &mut Vec<Fault>) {
    let schema = resolve(schema);
    match inner {
        Value::Object(object) if super::text(schema, "type") == "object" => {
            map(schema, object, path, removed)
        }
        Value::Array(list) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            for (index, item) in list.iter_mut().enumerate() {
                value(schema, item, &format!("{path}[{index}]"), removed);
            }
        }
        _ => {}
    }
}
