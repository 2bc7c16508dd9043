//! `x-kubernetes-validations`: rules in CEL at any place of a schema, about the value there and the one before.

use std::borrow::Cow;

use osier_api::{Fault, FaultKind};
use osier_cel::{Budget, Failure, Rule, Type as Kind};
use serde_json::Value;

use super::{List, Node, Rest, Type, join, types};

/// One rule at one place.
#[derive(Debug, Clone)]
pub(crate) struct Validation {
    source: String,
    rule: Rule,
    message: String,
    message_rule: Option<Rule>,
    reason: FaultKind,
    field: String,
    /// `optionalOldSelf`: it is run without a value before too.
    optional: bool,
}

/// The rules of a schema at one place. One that cannot be compiled or run is left out: its author was told.
pub(super) fn compile(schema: &Value) -> Vec<Validation> {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules.into_iter().flatten().filter_map(validation).collect()
}

fn validation(said: &Value) -> Option<Validation> {
    let text = |name: &str| said[name].as_str().unwrap_or("");
    let known = |source: &str| {
        Rule::compile(source)
            .ok()
            .filter(|rule| rule.unknown().is_none())
    };
    let message_rule = text("messageExpression");
    Some(Validation {
        source: text("rule").trim().to_owned(),
        rule: known(text("rule"))?,
        message: text("message").to_owned(),
        message_rule: (!message_rule.is_empty())
            .then(|| known(message_rule))
            .flatten(),
        reason: match text("reason") {
            "FieldValueRequired" => FaultKind::Required,
            "FieldValueForbidden" => FaultKind::Forbidden,
            "FieldValueDuplicate" => FaultKind::Duplicate,
            _ => FaultKind::Invalid,
        },
        field: text("fieldPath").to_owned(),
        optional: said["optionalOldSelf"] == true,
    })
}

/// Every rule of a schema that a value breaks; `old` is the value before, if there was one.
pub(crate) fn check(node: &Node, new: &Value, old: Option<&Value>) -> Vec<Fault> {
    let mut walk = Walk {
        budget: Budget::default(),
        faults: Vec::new(),
        spent: false,
    };
    walk.node(node, (new, old), "");
    walk.faults
}

struct Walk {
    budget: Budget,
    faults: Vec<Fault>,
    /// Nothing is run any more.
    spent: bool,
}

impl Walk {
    fn node(&mut self, node: &Node, (new, old): (&Value, Option<&Value>), path: &str) {
        if !node.ruled || self.spent || (new.is_null() && node.nullable) {
            return;
        }
        for validation in &node.validations {
            self.rule(node, validation, (new, old), path);
        }
        match new {
            Value::Object(map) => {
                for (key, inner) in map {
                    let known = node.properties.get(key).or(match &node.rest {
                        Rest::Each(each) => Some(each),
                        _ => None,
                    });
                    if let Some(known) = known {
                        let old = old.and_then(|old| old.get(key));
                        self.node(known, (inner, old), &join(path, key));
                    }
                }
            }
            Value::Array(list) => self.list(node, (list, old), path),
            _ => {}
        }
    }

    /// Elements of a list have a value before only where they can be told apart.
    fn list(&mut self, node: &Node, (list, old): (&[Value], Option<&Value>), path: &str) {
        let Some(items) = &node.items else {
            return;
        };
        let old = old.and_then(Value::as_array);
        for (index, item) in list.iter().enumerate() {
            let before = match &node.list {
                List::Map(keys) => old
                    .into_iter()
                    .flatten()
                    .find(|old| keys.iter().all(|key| old.get(key) == item.get(key))),
                _ => None,
            };
            self.node(items, (item, before), &format!("{path}[{index}]"));
        }
    }

