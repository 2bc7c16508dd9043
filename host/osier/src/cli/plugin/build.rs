//! `osier plugin build`: runs the language's own tools, and says what is missing and how to get it.

mod again;
mod c;
mod go;
mod js;
mod python;
mod rust;
mod steps;

use super::project::Project;
use crate::arguments::{Build, Output};
pub(super) use again::Again;
use anyhow::Context as _;
use osier_authoring::Language;
use serde_json::json;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

/// Custom section with the JSON Schema of the configuration.
const SCHEMA_SECTION: &str = "osier.config_schema";
/// The file that becomes the section.
const SCHEMA_FILE: &str = "config.schema.json";

/// What was built.
pub(super) struct Built {
    /// Where it is.
    pub(super) file: PathBuf,
    /// Its bytes.
    pub(super) wasm: Vec<u8>,
    /// A component from which it differs in one range only, if there is one.
    pub(super) like: Option<(Vec<u8>, Range<usize>)>,
}

/// Builds a project.
pub(super) fn run(arguments: &Build) -> anyhow::Result<()> {
    let begun = Instant::now();
    let built = build(&Project::open(&arguments.dir)?)?;
    let digest = osier_engine::Digest::of(&built.wasm);
    let file = built.file.display();
    match arguments.output {
        Some(Output::Json) => println!(
            "{}",
            serde_json::to_string_pretty(&json!({
                "file": file.to_string(), "digest": digest.to_string(), "size": built.wasm.len(), "seconds": begun.elapsed().as_secs_f64(),
            }))?
        ),
        None => println!(
            "{file}   {} bytes   {digest}   {:.1} s",
            built.wasm.len(),
            begun.elapsed().as_secs_f64()
        ),
    }
    Ok(())
}

/// Builds a project and puts its schema into the component.
pub(super) fn build(project: &Project) -> anyhow::Result<Built> {
    folder(project)?;
    let made = match project.language {
        Language::Rust => rust::build(project)?,
        Language::Js => js::build(project)?,
        Language::Python => python::build(project)?,
        Language::C => c::build(project)?,
        Language::Go => go::build(project)?,
    };
    let wasm = std::fs::read(&made).with_context(|| made.display().to_string())?;
    finish(project, wasm, project.component())
}

/// Where everything goes that a build makes.
fn folder(project: &Project) -> anyhow::Result<()> {
    let folder = project.dir.join("build");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// Puts the schema of the configuration into a component, and the component into its file.
fn finish(project: &Project, wasm: Vec<u8>, file: PathBuf) -> anyhow::Result<Built> {
    let wasm = configured(project, wasm)?;
    std::fs::write(&file, &wasm).with_context(|| file.display().to_string())?;
    Ok(Built {
        file,
        wasm,
        like: None,
    })
}

/// A component with the schema of the project.
fn configured(project: &Project, mut wasm: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if let Ok(schema) = std::fs::read(project.dir.join(SCHEMA_FILE)) {
        let _is_json: serde_json::Value =
            serde_json::from_slice(&schema).with_context(|| format!("{SCHEMA_FILE} is no JSON"))?;
        osier_authoring::attach(&mut wasm, SCHEMA_SECTION, &schema);
    }
    Ok(wasm)
}
