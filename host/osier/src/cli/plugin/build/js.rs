//! JavaScript and TypeScript: rolldown makes one module, componentize-qjs makes a component of it with QuickJS inside.

mod again;
mod bundler;

use super::super::project::Project;
use super::steps::{self, Tool};
pub(super) use again::{Again, Failure};
use std::path::{Path, PathBuf};

const NPM: Tool = Tool {
    program: "npm",
    remedy: "install Node.js 20 or newer (https://nodejs.org, or `apt-get install nodejs npm`)",
};
const ROLLDOWN: Tool = Tool {
    program: "rolldown",
    remedy: "run `npm install` in the project",
};
const COMPONENTIZE: Tool = Tool {
    program: "componentize-qjs",
    remedy: "run `npm install` in the project",
};

/// Builds and says where the component is.
pub(super) fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let dir = &project.dir;
    tools_are_there(project)?;
    let bundle = [
        "src/plugin.ts",
        "--format",
        "esm",
        "--external",
        "osier:policy/counters@0.1.0",
        "--external",
        "osier:policy/http@0.1.0",
        "--external",
        "osier:policy/log@0.1.0",
        "--external",
        "osier:policy/metrics@0.1.0",
        "--file",
        "build/plugin.mjs",
        "--log-level",
        "warn",
    ];
    steps::run(&steps::find(&ROLLDOWN, &own(project))?, &bundle, dir)?;
    let (text, made) = (Path::new("build/plugin.mjs"), "build/plugin.qjs.wasm");
    componentize(project, (text, Path::new(made)), &["--minify"])?;
    Ok(dir.join(made))
}

/// Fetches the tools of the project, unless they are there.
pub(super) fn tools_are_there(project: &Project) -> anyhow::Result<()> {
    if steps::find(&COMPONENTIZE, &own(project)).is_ok() {
        return Ok(());
    }
    let install = ["install", "--no-audit", "--no-fund"];
    steps::run(&steps::find(&NPM, &[])?, &install, &project.dir)
}

/// Where npm puts programs.
fn own(project: &Project) -> [PathBuf; 1] {
    [project.dir.join("node_modules/.bin")]
}

/// From one module to a component.
fn componentize(
    project: &Project,
    (text, made): (&Path, &Path),
    more: &[&str],
) -> anyhow::Result<()> {
    let (text, made) = (text.to_string_lossy(), made.to_string_lossy());
    let fixed = [
        "--wit",
        "wit",
        "--world",
        "plugin",
        "--js",
        &*text,
        "--sync",
        "--stub-wasi",
        "--opt-size",
        "--output",
        &*made,
    ];
    let arguments = [&fixed[..], more].concat();
    let program = steps::find(&COMPONENTIZE, &own(project))?;
    steps::run(&program, &arguments, &project.dir)
}
