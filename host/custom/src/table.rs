//! `additionalPrinterColumns`: what `kubectl get` prints of a kind.

use jiff::Timestamp;
use osier_api::Object;
use osier_table::{self as table, Include};
use serde_json::{Value, json};

use crate::path::Path;

/// One column after the name.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    definition: Value,
    kind: String,
    path: Path,
}

/// The columns of a version; its age if it says none.
pub(crate) fn columns(version: &Value) -> Vec<Column> {
    let said = version["additionalPrinterColumns"].as_array();
    let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
        "description": "CreationTimestamp is a timestamp representing the server time when this object was created."});
    let said = said.filter(|list| !list.is_empty());
    let all = said.map_or(std::slice::from_ref(&age), Vec::as_slice);
    all.iter().filter_map(column).collect()
}

fn column(said: &Value) -> Option<Column> {
    let text = |name: &str| said[name].as_str().unwrap_or("");
    let described = match text("description") {
        "" => format!(
            "Custom resource definition column (in JSONPath format): {}",
            text("jsonPath")
        ),
        words => words.to_owned(),
    };
    Some(Column {
        definition: json!({"name": text("name"), "type": text("type"), "format": text("format"),
            "description": described, "priority": said["priority"].as_i64().unwrap_or(0)}),
        kind: text("type").to_owned(),
        path: Path::parse(text("jsonPath")).ok()?,
    })
}

/// A meta.k8s.io/v1 Table of the objects, as [`table::render_with`] makes one of other kinds.
pub(crate) fn render(
    columns: &[Column],
    objects: &[Object],
    now: Timestamp,
    include: Include,
) -> Value {
    let name = json!({"name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"});
    let definitions: Vec<Value> = std::iter::once(name)
        .chain(columns.iter().map(|column| column.definition.clone()))
        .collect();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let value = object.to_value();
            let cells = columns.iter().map(|column| column.cell(&value, now));
            let cells: Vec<Value> = std::iter::once(object.name().into()).chain(cells).collect();
            match include {
                Include::None => json!({ "cells": cells }),
                Include::Metadata => json!({"cells": cells, "object": table::partial(object)}),
                Include::Object => json!({"cells": cells, "object": value}),
            }
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": definitions, "rows": rows})
}

impl Column {
    /// The first value that the path leads to, if it has the type of the column.
    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(value) = self.path.first(object) else {
            return Value::Null;
        };
        match (self.kind.as_str(), value) {
            (_, Value::Null) => Value::Null,
            ("string", Value::String(_)) => value.clone(),
            ("string", other) => other.to_string().into(),
            ("integer", Value::Number(number)) => match number.as_f64() {
                Some(float) if number.is_f64() => (float.trunc() as i64).into(),
                _ => value.clone(),
            },
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
            ("date", Value::String(text)) => match text.parse::<Timestamp>() {
                Ok(then) => table::human(now.as_second() - then.as_second()).into(),
                Err(_) => "<invalid>".into(),
            },
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn cells_have_the_type_of_their_column() {
        let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
        let version = json!({"additionalPrinterColumns": [
            column("Spec", "string", ".spec.cron"), column("Replicas", "integer", ".spec.replicas"),
            column("On", "boolean", ".spec.on"), column("Since", "date", ".spec.since"),
            column("All", "string", ".spec.list"), column("None", "integer", ".spec.cron"),
            column("Absent", "string", ".spec.nothing")]});
        let object = Object::from_value(
            json!({"metadata": {"name": "a"}, "spec": {"cron": "* *", "replicas": 3, "on": true,
            "since": "1970-01-01T00:00:00Z", "list": ["x", 1]}}),
        )
        .unwrap();
        let now = Timestamp::from_second(300).unwrap();
        let table = render(&columns(&version), &[object], now, Include::None);
        let cells = json!(["a", "* *", 3, true, "5m", "[\"x\",1]", null, null]);
        assert_eq!(table["rows"][0]["cells"], cells);
        assert_eq!(table["columnDefinitions"][2]["name"], "Replicas");
    }

    #[test]
    fn without_columns_there_is_the_age() {
        let table = render(
            &columns(&json!({})),
            &[],
            Timestamp::UNIX_EPOCH,
            Include::None,
        );
        assert_eq!(table["columnDefinitions"][1]["name"], "Age");
    }
}
