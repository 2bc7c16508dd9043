//! What a component is, read before anyone installs it: templates, what it imports and would have to be granted, schema, size, digest.

use osier_engine::plugin::{Need, Type};
use osier_engine::proxy_wasm;
use osier_engine::{ComponentError, Engine};
use serde_json::Value as Json;

use crate::plugin::{CONFIGURATION, read_schema};
use crate::template::{Template, default_expression, recognise, show};

/// What was read from a component.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Digest of the bytes, as `spec.digest` pins it.
    pub digest: String,
    /// Bytes of the file.
    pub size: usize,
    /// Linear memory of one instance before it runs, in bytes: the least that `spec.limits.memory` may be.
    pub memory: u64,
    /// Templates that policies can name.
    pub templates: Vec<TemplateShape>,
    /// Other exported interfaces, each with the reason why it is no template.
    pub others: Vec<String>,
    /// True if it takes a configuration.
    pub configurable: bool,
    /// JSON Schema of the configuration, if it carries one.
    pub schema: Option<Json>,
    /// What it imports.
    pub imports: Vec<Import>,
}

/// A template of a component.
#[derive(Clone, Debug)]
pub struct TemplateShape {
    /// Full name, `osier:policy/quota@0.1.0`.
    pub interface: String,
    /// The name that a policy's `template` may use.
    pub name: String,
    /// The function that is called.
    pub function: String,
    /// Fields of the record: dotted name, type as WIT writes it, and the expression that fills it when a policy does not say.
    pub fields: Vec<(String, String, Option<&'static str>)>,
}

/// An import of a component.
#[derive(Clone, Debug)]
pub struct Import {
    /// Full name.
    pub interface: String,
    /// What it needs.
    pub need: Need,
}

/// Reads a component. Blocking: a component that was never seen is compiled.
///
/// # Errors
/// If the bytes are no component.
pub fn inspect(engine: &Engine, wasm: &[u8]) -> Result<Inspection, ComponentError> {
    if proxy_wasm::is_module(wasm) {
        return inspect_module(engine, wasm);
    }
    let middleware = osier_engine::is_middleware(wasm);
    let component = engine.plugin(wasm)?;
    let (templates, mut others) = recognise(component.interfaces());
    if middleware {
        others = vec!["wasi:http/incoming-handler: hook filter (a middleware)".to_owned()];
    }
    let import = |(name, need): (&str, Need)| Import {
        interface: name.to_owned(),
        // The next step of the chain, and the clock by which it counts timeouts.
        need: match name.starts_with("wasi:http/") || name.starts_with("wasi:clocks/monotonic") {
            true if middleware => Need::Nothing,
            _ => need,
        },
    };
    Ok(Inspection {
        digest: component.digest().to_string(),
        size: wasm.len(),
        memory: component.initial_memory(),
        templates: templates.iter().map(shape).collect(),
        others,
        configurable: component
            .interfaces()
            .iter()
            .any(|interface| interface.name.starts_with(CONFIGURATION)),
        schema: read_schema(&component),
        imports: component.needs().into_iter().map(import).collect(),
    })
}

/// A module of proxy-wasm. All SDKs import the whole ABI, so that imports say little of what it uses.
fn inspect_module(engine: &Engine, wasm: &[u8]) -> Result<Inspection, ComponentError> {
    let module = engine.proxy_wasm(wasm)?;
    let import = |interface: String| Import {
        need: match interface.as_str() {
            "env.proxy_http_call" => {
                Need::Grant("if it calls upstreams, name them in spec.grants.http")
            }
            _ => Need::Nothing,
        },
        interface,
    };
    let callbacks = module.callbacks().join(", ");
    Ok(Inspection {
        digest: module.digest().to_string(),
        size: wasm.len(),
        memory: module.initial_memory(),
        templates: Vec::new(),
        others: vec![format!("{}: hook filter ({callbacks})", module.abi())],
        configurable: module.has("proxy_on_configure"),
        schema: None,
        imports: module.imports().into_iter().map(import).collect(),
    })
}

fn shape(template: &Template) -> TemplateShape {
    let mut fields = Vec::new();
    if let Some(record) = &template.record {
        flatten("", record, &mut fields);
    }
    let standard = template.is_standard();
    let default = |name: &str| default_expression(template.short(), name).filter(|_| standard);
    TemplateShape {
        interface: template.interface.clone(),
        name: template.short().to_owned(),
        function: template.function.clone(),
        fields: fields
            .into_iter()
            .map(|(name, ty)| {
                let default = default(&name);
                (name, ty, default)
            })
            .collect(),
    }
}

/// Records of records become dotted names, as policies write them; a record that one time or duration fills stays whole.
fn flatten(path: &str, ty: &Type, fields: &mut Vec<(String, String)>) {
    let Type::Record(record) = ty else {
        fields.push((path.to_owned(), show(ty)));
        return;
    };
    let moment = |name: &str| matches!(name, "seconds" | "nanoseconds");
    if !path.is_empty() && record.fields().all(|field| moment(field.name)) {
        let whole = if record.fields().len() == 2 {
            "timestamp"
        } else {
            "duration"
        };
        fields.push((path.to_owned(), whole.to_owned()));
        return;
    }
    for field in record.fields() {
        let path = if path.is_empty() {
            field.name.to_owned()
        } else {
            format!("{path}.{}", field.name)
        };
        flatten(&path, &field.ty, fields);
    }
}
