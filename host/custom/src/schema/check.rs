//! Holds a value to a schema, and names every fault in upstream's words.

use osier_api::{Fault, FaultKind};
use serde_json::{Map, Value};

use super::{Bounds, Node, Rest, Type, formats, join, lists};

/// Every fault of an object of the API; its metadata is held to other rules.
pub(crate) fn check(node: &Node, object: &Map<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    map(node, object, "", &mut faults);
    junctors(node, &Value::Object(object.clone()), "", &mut faults);
    faults
}

/// Every fault of a value at a path.
pub(crate) fn value(node: &Node, inner: &Value, path: &str, faults: &mut Vec<Fault>) {
    if inner.is_null() && node.nullable {
        return;
    }
    if !has_type(node, inner) {
        faults.push(wrong_type(node, inner, path));
        return;
    }
    if let Some(allowed) = &node.rules.allowed
        && !allowed.iter().any(|one| same(one, inner))
    {
        let names: Vec<String> = allowed.iter().map(plain).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        faults.push(Fault::not_supported(path, inner.clone(), &names));
    }
    match inner {
        Value::String(text) => string(node, text, path, faults),
        Value::Number(_) => number(node, inner, path, faults),
        Value::Array(list) => array(node, list, path, faults),
        Value::Object(object) => map(node, object, path, faults),
        _ => {}
    }
    junctors(node, inner, path, faults);
}

fn has_type(node: &Node, value: &Value) -> bool {
    let integer =
        || value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0);
    if node.int_or_string {
        return value.is_string() || integer();
    }
    match node.kind {
        None => true,
        Some(Type::Object) => value.is_object(),
        Some(Type::Array) => value.is_array(),
        Some(Type::String) => value.is_string(),
        Some(Type::Integer) => integer(),
        Some(Type::Number) => value.is_number(),
        Some(Type::Boolean) => value.is_boolean(),
    }
}

/// `spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"`.
fn wrong_type(node: &Node, value: &Value, path: &str) -> Fault {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let wanted = node.kind.filter(|_| !node.int_or_string);
    let wanted = wanted.map_or("integer,string", Type::as_str);
    let words = format!("{path} in body must be of type {wanted}: {found:?}");
    Fault::new(FaultKind::WrongType, path, words).with(found)
}

/// Equal as JSON has it: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn invalid(path: &str, value: &Value, words: &str) -> Fault {
    Fault::invalid(path, value.clone(), format!("{path} in body {words}"))
}

fn string(node: &Node, text: &str, path: &str, faults: &mut Vec<Fault>) {
    let rules = &node.rules;
    let Bounds { least, most } = rules.length;
    let mut fault = |words: String| faults.push(invalid(path, &text.into(), &words));
    let length = text.chars().count() as u64;
    if let Some(least) = least.filter(|least| length < *least) {
        fault(format!("should be at least {least} chars long"));
    }
    let unlike = rules.pattern.as_ref();
    if let Some(pattern) = unlike.filter(|pattern| !pattern.is_match(text)) {
        fault(format!("should match '{pattern}'"));
    }
    if let Some(most) = most.filter(|most| length > *most) {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        faults.push(Fault::too_long(path, most));
    }
    if !formats::fits(&rules.format, text) {
        let words = format!("{path} in body must be of type {}: {text:?}", rules.format);
        faults.push(Fault::new(FaultKind::WrongType, path, words).with(text));
    }
}

fn number(node: &Node, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    let (rules, number) = (&node.rules, value.as_f64().unwrap_or(0.0));
    let mut fault = |words: String| faults.push(invalid(path, value, &words));
    match rules.minimum {
        Some((least, true)) if number <= least => fault(format!("should be greater than {least}")),
        Some((least, false)) if number < least => {
            fault(format!("should be greater than or equal to {least}"));
        }
        _ => {}
    }
    match rules.maximum {
        Some((most, true)) if number >= most => fault(format!("should be less than {most}")),
        Some((most, false)) if number > most => {
            fault(format!("should be less than or equal to {most}"));
        }
        _ => {}
    }
    let factor = rules
        .multiple_of
        .filter(|factor| (number / factor).fract() != 0.0);
    if let Some(factor) = factor {
        fault(format!("should be a multiple of {factor}"));
    }
}

fn array(node: &Node, list: &[Value], path: &str, faults: &mut Vec<Fault>) {
    count(node.rules.items, list.len(), ("items", path), faults);
    if let Some(items) = &node.items {
        for (index, item) in list.iter().enumerate() {
            value(items, item, &format!("{path}[{index}]"), faults);
        }
    }
    lists::check(node, list, path, faults);
}

/// Few enough, and enough of them.
fn count(bounds: Bounds, found: usize, (what, path): (&str, &str), faults: &mut Vec<Fault>) {
    let number = found as u64;
    if let Some(least) = bounds.least.filter(|least| number < *least) {
        let words = format!("{path} in body should have at least {least} {what}");
        faults.push(Fault::invalid(path, number, words));
    }
    if let Some(most) = bounds.most.filter(|most| number > *most) {
        let words = format!("must have at most {most} {what}");
        faults.push(Fault::new(FaultKind::TooMany, path, words).with(number));
    }
}

fn map(node: &Node, object: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) {
    let named = ("properties", path);
    count(node.rules.properties, object.len(), named, faults);
    let missing = node.rules.required.iter();
    let missing = missing.filter(|name| !object.contains_key(*name));
    faults.extend(missing.map(|name| Fault::required(join(path, name), "")));
    if node.embedded {
        embedded(object, path, faults);
    }
    for (key, inner) in object {
        if path.is_empty() && key == "metadata" {
            continue;
        }
        match (node.properties.get(key), &node.rest) {
            (Some(property), _) => value(property, inner, &join(path, key), faults),
            (None, Rest::Each(each)) => value(each, inner, &join(path, key), faults),
            _ => {}
        }
    }
}

/// An object of the API within another one says what it is.
fn embedded(object: &Map<String, Value>, path: &str, faults: &mut Vec<Fault>) {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or("");
    let missing = ["apiVersion", "kind"].into_iter();
    let missing = missing.filter(|name| text(name).is_empty());
    faults.extend(missing.map(|name| Fault::required(join(path, name), "must not be empty")));
}

/// `allOf`, `anyOf`, `oneOf`, `not`.
fn junctors(node: &Node, inner: &Value, path: &str, faults: &mut Vec<Fault>) {
    let rules = &node.rules;
    for one in &rules.all_of {
        value(one, inner, path, faults);
    }
    let fits = |one: &Node| {
        let mut faults = Vec::new();
        value(one, inner, path, &mut faults);
        faults.is_empty()
    };
    let mut fault =
        |words: &str| faults.push(Fault::invalid(path, "", format!("{path:?} {words}")));
    if !rules.any_of.is_empty() && !rules.any_of.iter().any(fits) {
        fault("must validate at least one schema (anyOf)");
    }
    match rules.one_of.iter().filter(|one| fits(one)).count() {
        1 => {}
        _ if rules.one_of.is_empty() => {}
        0 => fault(&format!("{ONE_OF} none valid")),
        found => fault(&format!("{ONE_OF} valid alternatives: {found}")),
    }
    if rules.not.as_ref().is_some_and(|not| fits(not)) {
        fault("must not validate the schema (not)");
    }
}

const ONE_OF: &str = "must validate one and only one schema (oneOf). Found";