    fn rule(
        &mut self,
        node: &Node,
        validation: &Validation,
        (new, old): (&Value, Option<&Value>),
        path: &str,
    ) {
        // What did not change may stay as it is, though the rule be newer; a comparison needs something to compare with.
        let compares = validation.rule.compares();
        let idle = if compares {
            old.is_none() && !validation.optional
        } else {
            old == Some(new)
        };
        if idle || self.spent {
            return;
        }
        let values = (new, old, validation.optional);
        let words = match validation.rule.holds(values, &mut self.budget) {
            Ok(true) => return,
            Ok(false) => self.message(validation, values),
            Err(failure) => {
                self.spent = failure == Failure::Budget;
                format!("{failure} evaluating rule: {}", validation.source)
            }
        };
        let path = place(path, &validation.field);
        let kind = node.kind.map_or("", Type::as_str);
        self.faults
            .push(Fault::new(validation.reason, path, words).with(kind));
    }

    fn message(
        &mut self,
        validation: &Validation,
        values: (&Value, Option<&Value>, bool),
    ) -> String {
        let made = validation.message_rule.as_ref();
        let made = made.and_then(|rule| rule.text(values, &mut self.budget).ok());
        let made = made.filter(|text| !text.trim().is_empty() && !text.contains('\n'));
        match (made, validation.message.as_str()) {
            (Some(made), _) => made,
            (None, "") => format!("failed rule: {}", validation.source),
            (None, message) => message.to_owned(),
        }
    }
}

/// The path of a field below a place, as `.spec.a` or `['a']` name it.
fn place<'a>(path: &'a str, field: &'a str) -> Cow<'a, str> {
    match field.trim_start_matches('.') {
        "" => path.into(),
        below if path.is_empty() => below.into(),
        below if field.starts_with('[') => format!("{path}{below}").into(),
        below => format!("{path}.{below}").into(),
    }
}

/// Where in the schema of a kind rules stand.
#[derive(Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub(crate) path: &'a str,
    /// Whether it is the schema of the objects themselves.
    pub(crate) root: bool,
    /// Whether values before a change are known here.
    pub(crate) comparable: bool,
    /// How many such values an object has at most.
    pub(crate) times: u64,
}

/// What one rule may cost by estimate, as in Kubernetes.
const COSTLIEST: u64 = 10_000_000;
/// What all rules of a schema may cost together.
const COSTLIEST_TOGETHER: u64 = 100_000_000;

/// Faults of the rules that a schema has at a place.
pub(crate) fn faults(schema: &Value, place: Standing<'_>, found: &mut Vec<Fault>) {
    const REASONS: [&str; 4] = [
        "FieldValueDuplicate",
        "FieldValueForbidden",
        "FieldValueInvalid",
        "FieldValueRequired",
    ];
    let rules = schema["x-kubernetes-validations"].as_array();
    for (index, said) in rules.into_iter().flatten().enumerate() {
        let path = format!("{}.x-kubernetes-validations[{index}]", place.path);
        let reason = said["reason"].as_str().unwrap_or(REASONS[2]);
        if !REASONS.contains(&reason) {
            found.push(Fault::not_supported(
                format!("{path}.reason"),
                reason,
                &REASONS,
            ));
        }
        if said["rule"].as_str().unwrap_or("").trim().is_empty() {
            found.push(Fault::required(
                format!("{path}.rule"),
                "rule is not specified",
            ));
            continue;
        }
        let place = Standing {
            path: &path,
            ..place
        };
        found.extend(expression(schema, said, "rule", place));
        let place = Standing {
            comparable: true,
            ..place
        };
        if said["messageExpression"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            found.extend(expression(schema, said, "messageExpression", place));
        }
    }
}

/// The fault of the expression in a field of a rule, if it has one.
fn expression(schema: &Value, said: &Value, field: &str, place: Standing<'_>) -> Option<Fault> {
    let (source, path) = (said[field].as_str()?, format!("{}.{field}", place.path));
    let refused = |words: String| Some(Fault::invalid(&path, source, words));
    let rule = match Rule::compile(source) {
        Ok(rule) => rule,
        Err(error) => return refused(format!("compilation failed: {error}")),
    };
    if rule.compares() && !place.comparable {
        let words = "oldSelf cannot be used on the uncorrelatable portion of the schema: within lists that are no maps";
        return refused(words.to_owned());
    }
    let own = types::of(schema, place.root);
    let old = match said["optionalOldSelf"] == true {
        true => Kind::Optional(Box::new(own.clone())),
        false => own.clone(),
    };
    match rule.infer(source, (own, old)) {
        Err(error) => refused(format!("compilation failed: {error}")),
        Ok((made, cost)) => misfit(field, &made)
            .and_then(refused)
            .or_else(|| costly(&path, cost.saturating_mul(place.times))),
    }
}

