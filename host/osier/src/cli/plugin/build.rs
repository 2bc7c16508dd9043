//! `osier plugin build`: runs the language's own tools, and says what is missing and how to get it.

mod c;
mod go;
mod js;
mod python;
mod rust;
mod steps;

use super::project::Project;
use crate::arguments::{Build, Output};
use anyhow::Context as _;
use osier_authoring::Language;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Custom section with the JSON Schema of the configuration.
const SCHEMA_SECTION: &str = "osier.config_schema";
/// The file that becomes the section.
const SCHEMA_FILE: &str = "config.schema.json";

/// How a build is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Everything is checked first.
    Whole,
    /// The next save is waited for: what was checked at the first build is not checked again.
    Fast,
}

/// What was built.
pub(super) struct Built {
    /// Where it is.
    pub(super) file: PathBuf,
    /// Its bytes.
    pub(super) wasm: Vec<u8>,
}

/// Builds a project.
pub(super) fn run(arguments: &Build) -> anyhow::Result<()> {
    let begun = Instant::now();
    let built = build(&Project::open(&arguments.dir)?, Pace::Whole)?;
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
pub(super) fn build(project: &Project, pace: Pace) -> anyhow::Result<Built> {
    let file = project.component();
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let made = match project.language {
        Language::Rust => rust::build(project, pace)?,
        Language::Js => js::build(project)?,
        Language::Python => python::build(project)?,
        Language::C => c::build(project)?,
        Language::Go => go::build(project)?,
    };
    let mut wasm = std::fs::read(&made).with_context(|| made.display().to_string())?;
    if let Ok(schema) = std::fs::read(project.dir.join(SCHEMA_FILE)) {
        let _is_json: serde_json::Value =
            serde_json::from_slice(&schema).with_context(|| format!("{SCHEMA_FILE} is no JSON"))?;
        osier_authoring::attach(&mut wasm, SCHEMA_SECTION, &schema);
    }
    std::fs::write(&file, &wasm).with_context(|| file.display().to_string())?;
    Ok(Built { file, wasm })
}
