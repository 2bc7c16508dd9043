//! `osier get`: the API server's own table, aligned; or the objects as they are.

use super::apply::full_name;
use super::kinds::named;
use crate::arguments::{Form, Get};
use anyhow::bail;
use osier_api::{Object, Resource};
use osier_client::{Client, Query};
use osier_table as table;
use serde_json::Value;

/// Shows objects.
pub(crate) async fn get(get: &Get) -> anyhow::Result<()> {
    let (resource, name) = split(&get.resource, get.name.as_deref());
    if name.is_some() && get.selector.is_some() {
        bail!("a name and a selector exclude each other: leave one out");
    }
    let client = super::connect(&get.connection)?;
    let resource = named(&client, resource).await?;
    let namespace = if get.all_namespaces || !resource.namespaced {
        ""
    } else {
        get.connection.namespace.as_str()
    };
    let objects = match name {
        Some(name) => vec![client.get(resource, namespace, name).await?],
        None => {
            let query = Query {
                labels: get.selector.clone(),
                ..Query::default()
            };
            client.list_all(resource, namespace, &query).await?.items
        }
    };
    let single = name.is_some();
    match get.output {
        Some(Form::Json) => {
            println!("{}", serde_json::to_string_pretty(&whole(single, objects))?);
        }
        Some(Form::Yaml) => print!("{}", serde_saphyr::to_string(&whole(single, objects))?),
        Some(Form::Name) => {
            for object in &objects {
                println!("{}/{}", full_name(resource), object.name());
            }
        }
        None | Some(Form::Wide) if objects.is_empty() => eprintln!("No resources found"),
        None | Some(Form::Wide) => {
            let columns = Columns {
                namespaces: get.all_namespaces && resource.namespaced,
                wide: get.output.is_some(),
            };
            let table = printed(&client, (resource, namespace), &objects, get).await?;
            print!("{}", aligned(&rows(&table, &objects, columns)));
        }
    }
    Ok(())
}

/// RESOURCE/NAME in its two parts; or the name that stands behind.
pub(super) fn split<'a>(text: &'a str, name: Option<&'a str>) -> (&'a str, Option<&'a str>) {
    match (text.split_once('/'), name) {
        (Some((resource, name)), None) => (resource, Some(name)),
        _ => (text, name),
    }
}

fn whole(single: bool, mut objects: Vec<Object>) -> Value {
    if single {
        return objects.pop().map_or(Value::Null, Object::into_value);
    }
    let items: Vec<Value> = objects.into_iter().map(Object::into_value).collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Which columns are shown.
#[derive(Clone, Copy)]
struct Columns {
    /// The namespace first.
    namespaces: bool,
    /// Those too that are of less interest.
    wide: bool,
}

/// The objects as a Table; of a kind that is none of ours only the server knows the columns.
async fn printed(
    client: &Client,
    (resource, namespace): (&'static Resource, &str),
    objects: &[Object],
    get: &Get,
) -> anyhow::Result<Value> {
    if osier_api::resources::all().contains(&resource) {
        return Ok(table::render(
            resource,
            objects,
            osier_process::clock::now(),
        ));
    }
    let name = split(&get.resource, get.name.as_deref()).1;
    let query = Query {
        labels: get.selector.clone(),
        fields: name.map(|name| format!("metadata.name={name}")),
        ..Query::default()
    };
    Ok(client.table(resource, namespace, &query).await?)
}

fn rows(table: &Value, objects: &[Object], wanted: Columns) -> Vec<Vec<String>> {
    let columns = table["columnDefinitions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let shown: Vec<usize> = (0..columns.len())
        .filter(|index| wanted.wide || columns[*index]["priority"].as_i64().unwrap_or(0) == 0)
        .collect();
    let mut head: Vec<String> = shown
        .iter()
        .map(|index| cell(&columns[*index]["name"]).to_uppercase())
        .collect();
    if wanted.namespaces {
        head.insert(0, "NAMESPACE".to_owned());
    }
    let mut rows = vec![head];
    for (row, object) in table["rows"].as_array().into_iter().flatten().zip(objects) {
        let mut cells: Vec<String> = shown
            .iter()
            .map(|index| cell(&row["cells"][*index]))
            .collect();
        if wanted.namespaces {
            cells.insert(0, object.namespace().to_owned());
        }
        rows.push(cells);
    }
    rows
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
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
    #[test]
    fn a_name_stands_behind_a_slash_or_alone() {
        assert_eq!(split("pod/a", None), ("pod", Some("a")));
        assert_eq!(split("pod", Some("a")), ("pod", Some("a")));
    }
}
