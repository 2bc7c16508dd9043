//! Python: componentize-py makes a component with CPython inside.

use super::super::project::Project;
use super::steps::{self, PYTHON, Tool};
use std::path::PathBuf;

const COMPONENTIZE: Tool = Tool {
    program: "componentize-py",
    remedy: "run `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` in the project",
};

/// Builds and says where the component is.
pub(super) fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let dir = &project.dir;
    let own = [dir.join(".venv/bin")];
    if steps::find(&COMPONENTIZE, &own).is_err() {
        steps::run(&steps::find(&PYTHON, &[])?, &["-m", "venv", ".venv"], dir)?;
        let pip = dir.join(".venv/bin/pip");
        steps::run(
            &pip,
            &["install", "--quiet", "--requirement", "requirements.txt"],
            dir,
        )?;
    }
    let made = "build/plugin.py.wasm";
    let componentize = [
        "--wit-path",
        "wit",
        "--world",
        "plugin",
        "componentize",
        "--stub-wasi",
        "--python-path",
        "src",
        "--python-path",
        "vendor",
        "app",
        "--output",
        made,
    ];
    steps::run(&steps::find(&COMPONENTIZE, &own)?, &componentize, dir)?;
    Ok(dir.join(made))
}