/// What is wrong with what an expression makes.
fn misfit(field: &str, made: &Kind) -> Option<String> {
    let words = match (field, made) {
        (_, Kind::Dyn) | ("rule", Kind::Bool) | ("messageExpression", Kind::Text(_)) => {
            return None;
        }
        ("rule", _) => "cel expression must evaluate to a bool",
        _ => "messageExpression must evaluate to a string",
    };
    Some(words.to_owned())
}

fn costly(path: &str, cost: u64) -> Option<Fault> {
    exceeds("estimated rule cost", (cost, COSTLIEST)).map(|words| Fault::forbidden(path, words))
}

/// The words of a cost that is above its bound.
fn exceeds(what: &str, (cost, most): (u64, u64)) -> Option<String> {
    if cost <= most {
        return None;
    }
    let factor = match cost / most {
        100.. => "more than 100x".to_owned(),
        _ => format!("{:.1}x", cost as f64 / most as f64),
    };
    Some(format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    ))
}

/// The fault of a schema whose rules, each cheap enough, together cost too much.
pub(crate) fn costly_together(schema: &Value, path: &str) -> Option<Fault> {
    const WHAT: &str =
        "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    let words = exceeds(WHAT, (together(schema, 1, true), COSTLIEST_TOGETHER));
    words.map(|words| Fault::forbidden(path, words))
}

/// What the rules at a place and below it cost, where an object has so many values at most.
fn together(schema: &Value, times: u64, root: bool) -> u64 {
    let rules = schema["x-kubernetes-validations"].as_array();
    let own = rules.into_iter().flatten().map(|said| {
        let parts = ["rule", "messageExpression"].map(|part| said[part].as_str());
        let costs = parts.into_iter().flatten().map(|source| {
            let known = types::of(schema, root);
            let old = Kind::Optional(Box::new(known.clone()));
            let rule = Rule::compile(source).ok();
            let found = rule.and_then(|rule| rule.infer(source, (known, old)).ok());
            found.map_or(0, |(_, cost)| cost.saturating_mul(times))
        });
        costs.fold(0, u64::saturating_add)
    });
    let properties = schema["properties"].as_object().into_iter().flatten();
    let named = properties.map(|(_, one)| together(one, times, false));
    let each = ["items", "additionalProperties"].into_iter();
    let each = each.filter(|part| schema[part].is_object()).map(|part| {
        let many = times.saturating_mul(types::most(schema));
        together(&schema[part], many, false)
    });
    own.chain(named).chain(each).fold(0, u64::saturating_add)
}

/// Functions of rules that are not known here, with their places below a path.
pub(crate) fn unknown(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for (index, said) in rules.into_iter().flatten().enumerate() {
        for part in ["rule", "messageExpression"] {
            let rule = said[part]
                .as_str()
                .and_then(|source| Rule::compile(source).ok());
            if let Some(function) = rule.as_ref().and_then(Rule::unknown) {
                let place = format!("{path}.x-kubernetes-validations[{index}].{part}");
                found.push((place, function.to_owned()));
            }
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        unknown(property, &format!("{path}.properties[{name}]"), found);
    }
    for part in ["items", "additionalProperties"] {
        if schema[part].is_object() {
            unknown(&schema[part], &format!("{path}.{part}"), found);
        }
    }
}

impl Node {
    /// Whether there are rules here or below; of the parts, which are compiled already.
    pub(super) fn has_rules(&self) -> bool {
        let below = |node: &Node| node.ruled;
        let rest = match &self.rest {
            Rest::Each(each) => each.ruled,
            _ => false,
        };
        !self.validations.is_empty()
            || rest
            || self.properties.values().any(below)
            || self.items.as_deref().is_some_and(below)
    }
}
