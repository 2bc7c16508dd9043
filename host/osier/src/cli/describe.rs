//! `osier describe`: an object in words, field by field, and what happened to it. As kubectl describes kinds that it does not know.

use super::get::split;
use super::kinds::named;
use crate::arguments::Describe;
use osier_api::resources::EVENTS;
use osier_api::{Object, Resource};
use osier_client::{Client, Query};
use osier_table as table;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Of the metadata these are told above, or to nobody.
const APART: [&str; 5] = [
    "annotations",
    "labels",
    "name",
    "namespace",
    "managedFields",
];
/// How much a nested field stands in.
const STEP: usize = 2;

/// Describes one object, or all of a resource.
pub(crate) async fn describe(describe: &Describe) -> anyhow::Result<()> {
    let (resource, name) = split(&describe.resource, describe.name.as_deref());
    let client = super::connect(&describe.connection)?;
    let resource = named(&client, resource).await?;
    let namespace = match resource.namespaced {
        true => describe.connection.namespace.as_str(),
        false => "",
    };
    let objects = match name {
        Some(name) => vec![client.get(resource, namespace, name).await?],
        None => {
            let query = Query {
                labels: describe.selector.clone(),
                ..Query::default()
            };
            client.list_all(resource, namespace, &query).await?.items
        }
    };
    if objects.is_empty() {
        eprintln!("No resources found");
    }
    for (place, object) in objects.iter().enumerate() {
        if place > 0 {
            println!("\n");
        }
        print!(
            "{}{}",
            told(object),
            happened(&client, resource, object).await?
        );
    }
    Ok(())
}

/// The object in words.
fn told(object: &Object) -> String {
    let map = object.as_map();
    let metadata = map.get("metadata").and_then(Value::as_object);
    let pairs = |field: &str| {
        let found = metadata
            .and_then(|all| all.get(field))
            .and_then(Value::as_object);
        let lines = found.into_iter().flatten();
        let lines: Vec<String> = lines
            .map(|(key, value)| format!("{key}={}", plain(value)))
            .collect();
        match lines.is_empty() {
            true => "<none>".to_owned(),
            false => lines.join("\n              "),
        }
    };
    let mut text = String::new();
    for (label, value) in [
        ("Name", object.name().to_owned()),
        ("Namespace", object.namespace().to_owned()),
        ("Labels", pairs("labels")),
        ("Annotations", pairs("annotations")),
        ("API Version", object.api_version().to_owned()),
        ("Kind", object.kind().to_owned()),
    ] {
        let _infallible = writeln!(text, "{:14}{value}", format!("{label}:"));
    }
    let mut rest = Map::new();
    if let Some(metadata) = metadata {
        let kept = metadata
            .iter()
            .filter(|(key, _)| !APART.contains(&key.as_str()));
        let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
        rest.insert("metadata".to_owned(), Value::Object(kept.collect()));
    }
    let others = map
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
    rest.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    nested(&rest, 0, &mut text);
    text
}

/// A map, a line for each field; what is in a field stands further in, below it.
fn nested(map: &Map<String, Value>, depth: usize, text: &mut String) {
    let simple = |value: &Value| !(value.is_object() || value.is_array());
    let widths = map.iter().filter(|(_, value)| simple(value));
    let width = widths.map(|(key, _)| words(key).chars().count() + 3).max();
    for (key, value) in map {
        let label = format!("{}:", words(key));
        let _infallible = match value {
            Value::Object(map) if map.is_empty() => Ok(()),
            Value::Object(map) => {
                let written = writeln!(text, "{:depth$}{label}", "");
                nested(map, depth + STEP, text);
                written
            }
            Value::Array(items) if items.is_empty() => Ok(()),
            Value::Array(items) => {
                let written = writeln!(text, "{:depth$}{label}", "");
                list(items, depth + STEP, text);
                written
            }
            value => {
                let width = width.unwrap_or(0);
                let value = plain(value).replace('\n', &format!("\n{:depth$}", ""));
                writeln!(text, "{:depth$}{label:width$}{value}", "")
            }
        };
    }
}

fn list(items: &[Value], depth: usize, text: &mut String) {
    for item in items {
        match item {
            Value::Object(map) => nested(map, depth, text),
            Value::Array(items) => list(items, depth + STEP, text),
            value => {
                let _infallible = writeln!(text, "{:depth$}{}", "", plain(value));
            }
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// `creationTimestamp` as `Creation Timestamp`, `podIPs` as `Pod I Ps`: as kubectl splits names.
fn words(key: &str) -> String {
    if key == "uid" {
        return "UID".to_owned();
    }
    let mut words = String::new();
    for (place, letter) in key.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            words.push(' ');
        }
        match place {
            0 => words.extend(letter.to_uppercase()),
            _ => words.push(letter),
        }
    }
    words
}

/// The events about an object, oldest first.
async fn happened(
    client: &Client,
    resource: &'static Resource,
    object: &Object,
) -> anyhow::Result<String> {
    let query = Query::by_fields(format!(
        "involvedObject.name={},involvedObject.kind={}",
        object.name(),
        resource.kind
    ));
    let mut events = client
        .list_all(&EVENTS, object.namespace(), &query)
        .await?
        .items;
    events.retain(|event| {
        let uid = event.text(&["involvedObject", "uid"]);
        uid.is_empty() || uid == object.uid()
    });
    if events.is_empty() {
        return Ok("Events:       <none>\n".to_owned());
    }
    let table = table::render(&EVENTS, &events, osier_process::clock::now());
    let columns = ["Type", "Reason", "Last Seen", "Message"];
    let names = table["columnDefinitions"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|column| column["name"].as_str()).collect();
    let mut lines = vec![columns.map(str::to_owned).to_vec()];
    for row in table["rows"].as_array().into_iter().flatten() {
        let cell = |column: &str| {
            let place = names.iter().position(|name| *name == column);
            place.map_or_else(String::new, |place| plain(&row["cells"][place]))
        };
        lines.push(columns.iter().map(|column| cell(column)).collect());
    }
    let aligned = super::get::aligned(&lines);
    let indented = aligned.lines().map(|line| format!("  {line}\n"));
    Ok(format!("Events:\n{}", indented.collect::<String>()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_object_is_told_field_by_field() {
        let object = Object::from_value(serde_json::json!({
            "apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": "a", "namespace": "n", "labels": {"x": "1", "y": "2"}, "uid": "u", "managedFields": []},
            "spec": {"size": 3, "longName": "b", "ports": [{"port": 80}], "hosts": ["h"]},
        }));
        let expected = "\
Name:         a
Namespace:    n
Labels:       x=1
              y=2
Annotations:  <none>
API Version:  example.com/v1
Kind:         Widget
Metadata:
  UID:  u
Spec:
  Hosts:
    h
  Long Name:  b
  Ports:
    Port:  80
  Size:       3
";
        let told = told(&object.unwrap());
        // The order of fields is that of the map.
        let mut lines: Vec<&str> = told.lines().collect();
        let mut wanted: Vec<&str> = expected.lines().collect();
        lines.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(lines, wanted);
    }
}
