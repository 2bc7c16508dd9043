//! What makes a schema structural: every field has one type, said in one place, so that objects can be pruned and defaulted.

use osier_api::Fault;
use serde_json::{Map, Value};

use super::DEEPEST;
use crate::schema::rules::Standing;
use crate::schema::{Node, Type, check as values, complete, prune, rules, types};

/// Keywords of JSON schema that structural schemas do not have.
const FORBIDDEN: [&str; 9] = [
    "$ref",
    "$schema",
    "id",
    "definitions",
    "dependencies",
    "patternProperties",
    "additionalItems",
    "discriminator",
    "readOnly",
];
/// What within `allOf`, `anyOf`, `oneOf` and `not` would say something of the structure.
const STRUCTURE: [&str; 11] = [
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
];
const JUNCTORS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Every fault of a schema at a path.
pub(super) fn check(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    match schema["type"].as_str().unwrap_or("") {
        "" => faults.push(Fault::required(
            format!("{path}.type"),
            "must not be empty at the root",
        )),
        "object" => {}
        other => faults.push(Fault::invalid(
            format!("{path}.type"),
            other,
            "must be object at the root",
        )),
    }
    if schema["nullable"] == true {
        faults.push(Fault::forbidden(
            format!("{path}.nullable"),
            "nullable cannot be true at the root",
        ));
    }
    metadata(
        &schema["properties"]["metadata"],
        &format!("{path}.properties[metadata]"),
        faults,
    );
    let before = faults.len();
    let root = Place {
        path,
        depth: 0,
        comparable: true,
        times: 1,
    };
    node(schema, root, faults);
    // The defaults of a schema that is no schema cannot be judged.
    if faults.len() == before {
        faults.extend(rules::costly_together(schema, path));
        defaults(schema, path, faults);
    }
}

/// Of the metadata only names can be restricted.
fn metadata(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    let Some(schema) = schema.as_object() else {
        return;
    };
    let names = schema.get("properties").and_then(Value::as_object);
    let strange = names
        .into_iter()
        .flatten()
        .any(|(name, _)| name != "name" && name != "generateName");
    let others = schema
        .keys()
        .any(|key| !matches!(key.as_str(), "type" | "properties" | "description"));
    if strange || others {
        let words = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        faults.push(Fault::forbidden(path, words));
    }
}

fn node(schema: &Value, place: Place<'_>, faults: &mut Vec<Fault>) {
    let Place { path, depth, .. } = place;
    if depth > DEEPEST {
        let words = format!("schemas are at most {DEEPEST} levels deep");
        faults.push(Fault::invalid(path, "", words));
        return;
    }
    keywords(schema, path, faults);
    kind(schema, path, depth, faults);
    extensions(schema, path, faults);
    let standing = Standing {
        path,
        root: depth == 0,
        comparable: place.comparable,
        times: place.times,
    };
    rules::faults(schema, standing, faults);
    junctors(schema, schema, path, faults);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.properties[{name}]");
        node(property, place.below(&path, true), faults);
    }
    let path = format!("{path}.additionalProperties");
    if schema["additionalProperties"].is_object() {
        let each = &schema["additionalProperties"];
        node(each, place.each(schema).below(&path, true), faults);
    }
    items(schema, place, faults);
}

fn items(schema: &Value, place: Place<'_>, faults: &mut Vec<Fault>) {
    let path = format!("{}.items", place.path);
    // Elements before a change are found again in a map only.
    let found = schema["x-kubernetes-list-type"] == "map";
    match &schema["items"] {
        Value::Array(_) => {
            let words = "items must be a schema object and not an array";
            faults.push(Fault::forbidden(path, words));
        }
        items @ Value::Object(_) => {
            node(items, place.each(schema).below(&path, found), faults);
        }
        _ => {}
    }
}

/// Where in a schema we are.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    depth: usize,
    /// Whether the value before a change is known here.
    comparable: bool,
    /// How many values an object has here at most.
    times: u64,
}

impl<'p> Place<'p> {
    /// The same place, for each element or entry of a schema.
    fn each(self, schema: &Value) -> Place<'p> {
        let times = self.times.saturating_mul(types::most(schema));
        Place { times, ..self }
    }

    fn below(self, path: &str, comparable: bool) -> Place<'_> {
        Place {
            path,
            depth: self.depth + 1,
            times: self.times,
            comparable: self.comparable && comparable,
        }
    }
}

