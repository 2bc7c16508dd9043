//! Compares a value with its schema and collects every difference.

use base64::Engine;
use serde_json::{Map, Value};

use super::{join, open, resolve, text};
use crate::fault::{Fault, FaultKind};
use crate::object::type_name;
use crate::quantity;

/// Walks value and schema together.
struct Walk {
    faults: Vec<Fault>,
    /// Whether `required`, enumerations and bounds of the schema are checked too.
    structural: bool,
}

pub(super) fn check(
    schema: &'static Value,
    object: &Map<String, Value>,
    structural: bool,
) -> Vec<Fault> {
    let mut walk = Walk {
        faults: Vec::new(),
        structural,
    };
    walk.map(resolve(schema), object, "");
    walk.faults
}

impl Walk {
    fn value(&mut self, schema: &'static Value, value: &Value, path: &str) {
        let schema = resolve(schema);
        if value.is_null() {
            return;
        }
        match (text(schema, "type"), value) {
            ("object", Value::Object(map)) => self.map(schema, map, path),
            ("array", Value::Array(list)) => self.list(schema, list, path),
            ("object", _) => self.wrong(path, value, "an object"),
            ("array", _) => self.wrong(path, value, "an array"),
            ("string", _) => self.string(schema, value, path),
            ("integer", _) => self.integer(schema, value, path),
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => {}
            ("number", _) => self.wrong(path, value, "a number"),
            ("boolean", _) => self.wrong(path, value, "a boolean"),
            _ => {}
        }
        if self.structural {
            self.bounds(schema, value, path);
        }
    }

    fn map(&mut self, schema: &'static Value, map: &Map<String, Value>, path: &str) {
        let properties = schema.get("properties");
        for (key, value) in map {
            let known = properties.and_then(|all| all.get(key));
            if let Some(inner) = known.or_else(|| schema.get("additionalProperties")) {
                self.value(inner, value, &join(path, key));
            } else if !open(schema) {
                self.faults
                    .push(Fault::new(FaultKind::Unknown, join(path, key), ""));
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if self.structural && map.get(name).is_none_or(Value::is_null) {
                self.faults.push(Fault::required(join(path, name), ""));
            }
        }
    }

    fn list(&mut self, schema: &'static Value, list: &[Value], path: &str) {
        let Some(inner) = schema.get("items") else {
            return;
        };
        for (index, item) in list.iter().enumerate() {
            self.value(inner, item, &format!("{path}[{index}]"));
        }
    }

    fn string(&mut self, schema: &'static Value, value: &Value, path: &str) {
        let format = text(schema, "format");
        match (format, value) {
            ("int-or-string", Value::Number(number)) if number.is_i64() => {}
            ("quantity", Value::Number(number)) => self.quantity(&number.to_string(), path),
            ("quantity", Value::String(amount)) => self.quantity(amount, path),
            ("date-time", Value::String(time)) => self.time(time, path),
            ("byte", Value::String(data)) => self.base64(data, path),
            (_, Value::String(_)) => {}
            ("int-or-string", _) => self.wrong(path, value, "an integer or a string"),
            ("quantity", _) => self.wrong(path, value, "a quantity such as 500m or 64Mi"),
            _ => self.wrong(path, value, "a string"),
        }
    }

    fn integer(&mut self, schema: &'static Value, value: &Value, path: &str) {
        let Some(number) = value.as_i64() else {
            return self.wrong(path, value, "an integer");
        };
        if text(schema, "format") == "int32" && i32::try_from(number).is_err() {
            self.push_type(path, value, "must fit in 32 bits".to_owned());
        }
    }

    fn quantity(&mut self, amount: &str, path: &str) {
        if let Err(error) = quantity::canonical(amount) {
            self.push_type(path, &amount.into(), error.to_string());
        }
    }

    fn time(&mut self, time: &str, path: &str) {
        if time.parse::<jiff::Timestamp>().is_err() {
            self.push_type(
                path,
                &time.into(),
                "must be an RFC 3339 time such as 2030-01-31T08:00:00Z".to_owned(),
            );
        }
    }

    fn base64(&mut self, data: &str, path: &str) {
        let engine = base64::engine::general_purpose::STANDARD;
        let packed: String = data.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        if engine.decode(packed).is_err() {
            self.push_type(
                path,
                &"".into(),
                "must be base64; use stringData for plain text".to_owned(),
            );
        }
    }

    fn bounds(&mut self, schema: &'static Value, value: &Value, path: &str) {
        let allowed = schema.get("enum").and_then(Value::as_array);
        if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(value)) {
            let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            self.faults
                .push(Fault::not_supported(path, value.clone(), &names));
        }
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(number) = value.as_f64() {
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                self.bound(
                    path,
                    value,
                    &format!("should be greater than or equal to {least}"),
                );
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                self.bound(
                    path,
                    value,
                    &format!("should be less than or equal to {most}"),
                );
            }
        }
        let few = value
            .as_array()
            .zip(schema.get("minItems").and_then(Value::as_u64));
        if let Some((_, least)) = few.filter(|(list, least)| (list.len() as u64) < *least) {
            self.bound(path, value, &format!("should have at least {least} items"));
        }
    }

    fn bound(&mut self, path: &str, value: &Value, what: &str) {
        self.faults.push(Fault::invalid(
            path,
            value.clone(),
            format!("{path} in body {what}"),
        ));
    }

    fn wrong(&mut self, path: &str, value: &Value, expected: &str) {
        let detail = format!("must be {expected}, not {}", type_name(value));
        self.push_type(path, value, detail);
    }

    fn push_type(&mut self, path: &str, value: &Value, detail: String) {
        self.faults
            .push(Fault::new(FaultKind::WrongType, path, detail).with(value.clone()));
    }
}
