//! OpenAPI v2 in gnostic's protobuf, the only form of it that kubectl before 1.27 reads.
//!
//! Field numbers are those of gnostic's `OpenAPIv2.proto`. Of the paths there is only what clients look for: that a PATCH
//! of each kind takes `dryRun` and `fieldValidation`.

use bytes::Bytes;
use osier_api::{Resource, schema};
use serde_json::{Map, Value, json};

use crate::Entry;
use crate::document::Document;

/// The type with `@` in it, which clients ask for, is not one that their own parsers accept in an answer.
pub const MEDIA: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const REFERENCE: &str = "#/components/schemas/";

/// The part of the document that is about our own kinds.
pub(crate) fn own(entries: &[Entry<'_>]) -> Bytes {
    let mut info = Message::default();
    info.text(1, "Osier");
    info.text(2, env!("CARGO_PKG_VERSION"));
    let mut definitions = Message::default();
    let roots: Vec<&str> = entries
        .iter()
        .flat_map(|entry| shapes(entry.resource))
        .collect();
    for name in schema::closure(&roots) {
        let Some(value) = schema::definition(name) else {
            continue;
        };
        let mut owners = entries.iter().map(|entry| entry.resource);
        let owner = owners.find(|resource| shapes(resource).any(|shape| shape == name));
        let mut definition = schema_message(value);
        if let Some(resource) = owner {
            definition.message(31, &kinds(resource, name));
        }
        definitions.message(1, &named(name, &definition));
    }
    let mut document = Message::default();
    document.text(1, "2.0");
    document.message(2, &info);
    document.message(8, &paths(entries));
    document.message(9, &definitions);
    Bytes::from(document.0)
}

/// The document of all kinds: our own part, and after it what users define. Readers merge the two, as protobuf has it.
pub(crate) fn document(own: &Bytes, custom: &[Entry<'_>]) -> Document {
    if custom.is_empty() {
        return Document::of_bytes(own.clone());
    }
    let mut definitions = Message::default();
    for Entry { resource, document } in custom {
        let folded = document.map(folded).unwrap_or_default();
        let mut definition = schema_message(&folded);
        definition.message(31, &kinds(resource, resource.schema));
        definitions.message(1, &named(resource.schema, &definition));
    }
    let mut document = Message(own.to_vec());
    document.message(8, &paths(custom));
    document.message(9, &definitions);
    Document::of_bytes(Bytes::from(document.0))
}

/// A schema with less in it, as upstream publishes those of custom kinds here: where anything is allowed, or a null, or one
/// of two types, the clients of this document would refuse what the server takes.
pub(crate) fn folded(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let open = [
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
        "nullable",
    ];
    let open = open
        .iter()
        .any(|keyword| map.get(*keyword) == Some(&Value::Bool(true)));
    let structure = [
        "type",
        "properties",
        "items",
        "additionalProperties",
        "required",
    ];
    let kept = map
        .iter()
        .filter(|(key, _)| !(open && structure.contains(&key.as_str())));
    let inner = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(all)) => {
                let all = all
                    .iter()
                    .map(|(name, property)| (name.clone(), folded(property)));
                Value::Object(all.collect::<Map<_, _>>())
            }
            ("items" | "additionalProperties", value) => folded(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    Value::Object(kept.map(inner).collect())
}

fn paths(entries: &[Entry<'_>]) -> Message {
    let mut paths = Message::default();
    for Entry { resource, .. } in entries {
        for version in resource.versions {
            let mut patch = Message::default();
            for name in ["dryRun", "fieldValidation"] {
                patch.message(8, &parameter(name));
            }
            let kind = json!({"group": resource.group, "version": version, "kind": resource.kind});
            patch.message(13, &extension("x-kubernetes-group-version-kind", &kind));
            let mut item = Message::default();
            item.message(8, &patch);
            paths.message(2, &named(&path(resource, version), &item));
        }
    }
    paths
}

fn path(resource: &Resource, version: &str) -> String {
    let root = if resource.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let place = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    format!(
        "{root}/{}{place}/{}/{{name}}",
        resource.api_version(version),
        resource.plural
    )
}

/// A query parameter, within the four layers that say that it is one.
fn parameter(name: &str) -> Message {
    let mut query = Message::default();
    query.text(2, "query");
    query.text(4, name);
    query.text(6, "string");
    [3, 2, 1].into_iter().fold(query, |inner, number| {
        let mut outer = Message::default();
        outer.message(number, &inner);
        outer
    })
}

/// The names of the schemas of all versions.
fn shapes(resource: &'static Resource) -> impl Iterator<Item = &'static str> {
    let versions = resource.versions.iter();
    versions.map(|version| resource.schema_of(version))
}

/// The extension by which clients find the schema of a kind: the versions that have this one.
fn kinds(resource: &Resource, schema: &str) -> Message {
    let kinds: Vec<Value> = resource
        .versions
        .iter()
        .filter(|version| resource.schema_of(version) == schema)
        .map(|version| json!({"group": resource.group, "version": version, "kind": resource.kind}))
        .collect();
    extension("x-kubernetes-group-version-kind", &json!(kinds))
}

fn extension(name: &str, value: &Value) -> Message {
    // Any JSON is YAML.
    let mut any = Message::default();
    any.text(2, &value.to_string());
    named(name, &any)
}

fn named(name: &str, value: &Message) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    message.message(2, value);
    message
}

fn schema_message(value: &Value) -> Message {
    let mut message = Message::default();
    let text = |field: &str| value[field].as_str();
    // A reference with a description beside it is written `allOf: [reference]`.
    let reference = text("$ref").or_else(|| value["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference.and_then(|reference| reference.strip_prefix(REFERENCE)) {
        message.text(1, &format!("#/definitions/{reference}"));
    }
    for (number, field) in [(2, "format"), (4, "description")] {
        if let Some(text) = text(field) {
            message.text(number, text);
        }
    }
    for name in value["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        message.text(19, name);
    }
    if value["additionalProperties"].is_object() {
        let mut item = Message::default();
        item.message(1, &schema_message(&value["additionalProperties"]));
        message.message(21, &item);
    }
    if let Some(kind) = text("type") {
        let mut item = Message::default();
        item.text(1, kind);
        message.message(22, &item);
    }
    if value["items"].is_object() {
        let mut item = Message::default();
        item.message(1, &schema_message(&value["items"]));
        message.message(23, &item);
    }
    if let Some(properties) = value["properties"].as_object() {
        let mut item = Message::default();
        for (name, property) in properties {
            item.message(1, &named(name, &schema_message(property)));
        }
        message.message(25, &item);
    }
    let own = value.as_object().into_iter().flatten();
    for (name, value) in
        own.filter(|(name, _)| name.starts_with("x-") && *name != "x-kubernetes-group-version-kind")
    {
        message.message(31, &extension(name, value));
    }
    message
}

/// A protobuf message in the making; every field is length-delimited.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn text(&mut self, number: u32, text: &str) {
        self.field(number, text.as_bytes());
    }

    fn message(&mut self, number: u32, message: &Message) {
        self.field(number, &message.0);
    }

    fn field(&mut self, number: u32, bytes: &[u8]) {
        self.varint(u64::from(number << 3 | 2));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
