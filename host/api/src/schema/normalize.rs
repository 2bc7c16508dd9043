//! The normal form of a value: what decoding into typed structs and encoding again would leave.

use serde_json::{Map, Value};

use super::{open, resolve, text};
use crate::quantity;

pub(super) fn normalize(schema: &'static Value, object: &mut Map<String, Value>) {
    map(resolve(schema), object);
}

fn map(schema: &'static Value, object: &mut Map<String, Value>) {
    let properties = schema.get("properties");
    let rest = schema.get("additionalProperties");
    if schema.get("x-kubernetes-preserve-unknown-fields").is_some() {
        // What is known keeps its form even where anything else is allowed.
        for (key, inner) in object.iter_mut() {
            if let Some(schema) = properties.and_then(|all| all.get(key)) {
                value(schema, inner);
            }
        }
        return;
    }
    if let Some(rest) = rest.filter(|rest| text(resolve(rest), "type") == "string") {
        strings(rest, object);
        return;
    }
    object.retain(|_, inner| !inner.is_null());
    for (key, inner) in object.iter_mut() {
        if let Some(schema) = properties.and_then(|all| all.get(key)).or(rest) {
            value(schema, inner);
        }
    }
}

/// A map of texts or quantities: a null is the empty text, a null quantity is dropped.
fn strings(schema: &'static Value, object: &mut Map<String, Value>) {
    if text(resolve(schema), "format") == "quantity" {
        object.retain(|_, inner| !inner.is_null());
    }
    for inner in object.values_mut() {
        if inner.is_null() {
            *inner = Value::String(String::new());
        }
        value(schema, inner);
    }
}

fn value(schema: &'static Value, inner: &mut Value) {
    let schema = resolve(schema);
    match inner {
        Value::Object(object) if !open(schema) => map(schema, object),
        Value::Array(list) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            list.iter_mut().for_each(|item| value(schema, item));
        }
        Value::String(_) | Value::Number(_) if text(schema, "format") == "quantity" => {
            amount(inner)
        }
        _ => {}
    }
}

fn amount(inner: &mut Value) {
    let written = inner
        .as_str()
        .map_or_else(|| inner.to_string(), str::to_owned);
    if let Ok(canonical) = quantity::canonical(&written) {
        *inner = Value::String(canonical);
    }
}
