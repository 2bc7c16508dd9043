//! What operators, functions and methods make of which types, and what they cost beside their operands.

use super::library;
use crate::ir::{Kind, Literal, Node};
use crate::types::Type;

/// The type of what a function or an operator makes; `None` if it takes no such operands, or is not known.
pub(super) fn global(name: &str, given: &[Type]) -> Option<Type> {
    match (name, given) {
        ("has", _) => Some(Type::Bool),
        ("_&&_" | "_||_", [a, b]) => (condition(a) && condition(b)).then_some(Type::Bool),
        ("!_", [one]) => condition(one).then_some(Type::Bool),
        ("_?_:_", [asked, yes, no]) => condition(asked).then(|| yes.clone().or(no)),
        ("_==_" | "_!=_", [a, b]) => a.agrees(b).then_some(Type::Bool),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => ordered(a, b).then_some(Type::Bool),
        ("@in", [one, of]) => within(one, of).then_some(Type::Bool),
        ("-_", [one @ (Type::Int | Type::Double | Type::Duration | Type::Dyn)]) => {
            Some(one.clone())
        }
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [a, b]) => arithmetic(name, a, b),
        (name, [one]) => conversion(name, one).or_else(|| library::makes(None, name, given)),
        _ => library::makes(None, name, given),
    }
}

fn condition(one: &Type) -> bool {
    one.agrees(&Type::Bool)
}

fn ordered(a: &Type, b: &Type) -> bool {
    let has_order = |one: &Type| {
        !matches!(
            one,
            Type::List(..)
                | Type::Map(..)
                | Type::Object(_)
                | Type::Optional(_)
                | Type::Opaque(_)
                | Type::Null
        )
    };
    has_order(a) && has_order(b) && (a.agrees(b) || (a.is_number() && b.is_number()))
}

fn within(one: &Type, of: &Type) -> bool {
    match of {
        Type::Dyn | Type::Object(_) => true,
        Type::List(each, _) => each.agrees(one),
        Type::Map(..) => one.agrees(&Type::Text(0)),
        _ => false,
    }
}

fn arithmetic(name: &str, a: &Type, b: &Type) -> Option<Type> {
    let sum = a.size().saturating_add(b.size());
    match (name, a, b) {
        (_, Type::Dyn, other) | (_, other, Type::Dyn) => {
            let fits = !matches!(other, Type::Bool | Type::Null | Type::Object(_));
            fits.then_some(Type::Dyn)
        }
        (_, Type::Int, Type::Int) => Some(Type::Int),
        ("_+_" | "_-_" | "_*_" | "_/_", Type::Double, Type::Double) => Some(Type::Double),
        ("_+_", Type::Text(_), Type::Text(_)) => Some(Type::Text(sum)),
        ("_+_", Type::List(a, _), Type::List(b, _)) => {
            Some(Type::List(Box::new((**a).clone().or(b)), sum))
        }
        ("_+_" | "_-_", Type::Duration, Type::Duration) | ("_-_", Type::Time, Type::Time) => {
            Some(Type::Duration)
        }
        ("_+_" | "_-_", Type::Time, Type::Duration) | ("_+_", Type::Duration, Type::Time) => {
            Some(Type::Time)
        }
        _ => None,
    }
}

fn conversion(name: &str, one: &Type) -> Option<Type> {
    use Type::{Bool, Double, Duration, Dyn, Int, List, Map, Object, Text, Time};
    match (name, one) {
        ("dyn", _) => Some(Dyn),
        ("size", Text(_) | List(..) | Map(..) | Object(_) | Dyn)
        | ("int", Int | Double | Text(_) | Time | Dyn) => Some(Int),
        ("double", Int | Double | Text(_) | Dyn) => Some(Double),
        ("string", Bool | Int | Double | Text(_) | Time | Duration | Dyn) => {
            Some(Text(one.size().max(20)))
        }
        ("duration", Text(_) | Duration | Dyn) => Some(Duration),
        ("timestamp", Text(_) | Time | Int | Dyn) => Some(Time),
        _ => None,
    }
}

