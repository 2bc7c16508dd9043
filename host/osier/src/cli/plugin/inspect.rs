//! `osier plugin inspect`: what a component is, before anyone installs it.

use super::workbench;
use crate::arguments::{Inspect, Output};
use osier_engine::plugin::Need;
use osier_policy::{Import, Inspection, TemplateShape};
use serde_json::{Value, json};

/// Shows a component.
pub(super) fn run(arguments: &Inspect) -> anyhow::Result<()> {
    let engine = workbench::engine(arguments.data_dir.as_deref())?;
    let wasm = workbench::component(&engine, &arguments.file)?;
    let found = osier_policy::inspect(&engine, &wasm)?;
    match arguments.output {
        Some(Output::Json) => println!("{}", serde_json::to_string_pretty(&as_json(&found))?),
        None => print!("{}", as_text(&found)),
    }
    Ok(())
}

fn as_json(found: &Inspection) -> Value {
    let template = |template: &TemplateShape| {
        let field = |(name, ty, default): &(String, String, Option<&str>)| json!({"name": name, "type": ty, "default": default});
        json!({
            "name": template.name, "interface": template.interface, "function": template.function,
            "fields": template.fields.iter().map(field).collect::<Vec<_>>(),
        })
    };
    let import = |import: &Import| {
        let (needs, remedy) = match import.need {
            Need::Nothing => ("nothing", None),
            Need::Grant(remedy) => ("grant", Some(remedy)),
            Need::NotOffered => ("not offered", None),
        };
        json!({"interface": import.interface, "needs": needs, "remedy": remedy})
    };
    json!({
        "digest": found.digest, "size": found.size, "memory": found.memory, "configurable": found.configurable, "schema": found.schema,
        "templates": found.templates.iter().map(template).collect::<Vec<_>>(),
        "otherExports": found.others,
        "imports": found.imports.iter().map(import).collect::<Vec<_>>(),
    })
}

fn as_text(found: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<10} {value}\n"));
    line("Digest", &found.digest);
    line("Size", &bytes(found.size as u64));
    line(
        "Memory",
        &format!(
            "{} before it runs; spec.limits.memory must be more (16Mi unless set)",
            bytes(found.memory)
        ),
    );
    for template in &found.templates {
        line(
            "Template",
            &format!("{}   {}", template.name, template.interface),
        );
        for (name, ty, default) in &template.fields {
            let default = default.map_or_else(String::new, |default| format!("   = {default}"));
            line("", &format!("  {name}: {ty}{default}"));
        }
    }
    let module = (found.others.iter())
        .any(|other| other.starts_with("proxy-wasm ") || other.ends_with("(a middleware)"));
    if found.templates.is_empty() && !module {
        line("Template", "none: no policy can ask it");
    }
    for other in &found.others {
        line("Export", other);
    }
    line("Config", config(found));
    for (name, ty) in found.schema.iter().flat_map(properties) {
        line("", &format!("  {name}: {ty}"));
    }
    let needed: Vec<&Import> = found
        .imports
        .iter()
        .filter(|import| import.need != Need::Nothing)
        .collect();
    if needed.is_empty() {
        line("Grants", "none: it reaches nothing outside");
    }
    for import in needed {
        let need = match import.need {
            Need::Grant(remedy) => remedy,
            _ => "is offered to no plugin, so it will not load",
        };
        line("Grants", &format!("{}   {need}", import.interface));
    }
    text
}

fn config(found: &Inspection) -> &'static str {
    match (found.configurable, &found.schema) {
        (false, _) => "none",
        (true, None) => "checked by the plugin itself; it carries no schema",
        (true, Some(_)) => "checked against its schema, then by the plugin itself",
    }
}

/// The fields of an object's schema.
fn properties(schema: &Value) -> Vec<(String, String)> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let property = |(name, property): (&String, &Value)| {
        let ty = property["type"].as_str().unwrap_or("any").to_owned();
        let must = if required.iter().any(|required| required == name) {
            ", required"
        } else {
            ""
        };
        let words = property["description"]
            .as_str()
            .map_or_else(String::new, |words| format!("   {words}"));
        (name.clone(), format!("{ty}{must}{words}"))
    };
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(property)
        .collect()
}

/// A size as people read it.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_shown_with_what_to_write() {
        let found = Inspection {
            digest: "sha256:0".into(),
            size: 2048,
            memory: 1 << 20,
            templates: vec![TemplateShape {
                interface: "osier:policy/listentry@0.1.0".into(),
                name: "listentry".into(),
                function: "check".into(),
                fields: vec![("value".into(), "string".into(), None)],
            }],
            others: vec![],
            configurable: true,
            schema: Some(
                json!({"properties": {"allow": {"type": "array", "description": "who passes"}}, "required": ["allow"]}),
            ),
            imports: vec![
                Import {
                    interface: "osier:policy/counters@0.1.0".into(),
                    need: Need::Grant("name its buckets"),
                },
                Import {
                    interface: "wasi:io/error@0.2.6".into(),
                    need: Need::Nothing,
                },
            ],
        };
        let text = as_text(&found);
        for wanted in [
            "2.0 KiB",
            "1.0 MiB",
            "  value: string",
            "counters@0.1.0   name its buckets",
            "allow: array, required   who passes",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        assert!(!text.contains("wasi:io"), "{text}");
        assert_eq!(as_json(&found)["imports"][1]["needs"], "nothing");
    }
}
