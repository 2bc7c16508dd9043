//! What an OpenAPI schema says about merging: which lists are sets or maps, what is one piece.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::Step;

/// What stands before a definition's name in a reference.
const REFERENCE: &str = "#/components/schemas/";

/// A document that does not fit its schema's list types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An element of a list that is a map has no value for a key field.
    #[error("{path}: associative list with keys has an element that omits key field {key:?}")]
    NoKey {
        /// The list.
        path: String,
        /// The key field.
        key: String,
    },
    /// Two elements of a wish are the same one.
    #[error("{path}: duplicate entries for key {step}")]
    Twice {
        /// The list.
        path: String,
        /// The element.
        step: String,
    },
}

impl Malformed {
    /// The same problem, seen from one step further out.
    pub(super) fn under(mut self, step: &Step) -> Self {
        let (Self::NoKey { path, .. } | Self::Twice { path, .. }) = &mut self;
        *path = format!("{step}{path}");
        self
    }
}

/// A schema at one place of a document; where nothing is known, maps are merged by field and lists are one piece.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    node: Option<&'a Value>,
    definitions: &'a Map<String, Value>,
}

/// How the inside of a value is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape<'a> {
    /// As one piece.
    Leaf,
    /// A map, field by field.
    Fields(&'a Map<String, Value>),
    /// A list of scalars, none twice.
    Set(&'a [Value]),
    /// A list of maps that are told apart by key fields.
    Keyed(&'a [Value]),
}

impl<'a> Schema<'a> {
    /// The schema `node`, whose references are found in `definitions`.
    pub fn new(node: &'a Value, definitions: &'a Map<String, Value>) -> Self {
        Self {
            node: Some(node),
            definitions,
        }
    }

    /// How `value` is taken at this place. What is empty is one piece, so that empty and absent stay different.
    pub(super) fn shape<'v>(self, value: &'v Value) -> Shape<'v> {
        match value {
            Value::Object(map)
                if !map.is_empty() && !self.says("x-kubernetes-map-type", "atomic") =>
            {
                Shape::Fields(map)
            }
            Value::Array(list)
                if !list.is_empty() && self.says("x-kubernetes-list-type", "set") =>
            {
                Shape::Set(list)
            }
            Value::Array(list)
                if !list.is_empty() && self.says("x-kubernetes-list-type", "map") =>
            {
                Shape::Keyed(list)
            }
            _ => Shape::Leaf,
        }
    }

    /// Whether everything at this place is always one piece.
    pub(super) fn atomic(self, value: &Value) -> bool {
        match value {
            Value::Object(_) => self.says("x-kubernetes-map-type", "atomic"),
            Value::Array(_) => {
                !self.says("x-kubernetes-list-type", "set")
                    && !self.says("x-kubernetes-list-type", "map")
            }
            _ => !value.is_null(),
        }
    }

    fn says(self, keyword: &str, word: &str) -> bool {
        self.keyword(keyword).and_then(Value::as_str) == Some(word)
    }

    /// A keyword at the place itself, or else in the definition that it refers to.
    fn keyword(self, name: &str) -> Option<&'a Value> {
        let own = self.node.and_then(|node| node.get(name));
        own.or_else(|| self.resolved().and_then(|node| node.get(name)))
    }

    /// Follows `$ref` and the `allOf` of one that keeps a description beside it.
    fn resolved(self) -> Option<&'a Value> {
        let node = self.node?;
        let target = node
            .get("$ref")
            .or_else(|| node.get("allOf")?.get(0)?.get("$ref"));
        let name = target
            .and_then(Value::as_str)
            .and_then(|text| text.strip_prefix(REFERENCE));
        Some(
            name.and_then(|name| self.definitions.get(name))
                .unwrap_or(node),
        )
    }

    fn at(self, node: Option<&'a Value>) -> Self {
        Self { node, ..self }
    }

    /// Whether the field is named by the schema, and not one of a map with free keys.
    pub(super) fn names(self, field: &str) -> bool {
        self.properties()
            .is_some_and(|all| all.get(field).is_some())
    }

    fn properties(self) -> Option<&'a Value> {
        self.resolved()?.get("properties")
    }

    /// The schema of a field.
    pub(super) fn field(self, name: &str) -> Self {
        let named = self.properties().and_then(|all| all.get(name));
        let free = || self.resolved()?.get("additionalProperties");
        self.at(named.or_else(free).filter(|node| node.is_object()))
    }

    /// The schema of a list's elements.
    pub(super) fn items(self) -> Self {
        self.at(self.resolved().and_then(|node| node.get("items")))
    }

    /// The schema one step further in.
    pub(super) fn step(self, step: &Step) -> Self {
        match step {
            Step::Field(name) => self.field(name),
            _ => self.items(),
        }
    }

    /// The step to an element of a list of this schema.
    pub(super) fn element(self, shape: Shape<'_>, item: &Value) -> Result<Step, Malformed> {
        if !matches!(shape, Shape::Keyed(_)) {
            return Ok(Step::value(item));
        }
        let keys = self
            .keyword("x-kubernetes-list-map-keys")
            .and_then(Value::as_array);
        let mut fields = BTreeMap::new();
        for key in keys.into_iter().flatten().filter_map(Value::as_str) {
            let value = item.get(key).filter(|value| !value.is_null());
            let default = || self.items().field(key).keyword("default");
            let value = value.or_else(default).ok_or_else(|| Malformed::NoKey {
                path: String::new(),
                key: key.to_owned(),
            })?;
            fields.insert(key, value);
        }
        Ok(Step::key(&fields))
    }
}
