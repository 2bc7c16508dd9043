//! OpenAPI v2 in JSON, which programs read that make clients or check manifests: the paths and schemas of v3, said as the
//! version before has it.

use osier_api::schema;
use serde_json::{Map, Value, json};

use crate::Entry;
use crate::document::Document;
use crate::groups;
use crate::openapi::{GVK, Paths, schemas};
use crate::openapi_v2::folded;

/// Where schemas are in a document of this version.
const REFERENCE: &str = "#/definitions/";
/// What this version has no word for.
const UNSAID: [&str; 4] = ["nullable", "oneOf", "anyOf", "not"];

/// The whole document of these kinds.
pub fn swagger(entries: &[Entry<'_>]) -> Document {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for (group, versions) in groups::groups(entries) {
        for (version, entries) in versions {
            let root = match group {
                "" => format!("api/{version}"),
                group => format!("apis/{group}/{version}"),
            };
            for (name, schema) in schemas(version, &entries) {
                define(&mut definitions, name, &schema);
            }
            for Entry { resource, .. } in entries {
                let root = root.as_str();
                let all = Paths {
                    root,
                    version,
                    resource,
                }
                .all();
                paths.extend(all.into_iter().map(|(path, item)| (path, path_item(item))));
            }
        }
    }
    Document::new(&json!({
        "swagger": "2.0",
        "info": {"title": "Osier", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "definitions": definitions,
    }))
}

/// Takes in a schema. One that several versions of a kind share names all of them.
fn define(definitions: &mut Map<String, Value>, name: String, schema: &Value) {
    let Some(known) = definitions.get_mut(&name) else {
        definitions.insert(name, said(&folded(schema)));
        return;
    };
    let (Some(kinds), Some(more)) = (
        known.get_mut(GVK).and_then(Value::as_array_mut),
        schema[GVK].as_array(),
    ) else {
        return;
    };
    let new: Vec<Value> = more
        .iter()
        .filter(|kind| !kinds.contains(kind))
        .cloned()
        .collect();
    kinds.extend(new);
}

/// A schema in the words of this version.
fn said(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return value.clone();
    };
    let mut said_map = Map::new();
    for (key, value) in map
        .iter()
        .filter(|(key, _)| !UNSAID.contains(&key.as_str()))
    {
        match (key.as_str(), value) {
            // A reference with a description beside it.
            ("allOf", Value::Array(all)) if all.len() == 1 => {
                if let Value::Object(only) = said(&all[0]) {
                    said_map.extend(only);
                }
            }
            ("$ref", Value::String(reference)) => {
                let name = reference
                    .strip_prefix(schema::REFERENCE)
                    .unwrap_or(reference);
                said_map.insert(key.clone(), json!(format!("{REFERENCE}{name}")));
            }
            ("properties", Value::Object(properties)) => {
                let each = properties
                    .iter()
                    .map(|(name, value)| (name.clone(), said(value)));
                said_map.insert(key.clone(), Value::Object(each.collect()));
            }
            ("items" | "additionalProperties", value) => {
                said_map.insert(key.clone(), said(value));
            }
            (_, value) => {
                said_map.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(said_map)
}

fn path_item(item: Value) -> Value {
    let Value::Object(item) = item else {
        return item;
    };
    let each = item.into_iter().map(|(key, value)| {
        let value = match key.as_str() {
            "parameters" => parameters(&value),
            _ => operation(value),
        };
        (key, value)
    });
    Value::Object(each.collect())
}

fn operation(mut operation: Value) -> Value {
    let mut taken = parameters(&operation["parameters"]);
    let body = operation
        .as_object_mut()
        .and_then(|map| map.remove("requestBody"));
    if let (Some(Value::Object(content)), Some(taken)) = (
        body.as_ref().map(|body| &body["content"]),
        taken.as_array_mut(),
    ) {
        let schema = content.values().next().map(|media| said(&media["schema"]));
        taken.push(json!({"name": "body", "in": "body", "required": true, "schema": schema}));
        operation["consumes"] = content.keys().cloned().collect();
    }
    operation["parameters"] = taken;
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let answer = said(answer);
    operation["produces"] = json!(["application/json", "application/yaml"]);
    operation["responses"] = json!({"200": {"description": "OK", "schema": answer}});
    operation
}

/// Parameters say their type themselves.
fn parameters(parameters: &Value) -> Value {
    let each = parameters.as_array().into_iter().flatten().cloned();
    let each = each.map(|mut parameter| {
        if let Some(map) = parameter.as_object_mut() {
            let schema = map.remove("schema").unwrap_or_default();
            map.insert("type".to_owned(), schema["type"].clone());
            map.insert("uniqueItems".to_owned(), true.into());
        }
        parameter
    });
    Value::Array(each.collect())
}
