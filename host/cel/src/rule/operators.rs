//! Operators on values.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::evaluate::{Evaluation, Outcome, fault};
use super::value::Value;

/// The operators that take their operands as values.
pub(super) const NAMES: [&str; 14] = [
    "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_+_", "_-_", "_*_", "_/_", "_%_", "!_",
    "-_",
];

/// Applies an operator; `None` if it is none.
pub(super) fn apply<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    name: &str,
    operands: &[Value<'a>],
) -> Option<Outcome<'a>> {
    if !NAMES.contains(&name) {
        return None;
    }
    Some(match operands {
        [one] => unary(name, one),
        [a, b] => {
            let cost = (a.weight() + b.weight()) / 10;
            evaluation.spend(cost).and_then(|()| binary(name, a, b))
        }
        _ => fault(format!("{name} has one or two operands")),
    })
}

fn unary<'a>(name: &str, one: &Value<'a>) -> Outcome<'a> {
    match (name, one) {
        ("!_", Value::Bool(value)) => Ok(Value::Bool(!value)),
        ("-_", Value::Int(value)) => value
            .checked_neg()
            .map_or_else(overflow, |value| Ok(Value::Int(value))),
        ("-_", Value::Double(value)) => Ok(Value::Double(-value)),
        ("-_", Value::Duration(value)) => Ok(Value::Duration(-value)),
        _ => fault(format!("no such overload: {name} of {}", one.kind())),
    }
}

pub(super) fn binary<'a>(name: &str, a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    let ordered = |fits: fn(Ordering) -> bool| match a.order(b) {
        Some(order) => Ok(Value::Bool(fits(order))),
        None => fault(format!(
            "no such overload: {} and {} have no order",
            a.kind(),
            b.kind()
        )),
    };
    match name {
        "_==_" => Ok(Value::Bool(a.equals(b))),
        "_!=_" => Ok(Value::Bool(!a.equals(b))),
        "_<_" => ordered(Ordering::is_lt),
        "_<=_" => ordered(Ordering::is_le),
        "_>_" => ordered(Ordering::is_gt),
        "_>=_" => ordered(Ordering::is_ge),
        "@in" => within(a, b),
        _ => arithmetic(name, a, b),
    }
}

fn within<'a>(a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    if let Some(list) = b.elements() {
        return Ok(Value::Bool(list.iter().any(|one| one.equals(a))));
    }
    match (b.keys(), a.text()) {
        (Some(_), Some(key)) => Ok(Value::Bool(b.field(key).is_some())),
        _ => fault(format!("no such overload: {} in {}", a.kind(), b.kind())),
    }
}

fn overflow<'a>() -> Outcome<'a> {
    fault("integer overflow")
}

fn arithmetic<'a>(name: &str, a: &Value<'a>, b: &Value<'a>) -> Outcome<'a> {
    match (name, a, b) {
        (_, Value::Int(a), Value::Int(b)) => integers(name, *a, *b),
        ("_+_", Value::Text(a), Value::Text(b)) => Ok(Value::Text(format!("{a}{b}").into())),
        ("_+_", Value::Duration(a), Value::Duration(b)) => Ok(Value::Duration(a + b)),
        ("_-_", Value::Duration(a), Value::Duration(b)) => Ok(Value::Duration(a - b)),
        ("_+_", Value::Time(a), Value::Duration(b))
        | ("_+_", Value::Duration(b), Value::Time(a)) => moved(*a, *b),
        ("_-_", Value::Time(a), Value::Duration(b)) => moved(*a, -b),
        ("_-_", Value::Time(a), Value::Time(b)) => {
            Ok(Value::Duration(a.as_nanosecond() - b.as_nanosecond()))
        }
        _ => match (a.number().zip(b.number()), a.elements().zip(b.elements())) {
            (Some((a, b)), _) => doubles(name, a, b),
            (None, Some((mut a, b))) if name == "_+_" => {
                a.extend(b);
                Ok(Value::List(a))
            }
            _ => fault(format!(
                "no such overload: {} {name} {}",
                a.kind(),
                b.kind()
            )),
        },
    }
}

/// A moment so many nanoseconds later.
fn moved<'a>(moment: Timestamp, nanos: i128) -> Outcome<'a> {
    let seconds = i64::try_from(nanos / 1_000_000_000).ok();
    let rest = i32::try_from(nanos % 1_000_000_000).ok();
    let by = seconds.zip(rest);
    let by = by.map(|(seconds, rest)| SignedDuration::new(seconds, rest));
    let then = by.and_then(|by| moment.checked_add(by).ok());
    then.map_or_else(|| fault("timestamp overflow"), |then| Ok(Value::Time(then)))
}

fn integers<'a>(name: &str, a: i64, b: i64) -> Outcome<'a> {
    let result = match name {
        "_+_" => a.checked_add(b),
        "_-_" => a.checked_sub(b),
        "_*_" => a.checked_mul(b),
        _ if b == 0 => return fault("division by zero"),
        "_/_" => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    result.map_or_else(overflow, |value| Ok(Value::Int(value)))
}

fn doubles<'a>(name: &str, a: f64, b: f64) -> Outcome<'a> {
    Ok(Value::Double(match name {
        "_+_" => a + b,
        "_-_" => a - b,
        "_*_" => a * b,
        "_/_" => a / b,
        _ => return fault("no such overload: % of doubles"),
    }))
}
