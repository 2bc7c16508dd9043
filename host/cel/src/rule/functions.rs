//! Functions and methods: CEL's own, and those that Kubernetes adds for strings, lists and regular expressions.

use regex::{Regex, RegexBuilder};

use super::evaluate::{Evaluation, Outcome, fault};
use super::value::{Value, duration};
use super::{library, operators};

/// A pattern compiles to at most this many bytes.
const PATTERN: usize = 1 << 20;
/// What compiling a pattern costs.
const COMPILE: usize = 200;

/// Functions without a target, with the number of their arguments.
const GLOBAL: [(&str, usize); 11] = [
    ("has", 1),
    ("_&&_", 2),
    ("_||_", 2),
    ("_?_:_", 3),
    ("size", 1),
    ("int", 1),
    ("double", 1),
    ("string", 1),
    ("duration", 1),
    ("timestamp", 1),
    ("dyn", 1),
];
/// Methods, with the fewest and the most arguments.
const METHODS: [(&str, usize, usize); 26] = [
    ("size", 0, 0),
    ("startsWith", 1, 1),
    ("endsWith", 1, 1),
    ("contains", 1, 1),
    ("matches", 1, 1),
    ("find", 1, 1),
    ("findAll", 1, 2),
    ("lowerAscii", 0, 0),
    ("upperAscii", 0, 0),
    ("trim", 0, 0),
    ("charAt", 1, 1),
    ("split", 1, 2),
    ("join", 0, 1),
    ("replace", 2, 3),
    ("substring", 1, 2),
    ("indexOf", 1, 2),
    ("lastIndexOf", 1, 2),
    ("reverse", 0, 0),
    ("isSorted", 0, 0),
    ("sum", 0, 0),
    ("min", 0, 0),
    ("max", 0, 0),
    ("hasValue", 0, 0),
    ("value", 0, 0),
    ("orValue", 1, 1),
    ("or", 1, 1),
];

/// Whether a function of this name and number of arguments is known.
pub(super) fn is_known(method: bool, name: &str, arguments: usize) -> bool {
    if library::is_known(method, name, arguments) {
        return true;
    }
    if method {
        let mut all = METHODS.iter();
        return all
            .any(|(known, least, most)| *known == name && (*least..=*most).contains(&arguments));
    }
    operators::NAMES.contains(&name) || GLOBAL.contains(&(name, arguments))
}

/// Calls a function without a target.
pub(super) fn global<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    name: &str,
    arguments: &[Value<'a>],
) -> Outcome<'a> {
    if let Some(made) = library::global(evaluation, name, arguments) {
        return made;
    }
    let [one] = arguments else {
        return unknown(name);
    };
    match (name, one) {
        ("dyn", one) => Ok(one.clone()),
        ("size", one) => size(one),
        ("int", Value::Int(_)) | ("double", Value::Double(_)) | ("string", Value::Text(_)) => {
            Ok(one.clone())
        }
        ("int", Value::Double(value)) => Ok(Value::Int(value.trunc() as i64)),
        ("int", Value::Text(text)) => parsed(text.parse().ok().map(Value::Int), one),
        ("double", Value::Int(value)) => Ok(Value::Double(*value as f64)),
        ("double", Value::Text(text)) => parsed(text.parse().ok().map(Value::Double), one),
        ("string", Value::Bool(value)) => Ok(Value::Text(value.to_string().into())),
        ("string", Value::Int(value)) => Ok(Value::Text(value.to_string().into())),
        ("string", Value::Double(value)) => Ok(Value::Text(value.to_string().into())),
        ("duration", Value::Duration(_)) | ("timestamp", Value::Time(_)) => Ok(one.clone()),
        ("duration", Value::Text(text)) => parsed(duration(text).map(Value::Duration), one),
        ("timestamp", Value::Text(text)) => parsed(text.parse().ok().map(Value::Time), one),
        _ => {
            evaluation.spend(1)?;
            fault(format!("no such overload: {name}() of {}", one.kind()))
        }
    }
}

fn unknown<'a>(name: &str) -> Outcome<'a> {
    fault(format!("{name}() is not known here"))
}

fn parsed<'a>(value: Option<Value<'a>>, of: &Value<'_>) -> Outcome<'a> {
    let text = of.text().unwrap_or("");
    value.map_or_else(|| fault(format!("{text:?} cannot be converted")), Ok)
}

