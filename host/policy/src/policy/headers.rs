//! Header operations that a policy makes itself once its checks have let a call pass: Mixer's `requestHeaderOperations` and
//! `responseHeaderOperations`.

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value as Json};

use super::outputs::Names;
use crate::fault::Fault;
use crate::hook;
use crate::plugin::unknown;
use crate::verdict::HeaderOperation;
use osier_cel::parse;
use osier_expressions::Expression;
use osier_expressions::Type;
use osier_expressions::{Attributes, Vocabulary};

/// Operations of one list.
const MAX_RULES: usize = 32;

/// One operation.
#[derive(Debug)]
pub(crate) struct HeaderRule {
    name: HeaderName,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Set(Expression),
    Append(Expression),
    Remove,
}

impl HeaderRule {
    /// The operation for one call; none if its value is absent from the call.
    ///
    /// # Errors
    /// The value cannot be computed, or is no header's value.
    pub(super) fn operation<'a>(
        &'a self,
        attributes: &'a Attributes<'a>,
    ) -> Result<Option<HeaderOperation>, String> {
        let name = self.name.clone();
        Ok(match &self.change {
            Change::Set(value) => {
                computed(value, attributes)?.map(|value| HeaderOperation::Set(name, value))
            }
            Change::Append(value) => {
                computed(value, attributes)?.map(|value| HeaderOperation::Append(name, value))
            }
            Change::Remove => Some(HeaderOperation::Remove(name)),
        })
    }
}

fn computed<'a>(
    value: &'a Expression,
    attributes: &'a Attributes<'a>,
) -> Result<Option<HeaderValue>, String> {
    let failed = |error| format!("the value of a header cannot be computed: {error}");
    let value = value.evaluate(attributes).map_err(failed)?;
    if value.is_absent() {
        return Ok(None);
    }
    let text = value.text().map_err(failed)?;
    let value = HeaderValue::from_str(text);
    value
        .map(Some)
        .map_err(|_| format!("{text:?} is not a header's value"))
}

/// True if the policy has operations of this kind.
pub(super) fn some(root: &Map<String, Json>, field: &str) -> bool {
    let rules = root.get(field).and_then(Json::as_array);
    rules.is_some_and(|rules| !rules.is_empty())
}

/// Reads `spec.requestHeaders` or `spec.responseHeaders`.
pub(super) fn read(
    root: &Map<String, Json>,
    field: &str,
    names: &Names<'_>,
    faults: &mut Vec<Fault>,
) -> Vec<HeaderRule> {
    let path = format!("spec.{field}");
    let rules = match root.get(field) {
        None | Some(Json::Null) => return Vec::new(),
        Some(Json::Array(rules)) if rules.len() <= MAX_RULES => rules,
        Some(_) => {
            let detail = format!("must be a list of at most {MAX_RULES} operations");
            faults.push(Fault::new(path, detail));
            return Vec::new();
        }
    };
    let mut read = Vec::with_capacity(rules.len());
    for (place, rule) in rules.iter().enumerate() {
        // A header that a missing plugin would have given a value has none.
        if names.lacks(rule).is_some() {
            continue;
        }
        match one(rule, &format!("{path}[{place}]"), names.vocabulary()) {
            Ok(rule) => read.push(rule),
            Err(own) => faults.extend(own),
        }
    }
    read
}

fn one(rule: &Json, path: &str, vocabulary: &Vocabulary) -> Result<HeaderRule, Vec<Fault>> {
    let fault = |field: &str, detail: String| vec![Fault::new(format!("{path}{field}"), detail)];
    let Some(fields) = rule.as_object() else {
        return Err(fault("", "must be an object".to_owned()));
    };
    let mut faults = Vec::new();
    unknown(&mut faults, path, fields, &["name", "operation", "value"]);
    if !faults.is_empty() {
        return Err(faults);
    }
    let text = |field: &str| fields.get(field).and_then(Json::as_str);
    let name = text("name").unwrap_or_default().to_owned();
    let name = hook::name(name).map_err(|detail| fault(".name", detail))?;
    let value = text("value").filter(|value| !value.trim().is_empty());
    let change = match (text("operation").unwrap_or("Set"), value) {
        ("Remove", None) => Change::Remove,
        ("Remove", Some(_)) => {
            return Err(fault(".value", "Remove takes no value".to_owned()));
        }
        ("Set" | "Append", None) => {
            return Err(fault(".value", "an expression is required".to_owned()));
        }
        (operation @ ("Set" | "Append"), Some(source)) => {
            let value = expression(source, vocabulary);
            let value = value.map_err(|detail| fault(".value", detail))?;
            match operation {
                "Set" => Change::Set(value),
                _ => Change::Append(value),
            }
        }
        _ => {
            let detail = "must be Set, Append or Remove".to_owned();
            return Err(fault(".operation", detail));
        }
    };
    Ok(HeaderRule { name, change })
}

fn expression(source: &str, vocabulary: &Vocabulary) -> Result<Expression, String> {
    let node = parse(source).map_err(|error| error.to_string())?;
    let value = Expression::compile(source, &node, vocabulary);
    let value = value.map_err(|error| error.to_string())?;
    if *value.ty() != Type::Text {
        let ty = value.ty();
        return Err(format!(
            "the expression has type {ty}, but a header is a string; write string(..) around it"
        ));
    }
    let late = |name: &&String| name.starts_with("response.");
    match value.references().iter().find(late) {
        Some(name) => Err(format!(
            "{name} is not known when headers are decided, which is before the call passes"
        )),
        None => Ok(value),
    }
}
