//! A place in a document: steps by field, by key of a list's element, by value of a set's element.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// One step from a value into it. Keys and values are held as canonical JSON text: compact, keys sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A field of a map.
    Field(Box<str>),
    /// The element of a list whose key fields have these values, as a JSON object.
    Key(Box<str>),
    /// The element of a set, as a JSON scalar.
    Value(Box<str>),
    /// The element of a list by place; only read from foreign documents, never made here.
    Index(u64),
}

impl Step {
    /// A field of a map.
    pub fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// An element by its key fields.
    pub fn key(fields: &BTreeMap<&str, &Value>) -> Self {
        let text = serde_json::to_string(fields).unwrap_or_default();
        Self::Key(text.into())
    }

    /// An element of a set.
    pub fn value(value: &Value) -> Self {
        Self::Value(value.to_string().into())
    }

    /// Reads the form in which a step stands in a FieldsV1 document: `f:NAME`, `k:OBJECT`, `v:SCALAR`, `i:NUMBER`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::field(rest)),
            "k" => {
                let map: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::key(
                    &map.iter().map(|(name, value)| (&**name, value)).collect(),
                ))
            }
            "v" => Some(Self::value(&serde_json::from_str(rest).ok()?)),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// The form in which the step stands in a FieldsV1 document.
    pub fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(object) => format!("k:{object}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// As messages of upstream say it: `.spec`, `[name="a"]`, `[="x"]`, `[0]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(object) => {
                let fields: BTreeMap<String, Value> =
                    serde_json::from_str(object).unwrap_or_default();
                let parts = fields.iter().map(|(name, value)| format!("{name}={value}"));
                write!(f, "[{}]", parts.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Steps from the root of a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// A path of fields only.
    pub fn of_fields(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::field(name)).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| step.fmt(f))
    }
}