fn size<'a>(value: &Value<'a>) -> Outcome<'a> {
    let size = value.size().and_then(|size| i64::try_from(size).ok());
    size.map_or_else(
        || fault(format!("{} has no size", value.kind())),
        |size| Ok(Value::Int(size)),
    )
}

/// Calls a method.
pub(super) fn method<'a>(
    evaluation: &mut Evaluation<'_, 'a>,
    target: Value<'a>,
    name: &str,
    arguments: &[Value<'a>],
) -> Outcome<'a> {
    evaluation.spend(target.size().unwrap_or(0) / 10)?;
    if let Some(made) = library::method(evaluation, &target, name, arguments) {
        return made;
    }
    match (&target, name, arguments) {
        (_, "size", []) => size(&target),
        (Value::Optional(inner), _, _) => optional(inner.as_deref(), name, arguments),
        (Value::Text(text), "matches" | "find" | "findAll", [Value::Text(pattern), rest @ ..]) => {
            evaluation.spend(COMPILE + text.len() / 10 * (pattern.len() / 4 + 1))?;
            matching(text, name, pattern, rest)
        }
        (Value::Text(text), _, _) => strings(text, name, arguments),
        _ => match target.elements() {
            Some(list) => lists(list, name, arguments),
            None => no_method(&target, name),
        },
    }
}

fn no_method<'a>(target: &Value<'_>, name: &str) -> Outcome<'a> {
    fault(format!(
        "no such overload: {} has no {name}() with these arguments",
        target.kind()
    ))
}

fn optional<'a>(inner: Option<&Value<'a>>, name: &str, arguments: &[Value<'a>]) -> Outcome<'a> {
    match (name, arguments, inner) {
        ("hasValue", [], inner) => Ok(Value::Bool(inner.is_some())),
        ("value" | "orValue", _, Some(inner)) => Ok(inner.clone()),
        ("orValue", [other], None) => Ok(other.clone()),
        ("or", [_], Some(inner)) => Ok(Value::Optional(Some(Box::new(inner.clone())))),
        ("or", [other], None) => Ok(other.clone()),
        ("value", [], None) => fault("optional.none() has no value"),
        _ => unknown(name),
    }
}

fn matching<'a>(text: &str, name: &str, pattern: &str, rest: &[Value<'a>]) -> Outcome<'a> {
    let regex: Regex = match RegexBuilder::new(pattern).size_limit(PATTERN).build() {
        Ok(regex) => regex,
        Err(error) => return fault(error.to_string()),
    };
    let owned = |text: &str| Value::Text(text.to_owned().into());
    match (name, rest) {
        ("matches", []) => Ok(Value::Bool(regex.is_match(text))),
        ("find", []) => Ok(owned(regex.find(text).map_or("", |found| found.as_str()))),
        ("findAll", rest) => {
            let most = match rest {
                [Value::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let found = regex.find_iter(text).take(most);
            Ok(Value::List(
                found.map(|found| owned(found.as_str())).collect(),
            ))
        }
        _ => unknown(name),
    }
}

fn strings<'a>(text: &str, name: &str, arguments: &[Value<'a>]) -> Outcome<'a> {
    let made = |text: String| Ok(Value::Text(text.into()));
    match (name, arguments) {
        ("startsWith", [Value::Text(part)]) => Ok(Value::Bool(text.starts_with(&**part))),
        ("endsWith", [Value::Text(part)]) => Ok(Value::Bool(text.ends_with(&**part))),
        ("contains", [Value::Text(part)]) => Ok(Value::Bool(text.contains(&**part))),
        ("lowerAscii", []) => made(text.to_ascii_lowercase()),
        ("upperAscii", []) => made(text.to_ascii_uppercase()),
        ("trim", []) => made(text.trim().to_owned()),
        ("reverse", []) => made(text.chars().rev().collect()),
        ("replace", [Value::Text(from), Value::Text(to), rest @ ..]) => made(match most(rest) {
            Some(most) => text.replacen(&**from, to, most),
            None => text.replace(&**from, to),
        }),
        ("split", [Value::Text(separator), rest @ ..]) => Ok(split(text, separator, most(rest))),
        ("indexOf", [Value::Text(part), rest @ ..]) => {
            let from = offset(text, rest).unwrap_or(0);
            let found = text[from..].find(&**part);
            Ok(place(text, found.map(|at| at + from)))
        }
        ("lastIndexOf", [Value::Text(part), rest @ ..]) => {
            let until = offset(text, rest).map(|at| (at + part.len()).min(text.len()));
            let within = text.get(..until.unwrap_or(text.len())).unwrap_or(text);
            Ok(place(text, within.rfind(&**part)))
        }
        ("charAt", [Value::Int(at)]) => between(text, *at, at.saturating_add(1)),
        ("substring", [Value::Int(from)]) => between(
            text,
            *from,
            i64::try_from(text.chars().count()).unwrap_or(i64::MAX),
        ),
        ("substring", [Value::Int(from), Value::Int(to)]) => between(text, *from, *to),
        _ => no_method(&Value::Text(text.into()), name),
    }
}

