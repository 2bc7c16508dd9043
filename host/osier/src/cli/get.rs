//! `osier get`: the API server's own table, aligned.

use crate::arguments::{Get, Output};
use anyhow::bail;
use osier_api::{Object, Resource, resources, table};
use osier_client::Query;
use serde_json::Value;

/// Shows objects.
pub(crate) async fn get(get: &Get) -> anyhow::Result<()> {
    let Some(resource) = named(&get.resource) else {
        let known: Vec<_> = resources::all()
            .iter()
            .map(|resource| resource.plural)
            .collect();
        bail!(
            "{}: no such resource; one of {}",
            get.resource,
            known.join(", ")
        );
    };
    let client = super::connect(&get.connection)?;
    let namespace = if get.all_namespaces || !resource.namespaced {
        ""
    } else {
        get.connection.namespace.as_str()
    };
    let objects = match &get.name {
        Some(name) => vec![client.get(resource, namespace, name).await?],
        None => {
            client
                .list_all(resource, namespace, &Query::default())
                .await?
                .items
        }
    };
    match get.output {
        Some(Output::Json) => println!("{}", serde_json::to_string_pretty(&json(get, objects))?),
        None if objects.is_empty() => eprintln!("No resources found"),
        None => print!("{}", aligned(&rows(resource, &objects, get.all_namespaces))),
    }
    Ok(())
}

fn named(name: &str) -> Option<&'static Resource> {
    let matches = |found: &&&'static Resource| {
        found.plural == name || found.singular == name || found.short_names.contains(&name)
    };
    resources::all().iter().find(matches).copied()
}

fn json(get: &Get, mut objects: Vec<Object>) -> Value {
    if get.name.is_some() {
        return objects.pop().map_or(Value::Null, Object::into_value);
    }
    let items: Vec<Value> = objects.into_iter().map(Object::into_value).collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn rows(resource: &'static Resource, objects: &[Object], namespaces: bool) -> Vec<Vec<String>> {
    let table = table::render(resource, objects, osier_process::clock::now());
    let columns = table["columnDefinitions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let shown: Vec<usize> = (0..columns.len())
        .filter(|index| columns[*index]["priority"].as_i64().unwrap_or(0) == 0)
        .collect();
    let mut head: Vec<String> = shown
        .iter()
        .map(|index| cell(&columns[*index]["name"]).to_uppercase())
        .collect();
    if namespaces && resource.namespaced {
        head.insert(0, "NAMESPACE".to_owned());
    }
    let mut rows = vec![head];
    for (row, object) in table["rows"].as_array().into_iter().flatten().zip(objects) {
        let mut cells: Vec<String> = shown
            .iter()
            .map(|index| cell(&row["cells"][*index]))
            .collect();
        if namespaces && resource.namespaced {
            cells.insert(0, object.namespace().to_owned());
        }
        rows.push(cells);
    }
    rows
}

fn cell(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Columns as wide as their widest cell, three spaces apart, as `kubectl` prints them.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let padded: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("   ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows =
            [["NAME", "AGE"], ["reviews-v1", "5m"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "NAME         AGE\nreviews-v1   5m\n");
    }
}
