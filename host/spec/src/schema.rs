//! Configuration against the plugin's own JSON Schema: the keywords that configurations use, every fault with the path of its field.

use regex::Regex;
use serde_json::Value as Json;

use crate::fault::Fault;
use crate::nearest::nearest;

/// Deepest nesting of a schema that is followed.
const MAX_DEPTH: usize = 32;

/// Every way in which `value` breaks `schema`.
pub fn check(schema: &Json, value: &Json, path: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let root = schema;
    Checker { root }.value(schema, value, path, 0, &mut faults);
    faults
}

struct Checker<'s> {
    root: &'s Json,
}

impl Checker<'_> {
    fn value(
        &self,
        schema: &Json,
        value: &Json,
        path: &str,
        depth: usize,
        faults: &mut Vec<Fault>,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let schema = match schema.get("$ref").and_then(Json::as_str) {
            Some(reference) => reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
                .unwrap_or(schema),
            None => schema,
        };
        if let Some(detail) = wrong_type(schema, value) {
            faults.push(Fault::new(path, detail));
            return;
        }
        if let Some(detail) = choice(schema, value) {
            faults.push(Fault::new(path, detail));
        }
        match value {
            Json::Object(_) => self.object(schema, value, path, depth, faults),
            Json::Array(items) => self.array(schema, items, path, depth, faults),
            Json::String(text) => string(schema, text, path, faults),
            Json::Number(_) => number(schema, value, path, faults),
            _ => {}
        }
        self.combined(schema, value, path, depth, faults);
    }

    fn object(
        &self,
        schema: &Json,
        value: &Json,
        path: &str,
        depth: usize,
        faults: &mut Vec<Fault>,
    ) {
        let Some(fields) = value.as_object() else {
            return;
        };
        let empty = serde_json::Map::new();
        let properties = schema
            .get("properties")
            .and_then(Json::as_object)
            .unwrap_or(&empty);
        for required in schema
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(name) = required.as_str().filter(|name| !fields.contains_key(*name)) {
                faults.push(Fault::new(format!("{path}.{name}"), "is required"));
            }
        }
        for (name, value) in fields {
            let place = format!("{path}.{name}");
            match (properties.get(name), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value, &place, depth + 1, faults),
                (None, Some(Json::Bool(false))) => {
                    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
                    let hint = nearest(name, names.iter().copied())
                        .map(|known| format!("; did you mean `{known}`?"))
                        .unwrap_or_else(|| format!("; known are {}", names.join(", ")));
                    faults.push(Fault::new(place, format!("is unknown{hint}")));
                }
                (None, Some(schema @ Json::Object(_))) => {
                    self.value(schema, value, &place, depth + 1, faults);
                }
                _ => {}
            }
        }
    }

    fn array(
        &self,
        schema: &Json,
        items: &[Json],
        path: &str,
        depth: usize,
        faults: &mut Vec<Fault>,
    ) {
        let bound = |name: &str| schema.get(name).and_then(Json::as_u64);
        let count = items.len() as u64;
        if bound("minItems").is_some_and(|least| count < least) {
            faults.push(Fault::new(
                path,
                format!("needs at least {} entries", bound("minItems").unwrap_or(0)),
            ));
        }
        if bound("maxItems").is_some_and(|most| count > most) {
            faults.push(Fault::new(
                path,
                format!("takes at most {} entries", bound("maxItems").unwrap_or(0)),
            ));
        }
        if let Some(schema) = schema.get("items") {
            for (place, item) in items.iter().enumerate() {
                self.value(schema, item, &format!("{path}[{place}]"), depth + 1, faults);
            }
        }
    }

    fn combined(
        &self,
        schema: &Json,
        value: &Json,
        path: &str,
        depth: usize,
        faults: &mut Vec<Fault>,
    ) {
        for part in schema
            .get("allOf")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            self.value(part, value, path, depth + 1, faults);
        }
        for keyword in ["anyOf", "oneOf"] {
            let Some(parts) = schema.get(keyword).and_then(Json::as_array) else {
                continue;
            };
            let fitting = parts.iter().filter(|part| {
                let mut own = Vec::new();
                self.value(part, value, path, depth + 1, &mut own);
                own.is_empty()
            });
            match (fitting.count(), keyword) {
                (0, _) => faults.push(Fault::new(
                    path,
                    "fits none of the forms that the plugin allows",
                )),
                (2.., "oneOf") => faults.push(Fault::new(
                    path,
                    "fits more than one of the forms that the plugin allows",
                )),
                _ => {}
            }
        }
    }
}

