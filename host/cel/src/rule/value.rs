//! Values of rules: JSON as it is, and what only CEL has.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::authorizer::Asked;
use super::network::{Cidr, Url};
use super::quantity::Quantity;
use super::semver::Semver;

/// A value. Lists and maps of JSON are looked into where they are.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// A list or a map of JSON.
    Json(&'a Json),
    List(Vec<Value<'a>>),
    Map(BTreeMap<String, Value<'a>>),
    /// Nanoseconds.
    Duration(i128),
    Time(Timestamp),
    Optional(Option<Box<Value<'a>>>),
    Quantity(Quantity),
    Semver(Box<Semver>),
    Ip(IpAddr),
    Cidr(Cidr),
    Url(Box<Url>),
    /// One of the named formats of texts.
    Format(&'static str),
    /// A question of who may do what, as far as it is asked.
    Asked(Box<Asked>),
    /// Its answer.
    Allowed(bool),
    /// The name of a type.
    Type(&'static str),
}

impl<'a> Value<'a> {
    pub(super) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Int(integer),
                None => Self::Double(number.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    /// What messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::Json(Json::Array(_)) | Self::List(_) => "a list",
            Self::Json(_) | Self::Map(_) => "a map",
            Self::Duration(_) => "a duration",
            Self::Time(_) => "a timestamp",
            Self::Optional(_) => "an optional value",
            Self::Quantity(_) => "a quantity",
            Self::Semver(_) => "a version",
            Self::Ip(_) => "an IP",
            Self::Cidr(_) => "a CIDR",
            Self::Url(_) => "a URL",
            Self::Format(_) => "a format",
            Self::Asked(_) => "an authorizer",
            Self::Allowed(_) => "a decision",
            Self::Type(_) => "a type",
        }
    }

    /// The elements of a list; `None` of anything else.
    pub(super) fn elements(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Self::Json(Json::Array(list)) => Some(list.iter().map(Value::of).collect()),
            Self::List(list) => Some(list.clone()),
            _ => None,
        }
    }

    /// The keys of a map; `None` of anything else.
    pub(super) fn keys(&self) -> Option<Vec<Value<'a>>> {
        match self {
            Self::Json(Json::Object(map)) => Some(
                map.keys()
                    .map(|key| Value::Text(Cow::Borrowed(key.as_str())))
                    .collect(),
            ),
            Self::Map(map) => Some(
                map.keys()
                    .map(|key| Value::Text(Cow::Owned(key.clone())))
                    .collect(),
            ),
            _ => None,
        }
    }

    /// A field of a map.
    pub(super) fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(Json::Object(map)) => map.get(name).map(Value::of),
            Self::Map(map) => map.get(name).cloned(),
            Self::Optional(Some(inner)) => inner.field(name),
            _ => None,
        }
    }

    /// How many elements, entries or letters there are.
    pub(super) fn size(&self) -> Option<usize> {
        Some(match self {
            Self::Text(text) => text.chars().count(),
            Self::Json(Json::Array(list)) => list.len(),
            Self::Json(Json::Object(map)) => map.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            _ => return None,
        })
    }

    /// About how much there is to look at when it is compared.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Json(json) => weight(json),
            Self::List(list) => list.iter().map(|one| 1 + one.weight()).sum(),
            Self::Map(map) => map.values().map(|one| 1 + one.weight()).sum(),
            _ => 0,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Equality across numbers; what has different types is not equal.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Int(a), Value::Int(b)) => a == b,
            (Self::Json(a), Value::Json(b)) => a == b,
            (Self::Optional(None), Value::Optional(None)) => true,
            (Self::Quantity(a), Value::Quantity(b)) => a.nano == b.nano,
            (Self::Semver(a), Value::Semver(b)) => a == b,
            (Self::Ip(a), Value::Ip(b)) => a == b,
            (Self::Cidr(a), Value::Cidr(b)) => a == b,
            (Self::Url(a), Value::Url(b)) => a == b,
            (Self::Type(a), Value::Type(b)) => a == b,
            (Self::Optional(Some(a)), Value::Optional(Some(b))) => a.equals(b),
            _ => {
                self.same_lists(other)
                    || self.same_maps(other)
                    || self.order(other) == Some(Ordering::Equal)
            }
        }
    }

    fn same_lists(&self, other: &Value<'_>) -> bool {
        let (Some(a), Some(b)) = (self.elements(), other.elements()) else {
            return false;
        };
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b))
    }

    fn same_maps(&self, other: &Value<'_>) -> bool {
        let (Some(a), Some(b)) = (self.keys(), other.keys()) else {
            return false;
        };
        let equal = |key: &Value<'_>| {
            let name = key.text().unwrap_or("");
            let pair = self.field(name).zip(other.field(name));
            pair.is_some_and(|(a, b)| a.equals(&b))
        };
        a.len() == b.len() && a.iter().all(equal)
    }

    /// The value as a text, as `string()` and `%s` write it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Text(text) => text.to_string(),
            Self::Time(moment) => moment.to_string(),
            Self::Duration(nanos) => format!("{}s", *nanos as f64 / 1e9),
            Self::Ip(address) => address.to_string(),
            Self::Cidr(range) => range.to_string(),
            Self::Type(name) => (*name).to_owned(),
            Self::Json(json) => json.to_string(),
            other => match (other.elements(), other.keys()) {
                (Some(list), _) => {
                    let all: Vec<String> = list.iter().map(Value::shown).collect();
                    format!("[{}]", all.join(", "))
                }
                (None, Some(keys)) => {
                    let entry = |key: &Value<'_>| {
                        let name = key.shown();
                        let value = other.field(&name).map_or(String::new(), |one| one.shown());
                        format!("{name}: {value}")
                    };
                    let all: Vec<String> = keys.iter().map(entry).collect();
                    format!("{{{}}}", all.join(", "))
                }
                _ => other.kind().to_owned(),
            },
        }
    }

    /// What `type()` makes of it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Json(Json::Array(_)) | Self::List(_) => "list",
            Self::Json(_) | Self::Map(_) => "map",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            other => other.kind(),
        }
    }

    /// Whether it is what a field has that is not set.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Int(0) => true,
            Self::Double(value) => *value == 0.0,
            other => other.size() == Some(0),
        }
    }

    /// The order of numbers, texts, bools and times; a text stands for the duration or time that it is compared with.
    pub(super) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Self::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (Self::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Value::Text(b)) => Some(a.cmp(&duration(b)?)),
            (Self::Text(a), Value::Duration(b)) => Some(duration(a)?.cmp(b)),
            (Self::Time(a), Value::Text(b)) => Some(a.cmp(&b.parse().ok()?)),
            (Self::Text(a), Value::Time(b)) => Some(a.parse::<Timestamp>().ok()?.cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }
}

fn weight(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(|one| 1 + weight(one)).sum(),
        Json::Object(map) => map.values().map(|one| 1 + weight(one)).sum(),
        _ => 0,
    }
}

/// Nanoseconds of a duration such as `1h30m`.
pub(super) fn duration(text: &str) -> Option<i128> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, after) = rest.split_at(number);
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += (digits.parse::<f64>().ok()? * (*nanos as f64)) as i128;
        rest = next;
    }
    (!text.is_empty()).then_some(sign * total)
}
