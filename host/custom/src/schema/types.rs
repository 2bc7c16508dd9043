//! What a schema says of values, as rules in CEL see it: types, and how large values become.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_cel::Type;
use serde_json::{Map, Value};

/// Nothing larger comes in a request.
const LARGEST: u64 = 3 * 1024 * 1024 - 2;
/// The longest name of an object.
const NAME: u64 = 253;
/// Texts that rules may see as something else.
const FORMATS: [&str; 4] = ["byte", "date", "date-time", "duration"];

/// The type of the values of a schema; at the root of a kind every object has some fields more.
pub(super) fn of(schema: &Value, root: bool) -> Type {
    let says = |keyword: &str| schema[keyword] == true;
    if says("x-kubernetes-int-or-string") || says("x-kubernetes-preserve-unknown-fields") {
        return Type::Dyn;
    }
    match schema["type"].as_str().unwrap_or("") {
        "boolean" => Type::Bool,
        "integer" => Type::Int,
        "number" => Type::Double,
        "string" if FORMATS.iter().any(|one| schema["format"] == *one) => Type::Dyn,
        "string" => Type::Text(longest(schema)),
        "array" => Type::List(Box::new(of(&schema["items"], false)), most(schema)),
        "object" if schema["additionalProperties"].is_object() => {
            let each = of(&schema["additionalProperties"], false);
            Type::Map(Box::new(each), most(schema))
        }
        "object" => {
            let mut fields = BTreeMap::new();
            if root || says("x-kubernetes-embedded-resource") {
                fields = common();
            }
            let own = properties(schema).filter(|(name, _)| !fields.contains_key(*name));
            let own: Vec<_> = own
                .map(|(name, one)| (name.clone(), of(one, false)))
                .collect();
            fields.extend(own);
            Type::Object(Arc::new(fields))
        }
        _ => Type::Dyn,
    }
}

/// How many elements or entries there are at most: what is not said follows from what a request can hold.
pub(crate) fn most(schema: &Value) -> u64 {
    let said = |keyword: &str| schema[keyword].as_u64();
    match said("maxItems").or_else(|| said("maxProperties")) {
        Some(most) => most,
        None if schema["items"].is_object() => LARGEST / (least(&schema["items"]) + 1),
        None => LARGEST / (least(&schema["additionalProperties"]) + 4),
    }
}

fn longest(schema: &Value) -> u64 {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let listed = listed
        .filter_map(Value::as_str)
        .map(|text| text.len() as u64);
    let said = schema["maxLength"].as_u64();
    said.or_else(|| listed.max()).unwrap_or(LARGEST)
}

/// The bytes of the shortest value.
fn least(schema: &Value) -> u64 {
    match schema["type"].as_str().unwrap_or("") {
        "boolean" => 4,
        "string" | "array" => 2,
        "object" => {
            let needed = schema["required"].as_array().into_iter().flatten();
            let field = |name: &str| name.len() as u64 + 3 + least(&schema["properties"][name]);
            2 + needed.filter_map(Value::as_str).map(field).sum::<u64>()
        }
        _ => 1,
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let all = schema["properties"].as_object();
    all.into_iter().flat_map(Map::iter)
}

/// What rules see of every object.
fn common() -> BTreeMap<String, Type> {
    let names = ["name", "generateName"].map(|name| (name.to_owned(), Type::Text(NAME)));
    let metadata = Type::Object(Arc::new(names.into()));
    let texts = ["apiVersion", "kind"].map(|name| (name.to_owned(), Type::Text(NAME)));
    let mut fields = BTreeMap::from(texts);
    fields.insert("metadata".to_owned(), metadata);
    fields
}