fn wrong_type(schema: &Json, value: &Json) -> Option<String> {
    let wanted: Vec<&str> = match schema.get("type")? {
        Json::String(one) => vec![one],
        Json::Array(several) => several.iter().filter_map(Json::as_str).collect(),
        _ => return None,
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => true,
    };
    let found = match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    };
    let fits = wanted.iter().any(is);
    (!fits).then(|| format!("must be of type {}, not {found}", wanted.join(" or ")))
}

fn choice(schema: &Json, value: &Json) -> Option<String> {
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        return Some(format!("must be {constant}"));
    }
    let allowed = schema.get("enum")?.as_array()?;
    if allowed.contains(value) {
        return None;
    }
    let names: Vec<String> = allowed
        .iter()
        .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
        .collect();
    Some(format!("must be one of {}", names.join(", ")))
}

fn string(schema: &Json, text: &str, path: &str, faults: &mut Vec<Fault>) {
    let bound = |name: &str| schema.get(name).and_then(Json::as_u64);
    let count = text.chars().count() as u64;
    if bound("minLength").is_some_and(|least| count < least) {
        faults.push(Fault::new(path, "is too short"));
    }
    if bound("maxLength").is_some_and(|most| count > most) {
        faults.push(Fault::new(path, "is too long"));
    }
    // A pattern that this engine cannot read is the plugin's own business: it checks again in `configure`.
    let pattern = schema.get("pattern").and_then(Json::as_str);
    if let Some(regex) = pattern.and_then(|pattern| Regex::new(pattern).ok())
        && !regex.is_match(text)
    {
        let meaning = schema.get("description").and_then(Json::as_str);
        let meaning = meaning
            .map(|meaning| format!(" ({meaning})"))
            .unwrap_or_default();
        faults.push(Fault::new(
            path,
            format!("`{text}` does not match {}{meaning}", regex.as_str()),
        ));
    }
}

fn number(schema: &Json, value: &Json, path: &str, faults: &mut Vec<Fault>) {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    let Some(number) = value.as_f64() else {
        return;
    };
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        faults.push(Fault::new(path, format!("{number} is less than {least}")));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        faults.push(Fault::new(path, format!("{number} is more than {most}")));
    }
    if let Some(least) = bound("exclusiveMinimum").filter(|least| number <= *least) {
        faults.push(Fault::new(
            path,
            format!("{number} must be more than {least}"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(schema: &Json, value: &Json) -> Vec<String> {
        check(schema, value, "spec.config")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_wrong_field_is_named_with_its_path() {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["limit"],
            "properties": {
                "limit": {"type": "integer", "minimum": 1},
                "mode": {"enum": ["Allow", "Deny"]},
                "rules": {"type": "array", "items": {"type": "object", "properties": {"path": {"type": "string", "pattern": "^/"}}}},
            },
        });
        assert!(
            fields(
                &schema,
                &json!({"limit": 1, "mode": "Deny", "rules": [{"path": "/a"}]})
            )
            .is_empty()
        );
        let faults = fields(
            &schema,
            &json!({"limt": 1, "mode": "deny", "rules": [{"path": "/a"}, {"path": "b"}]}),
        );
        assert_eq!(
            faults,
            [
                "spec.config.limit: is required",
                "spec.config.limt: is unknown; did you mean `limit`?",
                "spec.config.mode: must be one of Allow, Deny",
                "spec.config.rules[1].path: `b` does not match ^/",
            ]
        );
        assert_eq!(
            fields(&schema, &json!({"limit": "1"})),
            ["spec.config.limit: must be of type integer, not a string"]
        );
        assert_eq!(
            fields(&schema, &json!({"limit": 0})),
            ["spec.config.limit: 0 is less than 1"]
        );
    }

    #[test]
    fn forms_and_references_are_followed() {
        let schema = json!({
            "$defs": {"name": {"type": "string"}},
            "properties": {"who": {"oneOf": [{"$ref": "#/$defs/name"}, {"type": "array", "items": {"$ref": "#/$defs/name"}}]}},
        });
        assert!(fields(&schema, &json!({"who": ["a"]})).is_empty());
        assert_eq!(fields(&schema, &json!({"who": [1]})).len(), 1);
    }
}
