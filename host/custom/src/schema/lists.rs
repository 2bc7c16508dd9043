//! Lists that are sets or maps have no element twice.

use std::collections::BTreeSet;

use osier_api::Fault;
use serde_json::{Map, Value};

use super::{List, Node};

pub(super) fn check(node: &Node, list: &[Value], path: &str, faults: &mut Vec<Fault>) {
    let keys = match &node.list {
        List::Atomic => return,
        List::Set => &[][..],
        List::Map(keys) => keys.as_slice(),
    };
    let mut seen = BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let identity = identity(node, keys, item);
        // The text of a value without order is that of one with its keys sorted, as serde_json keeps them.
        if !seen.insert(identity.to_string()) {
            faults.push(Fault::duplicate(format!("{path}[{index}]"), identity));
        }
    }
}

/// What tells an element from others.
fn identity(node: &Node, keys: &[String], item: &Value) -> Value {
    if node.list == List::Set {
        return item.clone();
    }
    let default = |key: &String| node.items.as_ref()?.properties.get(key)?.default.as_ref();
    let pairs = keys.iter().filter_map(|key| {
        let value = item.get(key).or_else(|| default(key))?;
        Some((key.clone(), value.clone()))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}
