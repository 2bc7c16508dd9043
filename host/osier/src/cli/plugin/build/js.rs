//! JavaScript and TypeScript: rolldown makes one module, componentize-qjs makes a component of it with QuickJS inside.

use super::super::project::Project;
use super::steps::{self, Tool};
use std::path::PathBuf;

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
    let own = [dir.join("node_modules/.bin")];
    if steps::find(&COMPONENTIZE, &own).is_err() {
        steps::run(
            &steps::find(&NPM, &[])?,
            &["install", "--no-audit", "--no-fund"],
            dir,
        )?;
    }
    let bundle = [
        "src/plugin.ts",
        "--format",
        "esm",
        "--external",
        "osier:policy/counters@0.1.0",
        "--external",
        "osier:policy/log@0.1.0",
        "--external",
        "osier:policy/metrics@0.1.0",
        "--file",
        "build/plugin.mjs",
        "--log-level",
        "warn",
    ];
    steps::run(&steps::find(&ROLLDOWN, &own)?, &bundle, dir)?;
    let made = "build/plugin.qjs.wasm";
    let componentize = [
        "--wit",
        "wit",
        "--world",
        "plugin",
        "--js",
        "build/plugin.mjs",
        "--sync",
        "--stub-wasi",
        "--opt-size",
        "--minify",
        "--output",
        made,
    ];
    steps::run(&steps::find(&COMPONENTIZE, &own)?, &componentize, dir)?;
    Ok(dir.join(made))
}