/// The type of what a method makes; `None` as for [`global`].
pub(super) fn method(target: &Type, name: &str, given: &[Type]) -> Option<Type> {
    if let (Some(made), false) = (
        library::makes(Some(target), name, given),
        matches!(target, Type::Dyn | Type::Null | Type::Optional(_)),
    ) {
        return Some(made);
    }
    match target {
        Type::Dyn | Type::Null => Some(Type::Dyn),
        Type::Optional(inner) => optional(inner, name, given),
        // What may be absent is asked for by its place too, which the tree does not tell apart.
        _ if matches!(name, "hasValue" | "value" | "orValue" | "or") => Some(Type::Dyn),
        Type::Text(longest) => text(*longest, name, given),
        Type::List(each, most) => list(each, *most, name),
        Type::Map(..) | Type::Object(_) => (name == "size").then_some(Type::Int),
        _ => None,
    }
}

fn optional(inner: &Type, name: &str, given: &[Type]) -> Option<Type> {
    match (name, given) {
        ("hasValue", []) => Some(Type::Bool),
        ("value", []) => Some(inner.clone()),
        ("orValue", [other]) => Some(inner.clone().or(other)),
        ("or", [_]) => Some(Type::Optional(Box::new(inner.clone()))),
        _ => None,
    }
}

fn text(longest: u64, name: &str, given: &[Type]) -> Option<Type> {
    let made = Type::Text(longest);
    let words = |given: &[Type]| given.iter().all(|one| one.agrees(&Type::Text(0)));
    let numbers = |given: &[Type]| given.iter().all(|one| one.agrees(&Type::Int));
    let (of, fits) = match name {
        "startsWith" | "endsWith" | "contains" | "matches" => (Type::Bool, words(given)),
        "find" => (made, words(given)),
        "replace" => (
            made,
            words(given.get(..2).unwrap_or(given)) && numbers(given.get(2..).unwrap_or(&[])),
        ),
        "lowerAscii" | "upperAscii" | "trim" | "reverse" => (made, true),
        "charAt" | "substring" => (made, numbers(given)),
        "findAll" | "split" => {
            let first = given.first().is_some_and(|one| one.agrees(&Type::Text(0)));
            (Type::List(Box::new(made), longest.max(1)), first)
        }
        "indexOf" | "lastIndexOf" => (Type::Int, words(given.get(..1).unwrap_or(given))),
        "size" => (Type::Int, true),
        _ => return None,
    };
    fits.then_some(of)
}

fn list(each: &Type, most: u64, name: &str) -> Option<Type> {
    match name {
        "isSorted" => Some(Type::Bool),
        "sum" | "min" | "max" => Some(each.clone()),
        "indexOf" | "lastIndexOf" | "size" => Some(Type::Int),
        "join" if each.agrees(&Type::Text(0)) => Some(Type::Text(most.saturating_mul(each.size()))),
        _ => None,
    }
}

/// What a function or an operator costs.
pub(super) fn cost(name: &str, given: &[Type]) -> u64 {
    let weights = given.iter().map(Type::weight);
    match (name, given) {
        ("_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_", _) => 1 + weights.min().unwrap_or(0),
        ("_+_", _) => weights.fold(1, u64::saturating_add),
        ("@in", [_, of]) => 1_u64.saturating_add(of.weight()),
        _ => 1,
    }
}

/// What a method costs for the length of its target; a pattern that stands there counts by its own.
pub(super) fn method_cost(target: &Type, name: &str, arguments: &[Node]) -> u64 {
    let length = target.weight();
    match (name, arguments.first().map(|one| &one.kind)) {
        ("matches" | "find" | "findAll", Some(Kind::Literal(Literal::Text(pattern)))) => {
            length.saturating_mul((pattern.len() as u64 / 4).max(1))
        }
        ("size" | "startsWith" | "endsWith" | "hasValue" | "orValue", _) => 0,
        _ => length,
    }
}
