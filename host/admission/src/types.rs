//! What a schema says of values, for expressions that are checked before there are objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::schema::{REFERENCE, definition};
use osier_cel::Type;
use serde_json::Value;

/// How many there are at most is not known here; costs are bounded where expressions run.
const SOME: u64 = 64;
/// Schemas are followed so deep.
const DEEPEST: usize = 24;

/// The type of the values of a schema.
pub fn of(schema: &Value) -> Type {
    inner(schema, &mut Vec::new())
}

fn inner<'s>(schema: &'s Value, within: &mut Vec<&'s str>) -> Type {
    let named = schema
        .get("$ref")
        .or_else(|| schema.pointer("/allOf/0/$ref"));
    let name = named.and_then(Value::as_str);
    if let Some(name) = name.and_then(|text| text.strip_prefix(REFERENCE)) {
        // What refers to itself is anything within itself.
        let Some(schema) = definition(name).filter(|_| !within.contains(&name)) else {
            return Type::Dyn;
        };
        within.push(name);
        let found = inner(schema, within);
        within.pop();
        return found;
    }
    if within.len() > DEEPEST || is_open(schema) {
        return Type::Dyn;
    }
    match schema["type"].as_str().unwrap_or("") {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Double,
        "string" => Type::Text(SOME),
        "array" => Type::List(Box::new(inner(&schema["items"], within)), SOME),
        "object" if schema["additionalProperties"].is_object() => {
            let each = inner(&schema["additionalProperties"], within);
            Type::Map(Box::new(each), SOME)
        }
        "object" => fields(schema, within),
        _ => Type::Dyn,
    }
}

fn is_open(schema: &Value) -> bool {
    const FORMATS: [&str; 4] = ["byte", "date-time", "int-or-string", "duration"];
    schema["x-kubernetes-preserve-unknown-fields"] == true
        || schema["x-kubernetes-int-or-string"] == true
        || FORMATS.iter().any(|format| schema["format"] == *format)
}

fn fields<'s>(schema: &'s Value, within: &mut Vec<&'s str>) -> Type {
    let Some(properties) = schema["properties"].as_object() else {
        return Type::Dyn;
    };
    let mut known = BTreeMap::new();
    for (name, one) in properties {
        known.insert(name.clone(), inner(one, within));
    }
    Type::Object(Arc::new(known))
}

/// The type of `request`.
pub(crate) fn request() -> Type {
    let text = || Type::Text(SOME);
    let all = |fields: &[&str]| {
        let fields = fields.iter().map(|name| ((*name).to_owned(), text()));
        Type::Object(Arc::new(fields.collect()))
    };
    let (kind, resource) = (
        ["group", "version", "kind"],
        ["group", "version", "resource"],
    );
    let texts = || Type::List(Box::new(text()), SOME);
    let user = [
        ("username", text()),
        ("uid", text()),
        ("groups", texts()),
        ("extra", Type::Map(Box::new(texts()), SOME)),
    ];
    let user = user.map(|(name, of)| (name.to_owned(), of));
    let mut fields: BTreeMap<String, Type> = BTreeMap::new();
    for name in [
        "name",
        "namespace",
        "operation",
        "subResource",
        "requestSubResource",
        "uid",
    ] {
        fields.insert(name.to_owned(), text());
    }
    for (name, of) in [
        ("kind", all(&kind)),
        ("requestKind", all(&kind)),
        ("resource", all(&resource)),
        ("requestResource", all(&resource)),
        ("userInfo", Type::Object(Arc::new(user.into()))),
        ("dryRun", Type::Bool),
        ("options", Type::Dyn),
    ] {
        fields.insert(name.to_owned(), of);
    }
    Type::Object(Arc::new(fields))
}
