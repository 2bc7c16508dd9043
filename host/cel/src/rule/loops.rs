//! `all`, `exists`, `exists_one`, `filter`, `map` and `optMap`: a body that is run for each element.

use super::Failure;
use super::evaluate::{Evaluation, Outcome, fault};
use super::value::Value;
use crate::ir::{Kind, Node};

/// The variable and the bodies of a loop, if the call is one.
pub(super) fn parts<'n>(function: &str, arguments: &'n [Node]) -> Option<(&'n str, &'n [Node])> {
    let (first, bodies) = arguments.split_first()?;
    let Kind::Name(local) = &first.kind else {
        return None;
    };
    let fits = match function {
        "all" | "exists" | "exists_one" | "existsOne" | "filter" | "optMap" | "optFlatMap" => {
            bodies.len() == 1
        }
        "map" => matches!(bodies.len(), 1 | 2),
        _ => false,
    };
    fits.then_some((local.as_str(), bodies))
}

/// Runs a loop over a list, or over the keys of a map.
pub(super) fn run<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    (function, local): (&str, &'a str),
    target: Value<'a>,
    bodies: &'a [Node],
) -> Outcome<'a> {
    if let (Value::Optional(inner), [body]) = (&target, bodies) {
        return optional(evaluation, (function, local), inner.as_deref(), body);
    }
    let Some(elements) = target.elements().or_else(|| target.keys()) else {
        return fault(format!("{} has no elements to loop over", target.kind()));
    };
    match (function, bodies) {
        ("all", [body]) => quantified(evaluation, (local, false), elements, body),
        ("exists", [body]) => quantified(evaluation, (local, true), elements, body),
        ("map", [body]) => {
            let made = elements
                .into_iter()
                .map(|element| with(evaluation, (local, element), body));
            Ok(Value::List(made.collect::<Result<_, _>>()?))
        }
        ("map", [condition, body]) => {
            let kept = kept(evaluation, local, elements, condition)?;
            let made = kept
                .into_iter()
                .map(|element| with(evaluation, (local, element), body));
            Ok(Value::List(made.collect::<Result<_, _>>()?))
        }
        ("filter", [body]) => Ok(Value::List(kept(evaluation, local, elements, body)?)),
        (_, [body]) => Ok(Value::Bool(
            kept(evaluation, local, elements, body)?.len() == 1,
        )),
        _ => fault("a loop needs a variable and a body"),
    }
}

fn with<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    (local, element): (&'a str, Value<'a>),
    body: &'a Node,
) -> Outcome<'a> {
    evaluation.spend(1)?;
    evaluation.scope.push((local, element));
    let result = evaluation.value(body);
    evaluation.scope.pop();
    result
}

/// An element that decides is looked for; without one an error counts.
fn quantified<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    (local, decides): (&'a str, bool),
    elements: Vec<Value<'a>>,
    body: &'a Node,
) -> Outcome<'a> {
    let mut error = None;
    for element in elements {
        match with(evaluation, (local, element), body) {
            Ok(Value::Bool(value)) if value == decides => return Ok(Value::Bool(decides)),
            Ok(Value::Bool(_)) => {}
            Ok(other) => {
                return fault(format!(
                    "the body of a loop is {}, not a bool",
                    other.kind()
                ));
            }
            Err(Failure::Budget) => return Err(Failure::Budget),
            Err(failure) => error = Some(failure),
        }
    }
    error.map_or(Ok(Value::Bool(!decides)), Err)
}

fn kept<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    local: &'a str,
    elements: Vec<Value<'a>>,
    body: &'a Node,
) -> Result<Vec<Value<'a>>, Failure> {
    let mut kept = Vec::new();
    for element in elements {
        match with(evaluation, (local, element.clone()), body)? {
            Value::Bool(true) => kept.push(element),
            Value::Bool(false) => {}
            other => {
                return fault(format!(
                    "the body of a loop is {}, not a bool",
                    other.kind()
                ));
            }
        }
    }
    Ok(kept)
}

fn optional<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    (function, local): (&str, &'a str),
    inner: Option<&Value<'a>>,
    body: &'a Node,
) -> Outcome<'a> {
    let Some(inner) = inner else {
        return Ok(Value::Optional(None));
    };
    let made = with(evaluation, (local, inner.clone()), body)?;
    match function {
        "optMap" => Ok(Value::Optional(Some(Box::new(made)))),
        "optFlatMap" => Ok(made),
        _ => fault(format!("an optional value has no {function}()")),
    }
}
