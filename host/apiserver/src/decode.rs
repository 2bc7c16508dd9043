//! Request bodies: read within a limit, parsed as JSON or YAML, with every repeated key remembered.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A parsed body, and the dotted paths of the keys that it sets more than once (the last one counts).
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// Parses a body; the error is the parser's own words.
pub(crate) fn parse(bytes: &[u8], format: Format) -> Result<Document, String> {
    let node: Node = match format {
        Format::Json => serde_json::from_slice(bytes).map_err(|error| error.to_string())?,
        Format::Yaml => parse_yaml(bytes)?,
    };
    let mut duplicates = Vec::new();
    let value = node.into_value(&mut String::new(), &mut duplicates);
    Ok(Document { value, duplicates })
}

fn parse_yaml(bytes: &[u8]) -> Result<Node, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// A value that still knows the keys which a map would swallow.
enum Node {
    Leaf(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    fn into_value(self, path: &mut String, duplicates: &mut Vec<String>) -> Value {
        let length = path.len();
        match self {
            Node::Leaf(value) => value,
            Node::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    list.push(item.into_value(path, duplicates));
                    path.truncate(length);
                }
                Value::Array(list)
            }
            Node::Map(entries) => {
                let mut map = Map::new();
                for (key, item) in entries {
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(&key);
                    if map.contains_key(&key) && !duplicates.contains(path) {
                        duplicates.push(path.clone());
                    }
                    map.insert(key, item.into_value(path, duplicates));
                    path.truncate(length);
                }
                Value::Object(map)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Leaf(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Leaf(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn json_keeps_the_last_of_repeated_keys_and_names_them() {
        let document = parse(
            br#"{"a":1,"spec":{"x":[{"b":1,"b":2,"b":3}],"y":1},"a":2}"#,
            Format::Json,
        )
        .unwrap();
        assert_eq!(
            document.value,
            json!({"a": 2, "spec": {"x": [{"b": 3}], "y": 1}})
        );
        assert_eq!(document.duplicates, ["spec.x[0].b", "a"]);
    }

    #[test]
    fn yaml_is_read_as_kubernetes_does_where_yes_is_a_boolean() {
        let document = parse(
            b"a: 1\nb: 'x'\nc: [true, null, 1.5]\nd:\n  e: yes\n",
            Format::Yaml,
        )
        .unwrap();
        assert_eq!(
            document.value,
            json!({"a": 1, "b": "x", "c": [true, null, 1.5], "d": {"e": true}})
        );
    }

    #[test]
    fn yaml_names_repeated_keys() {
        let document = parse(b"a: 1\na: 2\n", Format::Yaml).unwrap();
        assert_eq!(document.duplicates, ["a"]);
        assert_eq!(document.value, json!({"a": 2}));
    }

    #[test]
    fn malformed_bodies_say_where() {
        let error = parse(b"{\"a\": }", Format::Json).unwrap_err();
        assert!(error.contains("line 1"), "{error}");
    }
}
