//! `osier plugin`, as it is typed.

use super::{Access, Connection, Output};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use osier_authoring::Language;
use std::path::PathBuf;

/// `osier plugin`.
#[derive(Args, Debug)]
pub(crate) struct Plugin {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

/// The subcommands of `osier plugin`.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Write a new plugin project that builds with the language's own tools.
    #[command(after_help = NEW_EXAMPLES)]
    New(New),
    /// Build a plugin project into one component, build/NAME.wasm.
    #[command(
        after_help = "Examples:\n  osier plugin build\n  osier plugin build office-hours -o json"
    )]
    Build(Build),
    /// Show what a component answers, what it would have to be granted, its schema, size and digest, before anyone installs it.
    #[command(
        after_help = "Examples:\n  osier plugin inspect build/office-hours.wasm\n  osier plugin inspect build/office-hours.wasm -o json"
    )]
    Inspect(Inspect),
    /// Run a plugin against fixtures (attributes in, verdict out) on the engine that production uses.
    #[command(after_help = TEST_EXAMPLES)]
    Test(Test),
    /// Measure calls per second, the time of a call, and memory, with the cases of the fixtures.
    #[command(
        after_help = "Examples:\n  osier plugin bench\n  osier plugin bench office-hours --seconds 10 -o json"
    )]
    Bench(Bench),
    /// Put the same calls to two versions of a plugin and show what they answer differently.
    #[command(
        after_help = "Example:\n  osier plugin replay guests-1.wasm guests-2.wasm --fixtures calls.yaml\n\nTemplates, hooks and middlewares of wasi:http. Exit code 1 if any call is answered differently, or by neither."
    )]
    Replay(Replay),
    /// Bring a component to a registry, from where Plugins of any node can name it as `image:`.
    #[command(
        after_help = "Example:\n  osier plugin push build/office-hours.wasm registry.example/policies/office-hours:1"
    )]
    Push(Push),
    /// Build and swap the plugin into a running node whenever a file is saved.
    #[command(after_help = DEV_EXAMPLES)]
    Dev(Dev),
}

const NEW_EXAMPLES: &str = "Examples:
  osier plugin new office-hours --template authorization --lang rust
  osier plugin new limit --template quota --lang js
  osier plugin new json-only --template filter --lang go
  osier plugin new --list                     show templates and languages

Then:
  cd office-hours && osier plugin build && osier plugin test";

const TEST_EXAMPLES: &str = "Examples:
  osier plugin test                           the project here: build/NAME.wasm with fixtures/*.yaml
  osier plugin test office-hours
  osier plugin test plugin.wasm --fixtures cases.yaml -o json

A fixture:
  plugin: {config: {allow: [alice]}}          as in a Plugin object's spec, without the image
  action: {template: listentry, fields: {value: 'request.headers[\"x-user\"].orValue(\"\")'}}
  cases:
  - name: alice passes
    attributes: {request.headers: {x-user: alice}}
    expect: {verdict: allow}
  - name: others do not
    attributes: {request.headers: {x-user: mallory}}
    expect: {verdict: deny, status: 403}";

const DEV_EXAMPLES: &str = "Examples:
  osier plugin dev                            the project here, into the node of ~/.osier
  osier plugin dev office-hours --once        build and swap once

Applies plugin.yaml with the Plugin object's image and digest set to what was built (build/NAME.dev.wasm, which is not what `osier plugin
build` makes), and says where the time went. If it does not build or load, the version before serves on.";

/// `osier plugin new`.
#[derive(Args, Debug)]
pub(crate) struct New {
    /// Name of the plugin and of the folder that is made.
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// What the plugin is asked (`--list` shows all); `check` is short for authorization.
    #[arg(short, long, default_value = "check")]
    pub(crate) template: String,
    /// The language.
    #[arg(short, long, default_value = "rust", value_parser = languages())]
    pub(crate) lang: Language,
    /// Show the templates and languages.
    #[arg(long)]
    pub(crate) list: bool,
}

/// The languages, by name and alias.
fn languages() -> impl TypedValueParser<Value = Language> {
    let value = |language: Language| {
        PossibleValue::new(language.name()).aliases(language.aliases().iter().copied())
    };
    PossibleValuesParser::new(Language::ALL.map(value)).map(|typed| {
        let known = |language: &Language| {
            language.name() == typed || language.aliases().contains(&typed.as_str())
        };
        let found = Language::ALL.into_iter().find(known);
        found.unwrap_or(Language::Rust)
    })
}

/// `osier plugin build`.
#[derive(Args, Debug)]
pub(crate) struct Build {
    /// The project.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// `json` for machines.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
}

/// `osier plugin inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A component.
    pub(crate) file: PathBuf,
    /// `json` for machines.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// Where compiled code is kept [default: that of the node in ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `osier plugin test`.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// A project, or a component.
    #[arg(default_value = ".")]
    pub(crate) plugin: PathBuf,
    /// A fixture or a directory of fixtures; may be repeated [default: fixtures/ of the project].
    #[arg(short, long, value_name = "PATH")]
    pub(crate) fixtures: Vec<PathBuf>,
    /// `json` for machines.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// Where compiled code is kept [default: that of the node in ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `osier plugin bench`.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// A project, or a component.
    #[arg(default_value = ".")]
    pub(crate) plugin: PathBuf,
    /// A fixture or a directory of fixtures; may be repeated [default: fixtures/ of the project].
    #[arg(short, long, value_name = "PATH")]
    pub(crate) fixtures: Vec<PathBuf>,
    /// How long is measured, all cases together.
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub(crate) seconds: f64,
    /// `json` for machines.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// Where compiled code is kept [default: that of the node in ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be a number of seconds from 0.01 to 3600".to_owned()),
    }
}

/// `osier plugin replay`.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The version that runs today.
    pub(crate) before: PathBuf,
    /// The version to be.
    pub(crate) after: PathBuf,
    /// A fixture or a directory of fixtures, for their calls; may be repeated.
    #[arg(short, long, value_name = "PATH", required = true)]
    pub(crate) fixtures: Vec<PathBuf>,
    /// `json` for machines.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    /// Where compiled code is kept [default: that of the node in ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// `osier plugin dev`.
#[derive(Args, Debug)]
pub(crate) struct Dev {
    /// The project.
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Build and swap once, then end.
    #[arg(long)]
    pub(crate) once: bool,
    /// The node's data directory [default: ~/.osier].
    #[arg(long, value_name = "DIR", env = "OSIER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How to reach the API.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `osier plugin push`.
#[derive(Args, Debug)]
pub(crate) struct Push {
    /// The component.
    pub(crate) file: PathBuf,
    /// HOST[:PORT]/PATH[:TAG]
    pub(crate) reference: String,
    /// How registries are reached.
    #[command(flatten)]
    pub(crate) access: Access,
}