/// How many at most, where a number says it that is not below zero.
fn most(rest: &[Value<'_>]) -> Option<usize> {
    match rest {
        [Value::Int(most)] => usize::try_from(*most).ok(),
        _ => None,
    }
}

/// The place in bytes of the letter that a number names.
fn offset(text: &str, rest: &[Value<'_>]) -> Option<usize> {
    let letter = most(rest)?;
    let mut places = text.char_indices().map(|(at, _)| at);
    Some(places.nth(letter).unwrap_or(text.len()))
}

fn split<'a>(text: &str, separator: &str, most: Option<usize>) -> Value<'a> {
    let owned = |part: &str| Value::Text(part.to_owned().into());
    let letters = || text.chars().map(|one| Value::Text(one.to_string().into()));
    Value::List(match most {
        Some(0) => Vec::new(),
        Some(most) => text.splitn(most, separator).map(owned).collect(),
        None if separator.is_empty() => letters().collect(),
        None => text.split(separator).map(owned).collect(),
    })
}

/// The place in letters of a place in bytes; -1 of none.
fn place<'a>(text: &str, at: Option<usize>) -> Value<'a> {
    let letters = at.map(|at| text[..at].chars().count());
    Value::Int(
        letters
            .and_then(|count| i64::try_from(count).ok())
            .unwrap_or(-1),
    )
}

fn between<'a>(text: &str, from: i64, to: i64) -> Outcome<'a> {
    let length = text.chars().count();
    let (from, to) = (usize::try_from(from).ok(), usize::try_from(to).ok());
    match from
        .zip(to)
        .filter(|(from, to)| from <= to && *to <= length)
    {
        Some((from, to)) => {
            let part: String = text.chars().skip(from).take(to - from).collect();
            Ok(Value::Text(part.into()))
        }
        None => fault("index out of range"),
    }
}

fn lists<'a>(list: Vec<Value<'a>>, name: &str, arguments: &[Value<'a>]) -> Outcome<'a> {
    let at = |index: Option<usize>| {
        index
            .and_then(|index| i64::try_from(index).ok())
            .unwrap_or(-1)
    };
    match (name, arguments) {
        ("isSorted", []) => {
            let sorted =
                |pair: &[Value<'a>]| pair[0].order(&pair[1]).is_some_and(|order| order.is_le());
            Ok(Value::Bool(list.windows(2).all(sorted)))
        }
        ("sum", []) => {
            let mut sum = list.into_iter();
            let first = sum.next().unwrap_or(Value::Int(0));
            sum.try_fold(first, |a, b| operators::binary("_+_", &a, &b))
        }
        ("min" | "max", []) => {
            let wanted = if name == "min" { "_<_" } else { "_>_" };
            let mut all = list.into_iter();
            let Some(first) = all.next() else {
                return fault(format!("{name}() of an empty list"));
            };
            all.try_fold(first, |best, one| {
                let better = operators::binary(wanted, &one, &best)?;
                Ok(if matches!(better, Value::Bool(true)) {
                    one
                } else {
                    best
                })
            })
        }
        ("indexOf", [wanted]) => Ok(Value::Int(at(list
            .iter()
            .position(|one| one.equals(wanted))))),
        ("lastIndexOf", [wanted]) => Ok(Value::Int(at(list
            .iter()
            .rposition(|one| one.equals(wanted))))),
        ("join", rest) => join(&list, rest),
        _ => no_method(&Value::List(list), name),
    }
}

fn join<'a>(list: &[Value<'a>], rest: &[Value<'a>]) -> Outcome<'a> {
    let separator = rest.first().and_then(Value::text).unwrap_or("");
    let texts: Option<Vec<&str>> = list.iter().map(Value::text).collect();
    match texts {
        Some(texts) => Ok(Value::Text(texts.join(separator).into())),
        None => fault("join() needs a list of strings"),
    }
}
