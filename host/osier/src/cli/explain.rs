//! `osier explain`: what the fields of a kind mean, out of the OpenAPI document that the server has of it.

use super::kinds::named;
use crate::arguments::Explain;
use anyhow::{Context as _, bail};
use http::Request;
use osier_api::Resource;
use osier_client::Client;
use osier_process::body;
use serde_json::Value;
use std::fmt::Write as _;

/// The largest document that is read.
const LARGEST: usize = 64 << 20;
/// Descriptions are broken before this column.
const WIDTH: usize = 76;

/// Explains a kind, or a field of it: `deployment.spec.strategy`.
pub(crate) async fn explain(explain: &Explain) -> anyhow::Result<()> {
    let mut path = explain.field.split('.');
    let client = super::connect(&explain.connection)?;
    let resource = named(&client, path.next().unwrap_or_default()).await?;
    let version = resource.storage_version();
    let document = document(&client, resource, version).await?;
    let fields: Vec<&str> = path.collect();
    print!("{}", told(&document, resource, &fields)?);
    Ok(())
}

async fn document(client: &Client, resource: &Resource, version: &str) -> anyhow::Result<Value> {
    let path = match resource.group {
        "" => format!("/openapi/v3/api/{version}"),
        group => format!("/openapi/v3/apis/{group}/{version}"),
    };
    let answer = client.raw(Request::get(&path).body(body::empty())?).await?;
    if !answer.status().is_success() {
        bail!("GET {path}: {}", answer.status());
    }
    let bytes = body::read(answer.into_body(), LARGEST).await?;
    serde_json::from_slice(&bytes).with_context(|| format!("GET {path}"))
}

/// The explanation.
fn told(document: &Value, resource: &Resource, fields: &[&str]) -> anyhow::Result<String> {
    let schemas = &document["components"]["schemas"];
    let is_it = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        let mut kinds = kinds.into_iter().flatten();
        kinds.any(|kind| kind["kind"] == resource.kind && kind["group"] == resource.group)
    };
    let mut all = schemas.as_object().into_iter().flat_map(|all| all.values());
    let root = all.find(is_it);
    let root = root.with_context(|| format!("the server has no schema of {}", resource.kind))?;
    let (mut schema, mut place) = (root, resource.singular.to_owned());
    for field in fields {
        let inner = &within(schemas, schema)["properties"][*field];
        if inner.is_null() {
            bail!("field \"{field}\" does not exist in {place}");
        }
        schema = inner;
        place = format!("{place}.{field}");
    }
    let mut text = String::new();
    if !resource.group.is_empty() {
        let _infallible = writeln!(text, "GROUP:      {}", resource.group);
    }
    let version = resource.storage_version();
    let _infallible = writeln!(
        text,
        "KIND:       {}\nVERSION:    {version}\n",
        resource.kind
    );
    if let Some(field) = fields.last() {
        let kind = kind_of(schemas, schema);
        let _infallible = writeln!(text, "FIELD: {field} <{kind}>\n");
    }
    text.push_str("DESCRIPTION:\n");
    let inner = within(schemas, schema);
    for told in [described(schema), described(inner)].into_iter().flatten() {
        wrapped(told, 4, &mut text);
        if std::ptr::eq(schema, inner) {
            break;
        }
    }
    let properties = inner["properties"].as_object();
    if let Some(properties) = properties.filter(|all| !all.is_empty()) {
        text.push_str("\nFIELDS:\n");
        let required = inner["required"].as_array();
        for (name, property) in properties {
            let kind = kind_of(schemas, property);
            let must = required.is_some_and(|all| all.iter().any(|one| one == name));
            let must = if must { " -required-" } else { "" };
            let _infallible = writeln!(text, "  {name}\t<{kind}>{must}");
            let told = described(property).or_else(|| described(within(schemas, property)));
            wrapped(told.unwrap_or("<no description>"), 4, &mut text);
            text.push('\n');
        }
    }
    Ok(text)
}

fn described(schema: &Value) -> Option<&str> {
    schema["description"]
        .as_str()
        .filter(|told| !told.is_empty())
}

/// The schema whose fields a schema has: of what it refers to, of the items of a list, of the values of a map.
fn within<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = target.and_then(|target| target.strip_prefix("#/components/schemas/")) {
        return within(schemas, &schemas[name]);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            return within(schemas, &schema[inner]);
        }
    }
    schema
}

/// The type of a field, as kubectl writes it.
fn kind_of(schemas: &Value, schema: &Value) -> String {
    let target = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(name) = target.and_then(|target| target.strip_prefix("#/components/schemas/")) {
        let simple = schemas[name]["properties"].is_null();
        return match schemas[name]["type"].as_str() {
            Some(plain) if simple && plain != "object" => plain.to_owned(),
            _ => name.rsplit('.').next().unwrap_or(name).to_owned(),
        };
    }
    if schema["items"].is_object() {
        return format!("[]{}", kind_of(schemas, &schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!(
            "map[string]{}",
            kind_of(schemas, &schema["additionalProperties"])
        );
    }
    match schema["type"].as_str() {
        None | Some("object") => "Object".to_owned(),
        Some(plain) => plain.to_owned(),
    }
}

/// A text in lines that begin further in.
fn wrapped(told: &str, depth: usize, text: &mut String) {
    for paragraph in told.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && depth + line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _infallible = writeln!(text, "{:depth$}{line}", "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _infallible = writeln!(text, "{:depth$}{line}", "");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use osier_api::resources::PODS;
    use serde_json::json;

    fn document() -> Value {
        let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        json!({"components": {"schemas": {
            "core.v1.Pod": {"description": "A pod.", "type": "object", "x-kubernetes-group-version-kind": [{"group": "", "kind": "Pod", "version": "v1"}],
                "properties": {"spec": {"allOf": [reference("core.v1.PodSpec")], "description": "What is wanted."}}},
            "core.v1.PodSpec": {"description": "PodSpec is one.", "type": "object", "required": ["containers"], "properties": {
                "containers": {"type": "array", "description": "They run.", "items": reference("core.v1.Container")},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
            "core.v1.Container": {"description": "One.", "type": "object", "properties": {"name": {"type": "string", "description": "Its name."}}},
        }}})
    }

    #[test]
    fn fields_are_followed_through_references_and_lists() {
        let told = told(&document(), &PODS, &["spec", "containers", "name"]).unwrap();
        assert_eq!(
            told,
            "KIND:       Pod\nVERSION:    v1\n\nFIELD: name <string>\n\nDESCRIPTION:\n    Its name.\n"
        );
        let spec = super::told(&document(), &PODS, &["spec"]).unwrap();
        for line in [
            "FIELD: spec <PodSpec>",
            "    What is wanted.\n    PodSpec is one.\n",
            "  containers\t<[]Container> -required-\n    They run.\n",
            "  labels\t<map[string]string>\n    <no description>\n",
        ] {
            assert!(spec.contains(line), "{spec}");
        }
        let refused = super::told(&document(), &PODS, &["spec", "colour"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "field \"colour\" does not exist in pod.spec"
        );
    }
}