fn keywords(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    let set = |name: &&str| said(schema, name);
    let unknown = FORBIDDEN.iter().filter(|name| set(name));
    faults.extend(unknown.map(|name| {
        Fault::forbidden(format!("{path}.{name}"), format!("{name} is not supported"))
    }));
    let mut forbid =
        |name: &str, words: &str| faults.push(Fault::forbidden(format!("{path}.{name}"), words));
    if schema["uniqueItems"] == true {
        forbid(
            "uniqueItems",
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    if schema["additionalProperties"] == false {
        forbid(
            "additionalProperties",
            "additionalProperties cannot be set to false",
        );
    }
    let properties = schema["properties"]
        .as_object()
        .is_some_and(|all| !all.is_empty());
    if properties && schema["additionalProperties"].is_object() {
        forbid(
            "additionalProperties",
            "additionalProperties and properties are mutual exclusive",
        );
    }
    pattern(schema, path, faults);
}

/// Whether a keyword says anything.
fn said(schema: &Value, name: &str) -> bool {
    let value = schema.get(name);
    value.is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
}

fn pattern(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    let pattern = schema["pattern"].as_str().unwrap_or("");
    if let Err(error) = regex::Regex::new(pattern) {
        let words = format!("must be a valid regular expression, but isn't: {error}");
        faults.push(Fault::invalid(format!("{path}.pattern"), pattern, words));
    }
}

fn kind(schema: &Value, path: &str, depth: usize, faults: &mut Vec<Fault>) {
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let field = format!("{path}.type");
    match schema["type"].as_str().unwrap_or("") {
        "" if depth == 0 || int_or_string || preserves => {}
        "" => {
            let place = if path.ends_with(".items") {
                "array items"
            } else {
                "object fields"
            };
            faults.push(Fault::required(
                field,
                format!("must not be empty for specified {place}"),
            ));
        }
        kind if int_or_string => faults.push(Fault::invalid(
            field,
            kind,
            "must be empty if x-kubernetes-int-or-string is true",
        )),
        "array" if !schema["items"].is_object() => {
            faults.push(Fault::required(
                format!("{path}.items"),
                "must be specified",
            ));
        }
        kind if Type::of(kind).is_none() => {
            let all = ["array", "boolean", "integer", "number", "object", "string"];
            faults.push(Fault::not_supported(field, kind, &all));
        }
        _ => {}
    }
}

/// The keywords that Kubernetes adds.
fn extensions(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    let kind = schema["type"].as_str().unwrap_or("");
    let name = "x-kubernetes-preserve-unknown-fields";
    if schema.get(name) == Some(&Value::Bool(false)) {
        faults.push(Fault::invalid(
            format!("{path}.{name}"),
            false,
            "must be true or undefined",
        ));
    }
    if schema["x-kubernetes-embedded-resource"] == true {
        if kind != "object" {
            let words = "must be object if x-kubernetes-embedded-resource is true";
            faults.push(Fault::invalid(format!("{path}.type"), kind, words));
        }
        let says = schema["properties"].is_object()
            || schema["x-kubernetes-preserve-unknown-fields"] == true;
        if !says {
            let words = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
            faults.push(Fault::required(format!("{path}.properties"), words));
        }
    }
    map_type(schema, (path, kind), faults);
    list_type(schema, (path, kind), faults);
}

fn map_type(schema: &Value, (path, kind): (&str, &str), faults: &mut Vec<Fault>) {
    let field = format!("{path}.x-kubernetes-map-type");
    match schema["x-kubernetes-map-type"].as_str() {
        None => {}
        Some("atomic" | "granular") if kind == "object" => {}
        Some("atomic" | "granular") => {
            faults.push(Fault::invalid(
                format!("{path}.type"),
                kind,
                "must be object if x-kubernetes-map-type is specified",
            ));
        }
        Some(other) => faults.push(Fault::not_supported(field, other, &["atomic", "granular"])),
    }
}

fn list_type(schema: &Value, (path, kind): (&str, &str), faults: &mut Vec<Fault>) {
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let keys = keys.into_iter().flatten().filter_map(Value::as_str);
    let (keys, list) = (
        keys.collect::<Vec<&str>>(),
        schema["x-kubernetes-list-type"].as_str(),
    );
    let field = format!("{path}.x-kubernetes-list-type");
    if list.is_some() && kind != "array" {
        let words = "must be array if x-kubernetes-list-type is specified";
        faults.push(Fault::invalid(format!("{path}.type"), kind, words));
    }
    if list != Some("map") && !keys.is_empty() {
        let words = "must be map if x-kubernetes-list-map-keys is non-empty";
        faults.push(Fault::invalid(&field, list.unwrap_or(""), words));
    }
    match list {
        None | Some("atomic") => {}
        Some("set") => set(&schema["items"], path, faults),
        Some("map") => keys_of(&schema["items"], &keys, path, faults),
        Some(other) => {
            let all = ["atomic", "map", "set"];
            faults.push(Fault::not_supported(field, other, &all));
        }
    }
}

/// The elements of a set are told apart as wholes.
fn set(items: &Value, path: &str, faults: &mut Vec<Fault>) {
    let atomic = |keyword: &str| items[keyword] == "atomic";
    let whole = match items["type"].as_str() {
        Some("object") => atomic("x-kubernetes-map-type"),
        Some("array") => {
            atomic("x-kubernetes-list-type") || items["x-kubernetes-list-type"].is_null()
        }
        _ => true,
    };
    if !whole || items["nullable"] == true {
        let words = "items of a set must be scalars, or atomic lists or maps, and not nullable";
        faults.push(Fault::invalid(
            format!("{path}.items"),
            items["type"].clone(),
            words,
        ));
    }
}

/// The keys of a list that is a map: scalar fields that every element has.
fn keys_of(items: &Value, keys: &[&str], path: &str, faults: &mut Vec<Fault>) {
    let field = format!("{path}.x-kubernetes-list-map-keys");
    if keys.is_empty() {
        let words = "must not be empty if x-kubernetes-list-type is map";
        faults.push(Fault::required(&field, words));
    }
    if items["type"] != "object" {
        let words = "must be object if parent array's x-kubernetes-list-type is map";
        faults.push(Fault::invalid(
            format!("{path}.items.type"),
            items["type"].clone(),
            words,
        ));
    }
    for (index, name) in keys.iter().enumerate() {
        if items["properties"][*name].is_null() {
            let words = "entries must all be names of item properties";
            faults.push(Fault::invalid(format!("{field}[{index}]"), *name, words));
        } else {
            key(
                items,
                name,
                &format!("{path}.items.properties[{name}]"),
                faults,
            );
        }
    }
}

fn key(items: &Value, name: &str, path: &str, faults: &mut Vec<Fault>) {
    let property = &items["properties"][name];
    let kind = &property["type"];
    if matches!(kind.as_str(), Some("object" | "array")) {
        let words = "must be a scalar type if parent array's x-kubernetes-list-type is map";
        faults.push(Fault::invalid(format!("{path}.type"), kind.clone(), words));
    }
    let mut required = items["required"].as_array().into_iter().flatten();
    if property["default"].is_null() && !required.any(|one| one == name) {
        let words = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
        faults.push(Fault::required(format!("{path}.default"), words));
    }
}

/// `outer` is the part of the schema that stands for the same place outside all junctors.
fn junctors(schema: &Value, outer: &Value, path: &str, faults: &mut Vec<Fault>) {
    for name in JUNCTORS {
        let list = schema[name].as_array().into_iter().flatten();
        for (index, inner) in list.enumerate() {
            within(inner, outer, &format!("{path}.{name}[{index}]"), faults);
        }
    }
    if schema["not"].is_object() {
        within(&schema["not"], outer, &format!("{path}.not"), faults);
    }
}

fn within(schema: &Value, outer: &Value, path: &str, faults: &mut Vec<Fault>) {
    let int_or_string = outer["x-kubernetes-int-or-string"] == true;
    // The two types of a number or text are usually told once more.
    let strange = |name: &&&str| said(schema, name) && !(**name == "type" && int_or_string);
    let strange = STRUCTURE.iter().filter(strange);
    let words = "must be empty to be structural";
    faults.extend(strange.map(|name| Fault::forbidden(format!("{path}.{name}"), words)));
    let open = outer["x-kubernetes-preserve-unknown-fields"] == true
        || outer["additionalProperties"].is_object();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let known = &outer["properties"][name.as_str()];
        let place = format!("{path}.properties[{name}]");
        if known.is_null() && !open {
            let words = format!("because it is defined in {place}");
            faults.push(Fault::required(outside(path, name), words));
        }
        within(property, known, &place, faults);
    }
    if schema["items"].is_object() {
        within(
            &schema["items"],
            &outer["items"],
            &format!("{path}.items"),
            faults,
        );
    }
    junctors(schema, outer, path, faults);
}

/// Where a field that is named within a junctor must be named too.
fn outside(path: &str, name: &str) -> String {
    let places = [".allOf[", ".anyOf[", ".oneOf[", ".not"];
    let first = places.iter().filter_map(|place| path.find(place)).min();
    format!(
        "{}.properties[{name}]",
        &path[..first.unwrap_or(path.len())]
    )
}

/// Every default fits the schema that it stands in, and nothing of it would be pruned.
fn defaults(schema: &Value, path: &str, faults: &mut Vec<Fault>) {
    if let Some(default) = schema.get("default").filter(|value| !value.is_null()) {
        fits(schema, default, &format!("{path}.default"), faults);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        defaults(property, &format!("{path}.properties[{name}]"), faults);
    }
    for part in ["additionalProperties", "items"] {
        if schema[part].is_object() {
            defaults(&schema[part], &format!("{path}.{part}"), faults);
        }
    }
}

fn fits(schema: &Value, default: &Value, path: &str, faults: &mut Vec<Fault>) {
    let Ok(node) = Node::compile(schema) else {
        return;
    };
    let mut whole = Map::from_iter([("x".to_owned(), default.clone())]);
    let mut root = Node::default();
    let within = Node {
        default: None,
        ..node.clone()
    };
    root.properties.insert("x".to_owned(), within);
    if !prune::prune(&root, &mut whole).is_empty() {
        let words = "must not have unknown fields";
        faults.push(Fault::invalid(path, default.clone(), words));
    }
    complete::complete(&root, &mut whole);
    values::value(&node, whole.get("x").unwrap_or(default), path, faults);
}
