//! The structural schema of every kind: lookup, checking, pruning, normal form.
//!
//! The definitions are OpenAPI v3 documents compiled into the binary (`schemas/README.md`) and parsed at first use.

mod check;
mod normalize;
mod prune;

use std::collections::BTreeSet;
use std::sync::{LazyLock, OnceLock};

use serde_json::{Map, Value, json};

use crate::{Fault, Object, Resource};

const SOURCES: [&str; 14] = [
    include_str!("../schemas/cluster.json"),
    include_str!("../schemas/access.json"),
    include_str!("../schemas/admission.json"),
    include_str!("../schemas/core.json"),
    include_str!("../schemas/workloads.json"),
    include_str!("../schemas/definitions.json"),
    include_str!("../schemas/policy.json"),
    include_str!("../schemas/istio.json"),
    include_str!("../schemas/istio_more.json"),
    include_str!("../schemas/extensions.json"),
    include_str!("../schemas/gateway_api.json"),
    include_str!("../schemas/networking.json"),
    include_str!("../schemas/versions.json"),
    include_str!("../schemas/metrics.json"),
];
/// What stands before a definition's name in a reference.
pub const REFERENCE: &str = "#/components/schemas/";

/// The definition of what all kinds have in `metadata`.
pub const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Every way in which the object's structure differs from its kind's schema, all at once.
///
/// Faults of kind `Unknown` are for `fieldValidation`; `Required`, `NotSupported` and `Invalid` make the object
/// invalid (422); `WrongType` means that the body cannot be decoded (400). A null counts as absent. For upstream's
/// kinds what is required is said by the crate validation, as upstream does: a typed server fills zeros in.
pub fn check(resource: &Resource, object: &Object) -> Vec<Fault> {
    check::check(document(resource), object.as_map(), !resource.strategic())
}

/// Removes every field that the schema does not know; returns them as faults of kind `Unknown`.
pub fn prune(resource: &Resource, object: &mut Object) -> Vec<Fault> {
    prune::prune(document(resource), object.as_map_mut())
}

/// Removes nulls, writes quantities canonically: what a typed server would do by decoding and encoding.
pub(crate) fn normalize(resource: &Resource, object: &mut Object) {
    normalize::normalize(document(resource), object.as_map_mut());
}

/// What is known of a kind that users define: its metadata. The rest is in its definition, which is not compiled in.
static CUSTOM: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": {"metadata": {"$ref": format!("{REFERENCE}{OBJECT_META}")}},
        "x-kubernetes-preserve-unknown-fields": true,
    })
});

/// The definition of a kind.
pub fn document(resource: &Resource) -> &'static Value {
    definition(resource.schema).unwrap_or(&CUSTOM)
}

/// One definition by name, such as `io.k8s.api.core.v1.PodSpec`.
pub fn definition(name: &str) -> Option<&'static Value> {
    definitions().get(name)
}

/// Every definition by name.
pub fn definitions() -> &'static Map<String, Value> {
    static ALL: OnceLock<Map<String, Value>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parsed = SOURCES
            .iter()
            .filter_map(|source| serde_json::from_str::<Map<String, Value>>(source).ok());
        parsed.flatten().collect()
    })
}

/// Names of all definitions that those of `roots` refer to, themselves included, sorted.
pub fn closure(roots: &[&str]) -> Vec<&'static str> {
    let mut found = BTreeSet::new();
    let mut todo: Vec<&str> = roots.to_vec();
    while let Some(name) = todo.pop() {
        let Some((name, schema)) = definitions().get_key_value(name) else {
            continue;
        };
        if found.insert(name.as_str()) {
            references(schema, &mut todo);
        }
    }
    found.into_iter().collect()
}

fn references(schema: &'static Value, into: &mut Vec<&str>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().and_then(|text| text.strip_prefix(REFERENCE)) {
                    Some(name) if key == "$ref" => into.push(name),
                    _ => references(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// Follows `$ref` and the `allOf` of one that keeps a description beside it.
pub(crate) fn resolve(schema: &'static Value) -> &'static Value {
    let target = schema
        .get("$ref")
        .or_else(|| schema.get("allOf")?.get(0)?.get("$ref"));
    let name = target
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix(REFERENCE));
    name.and_then(definition).unwrap_or(schema)
}

/// The schema of one property as written at its place, where merge keys and defaults stand.
pub(crate) fn property(schema: &'static Value, name: &str) -> Option<&'static Value> {
    let schema = resolve(schema);
    schema
        .get("properties")
        .and_then(|all| all.get(name))
        .or_else(|| schema.get("additionalProperties"))
}

/// The schema of a list's items.
pub(crate) fn items(schema: &'static Value) -> Option<&'static Value> {
    resolve(schema).get("items")
}

fn text(schema: &'static Value, key: &str) -> &'static str {
    schema.get(key).and_then(Value::as_str).unwrap_or("")
}

/// Whether the schema says nothing about what is inside.
fn open(schema: &Value) -> bool {
    let preserves = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    preserves
        || (schema.get("properties").is_none() && schema.get("additionalProperties").is_none())
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

#[cfg(test)]
mod tests;
