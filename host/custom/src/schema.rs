//! Structural schemas (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>):
//! compiled once from `openAPIV3Schema`, and what they do with values.

pub(crate) mod check;
pub(crate) mod complete;
mod formats;
mod lists;
pub(crate) mod prune;
pub(crate) mod rules;
pub(crate) mod types;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use rules::Validation;

/// A JSON type that a schema asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What is known of fields beside those that are named.
#[derive(Debug, Clone, Default)]
pub(crate) enum Rest {
    /// There are none.
    #[default]
    Closed,
    /// Anything.
    Open,
    /// Each is like this.
    Each(Box<Node>),
}

/// How the elements of a list are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum List {
    /// Not at all.
    #[default]
    Atomic,
    /// No value twice.
    Set,
    /// By these fields.
    Map(Vec<String>),
}

/// A schema at one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) kind: Option<Type>,
    pub(crate) properties: BTreeMap<String, Node>,
    pub(crate) rest: Rest,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) list: List,
    pub(crate) nullable: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub(crate) preserve: bool,
    /// `x-kubernetes-embedded-resource`.
    pub(crate) embedded: bool,
    /// `x-kubernetes-int-or-string`.
    pub(crate) int_or_string: bool,
    pub(crate) default: Option<Value>,
    pub(crate) rules: Rules,
    /// Rules in CEL at this place.
    pub(crate) validations: Vec<Validation>,
    /// Whether there are such rules here or below.
    pub(crate) ruled: bool,
}

/// What values must be, beside their types.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    pub(crate) required: Vec<String>,
    pub(crate) allowed: Option<Vec<Value>>,
    /// The bound, and whether it is excluded.
    pub(crate) minimum: Option<(f64, bool)>,
    pub(crate) maximum: Option<(f64, bool)>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) length: Bounds,
    pub(crate) items: Bounds,
    pub(crate) properties: Bounds,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: String,
    pub(crate) all_of: Vec<Node>,
    pub(crate) any_of: Vec<Node>,
    pub(crate) one_of: Vec<Node>,
    pub(crate) not: Option<Box<Node>>,
}

/// How few and how many there may be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    pub(crate) least: Option<u64>,
    pub(crate) most: Option<u64>,
}

impl Node {
    /// Compiles a schema. What is not understood is left out: the rules for definitions refuse it before.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub(crate) fn compile(schema: &Value) -> Result<Self, regex::Error> {
        let says = |keyword: &str| schema[keyword] == true;
        let properties = schema["properties"].as_object().into_iter().flatten();
        let compiled = properties.map(|(name, one)| Ok((name.clone(), Self::compile(one)?)));
        let default = schema.get("default").filter(|value| !value.is_null());
        let mut node = Self {
            kind: schema["type"].as_str().and_then(Type::of),
            properties: compiled.collect::<Result<_, regex::Error>>()?,
            rest: match Self::below(&schema["additionalProperties"])? {
                Some(each) => Rest::Each(each),
                None if says("additionalProperties") => Rest::Open,
                None => Rest::Closed,
            },
            items: Self::below(&schema["items"])?,
            list: list(schema),
            nullable: says("nullable"),
            preserve: says("x-kubernetes-preserve-unknown-fields"),
            embedded: says("x-kubernetes-embedded-resource"),
            int_or_string: says("x-kubernetes-int-or-string"),
            default: default.cloned(),
            rules: rules(schema)?,
            validations: rules::compile(schema),
            ruled: false,
        };
        node.ruled = node.has_rules();
        Ok(node)
    }

    /// Whether a default stands here or below.
    pub(crate) fn has_defaults(&self) -> bool {
        let rest = match &self.rest {
            Rest::Each(each) => each.has_defaults(),
            _ => false,
        };
        self.default.is_some()
            || rest
            || self.properties.values().any(Self::has_defaults)
            || self.items.as_deref().is_some_and(Self::has_defaults)
    }

    /// A schema within another one, if there is one.
    fn below(schema: &Value) -> Result<Option<Box<Self>>, regex::Error> {
        let there = schema.is_object().then(|| Self::compile(schema));
        Ok(there.transpose()?.map(Box::new))
    }
}

fn list(schema: &Value) -> List {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => List::Set,
        Some("map") => List::Map(texts(&schema["x-kubernetes-list-map-keys"])),
        _ => List::Atomic,
    }
}

fn rules(schema: &Value) -> Result<Rules, regex::Error> {
    let bound = |name: &str, open: &str| Some((schema[name].as_f64()?, schema[open] == true));
    let all = |name: &str| -> Result<Vec<Node>, regex::Error> {
        let list = schema[name].as_array().into_iter().flatten();
        list.map(Node::compile).collect()
    };
    let pattern = schema["pattern"].as_str().filter(|text| !text.is_empty());
    let allowed = schema["enum"].as_array().filter(|list| !list.is_empty());
    Ok(Rules {
        required: texts(&schema["required"]),
        allowed: allowed.cloned(),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: schema["multipleOf"].as_f64().filter(|factor| *factor > 0.0),
        length: Bounds::of(schema, "minLength", "maxLength"),
        items: Bounds::of(schema, "minItems", "maxItems"),
        properties: Bounds::of(schema, "minProperties", "maxProperties"),
        pattern: pattern.map(Regex::new).transpose()?,
        format: schema["format"].as_str().unwrap_or("").to_owned(),
        all_of: all("allOf")?,
        any_of: all("anyOf")?,
        one_of: all("oneOf")?,
        not: Node::below(&schema["not"])?,
    })
}

impl Bounds {
    fn of(schema: &Value, least: &str, most: &str) -> Self {
        Self {
            least: schema[least].as_u64(),
            most: schema[most].as_u64(),
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The path of a field below another one.
pub(crate) fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

#[cfg(test)]
mod tests;
