//! One version of a definition: its name, schema, columns and subresources.

use osier_api::Fault;
use osier_validation::label_1035;
use serde_json::Value;

use super::structural;
use crate::path::Path;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
/// No more fields than this can be selected by.
const MOST_SELECTABLE: usize = 8;

pub(super) fn check(version: &Value, path: &str, faults: &mut Vec<Fault>) {
    let name = version["name"].as_str().unwrap_or("");
    let wrong = label_1035(name).into_iter();
    faults.extend(wrong.map(|words| Fault::invalid(format!("{path}.name"), name, words)));
    let schema = &version["schema"]["openAPIV3Schema"];
    if schema.is_object() {
        structural::check(schema, &format!("{path}.schema.openAPIV3Schema"), faults);
    } else {
        let field = format!("{path}.schema.openAPIV3Schema");
        faults.push(Fault::required(field, "schemas are required"));
    }
    columns(version, path, faults);
    subresources(version, path, faults);
    selectable(version, path, faults);
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn columns(version: &Value, path: &str, faults: &mut Vec<Fault>) {
    for (index, column) in array(&version["additionalPrinterColumns"]).enumerate() {
        let path = format!("{path}.additionalPrinterColumns[{index}]");
        let text = |field: &str| column[field].as_str().unwrap_or("");
        if text("name").is_empty() {
            faults.push(Fault::required(format!("{path}.name"), ""));
        }
        match text("type") {
            "" => faults.push(Fault::required(
                format!("{path}.type"),
                "must be one of boolean,date,integer,number,string",
            )),
            kind if COLUMN_TYPES.contains(&kind) => {}
            other => faults.push(Fault::invalid(
                format!("{path}.type"),
                other,
                "must be one of boolean,date,integer,number,string",
            )),
        }
        json_path(text("jsonPath"), &format!("{path}.jsonPath"), faults);
    }
}

/// A path that must be there and be one.
fn json_path(text: &str, path: &str, faults: &mut Vec<Fault>) {
    if text.is_empty() {
        faults.push(Fault::required(path, ""));
        return;
    }
    match Path::parse(text) {
        _ if !text.starts_with('.') => faults.push(Fault::invalid(
            path,
            text,
            "must be a json path starting with .",
        )),
        Err(words) => faults.push(Fault::invalid(
            path,
            text,
            format!("is an invalid path: {words}"),
        )),
        Ok(_) => {}
    }
}

fn subresources(version: &Value, path: &str, faults: &mut Vec<Fault>) {
    let Some(scale) = version["subresources"].get("scale") else {
        return;
    };
    let path = format!("{path}.subresources.scale");
    for (field, root, required) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", "", false),
    ] {
        let (path, text) = (
            format!("{path}.{field}"),
            scale[field].as_str().unwrap_or(""),
        );
        if text.is_empty() {
            if required {
                faults.push(Fault::required(path, ""));
            }
            continue;
        }
        let plain = Path::parse(text)
            .ok()
            .filter(|path| path.fields().is_some());
        if plain.is_none() {
            faults.push(Fault::invalid(
                path,
                text,
                "should be a json path without array notation",
            ));
        } else if !root.is_empty() && !text.starts_with(root) {
            faults.push(Fault::invalid(
                path,
                text,
                format!("should be a json path under {root}"),
            ));
        } else if root.is_empty() && !text.starts_with(".spec.") && !text.starts_with(".status.") {
            faults.push(Fault::invalid(
                path,
                text,
                "should be a json path under either .spec or .status",
            ));
        }
    }
}

/// Fields to select by are strings, numbers or booleans that the schema knows.
fn selectable(version: &Value, path: &str, faults: &mut Vec<Fault>) {
    let path = format!("{path}.selectableFields");
    let fields: Vec<&Value> = array(&version["selectableFields"]).collect();
    if fields.len() > MOST_SELECTABLE {
        let words = format!("must have at most {MOST_SELECTABLE} items");
        faults.push(Fault::invalid(&path, fields.len(), words));
    }
    for (index, field) in fields.iter().enumerate() {
        let (path, text) = (
            format!("{path}[{index}].jsonPath"),
            field["jsonPath"].as_str().unwrap_or(""),
        );
        let plain = Path::parse(text).ok();
        let Some(names) = plain
            .as_ref()
            .and_then(Path::fields)
            .filter(|names| !names.is_empty())
        else {
            faults.push(Fault::invalid(
                path,
                text,
                "must be a simple path to a field, such as .spec.colour",
            ));
            continue;
        };
        let root = &version["schema"]["openAPIV3Schema"];
        let schema = names
            .iter()
            .fold(root, |schema, name| &schema["properties"][*name]);
        if !matches!(
            schema["type"].as_str(),
            Some("string" | "integer" | "boolean")
        ) || names.first() == Some(&"metadata")
        {
            let words = "must point to a field of type string, boolean or integer in the schema. Enum string fields and strings with formats are allowed";
            faults.push(Fault::invalid(path, text, words));
        }
    }
}
