//! Rust: cargo and the target wasm32-wasip2.

use super::super::project::Project;
use super::steps::{self, Tool};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const TARGET: &str = "wasm32-wasip2";
const CARGO: Tool = Tool {
    program: "cargo",
    remedy: "install Rust from https://rustup.rs",
};
const RUSTC: Tool = Tool {
    program: "rustc",
    remedy: "install Rust from https://rustup.rs",
};

/// Arguments of every build.
const BUILD: [&str; 6] = [
    "build",
    "--release",
    "--target",
    TARGET,
    "--message-format",
    "json-render-diagnostics",
];
/// What differs while the plugin is written, of its own crate only, so that its dependencies are those of the release: the compiler keeps what
/// has not changed, and takes no pains with the rest.
const HASTE: [&str; 3] = ["incremental=true", "codegen-units=16", "opt-level=1"];

/// Builds and says where the component is.
pub(super) fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let cargo = steps::find(&CARGO, &[])?;
    target_is_there(&project.dir)?;
    made(&cargo, &BUILD, &project.dir)
}

/// Runs cargo and finds what it made.
fn made<S: AsRef<OsStr>>(cargo: &Path, arguments: &[S], dir: &Path) -> anyhow::Result<PathBuf> {
    let messages = steps::read(cargo, arguments, dir)?;
    let component = artifact(&String::from_utf8_lossy(&messages), dir);
    component.with_context(
        || "cargo built no .wasm: the package needs `[lib] crate-type = [\"cdylib\"]`",
    )
}

/// Builds at every save.
pub(in super::super) struct Again {
    cargo: PathBuf,
    arguments: Vec<String>,
}

impl Again {
    /// Looks once for what every build needs.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn new(project: &Project) -> anyhow::Result<Self> {
        let cargo = steps::find(&CARGO, &[])?;
        target_is_there(&project.dir)?;
        let package = package(&cargo, &project.dir)?;
        let mut arguments = BUILD.map(str::to_owned).to_vec();
        for setting in HASTE {
            let profile = format!("profile.release.package.{package:?}.{setting}");
            arguments.extend(["--config".to_owned(), profile]);
        }
        Ok(Self { cargo, arguments })
    }

    /// Builds and reads the component.
    pub(super) fn build(&self, project: &Project) -> anyhow::Result<Vec<u8>> {
        let made = made(&self.cargo, &self.arguments, &project.dir)?;
        std::fs::read(&made).with_context(|| made.display().to_string())
    }
}

/// The name of the package in a folder.
fn package(cargo: &Path, dir: &Path) -> anyhow::Result<String> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let told: Value = serde_json::from_slice(&steps::read(cargo, &arguments, dir)?)?;
    let manifest = dir.join("Cargo.toml");
    let mut packages = told["packages"].as_array().into_iter().flatten();
    let own = packages.find(|one| one["manifest_path"].as_str().map(Path::new) == Some(&manifest));
    let name = own.and_then(|one| one["name"].as_str()).map(str::to_owned);
    name.with_context(|| format!("{} is no package", manifest.display()))
}

fn target_is_there(dir: &Path) -> anyhow::Result<()> {
    let sysroot = steps::read(&steps::find(&RUSTC, &[])?, &["--print", "sysroot"], dir)?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        bail!("Rust cannot build components yet: run `rustup target add {TARGET}`");
    }
    Ok(())
}

/// The last component among cargo's messages that comes from a package in `dir`.
fn artifact(messages: &str, dir: &Path) -> Option<PathBuf> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = messages.filter(|message| {
        message["reason"] == "compiler-artifact"
            && Path::new(message["manifest_path"].as_str().unwrap_or_default()).parent()
                == Some(dir)
    });
    let files =
        own.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    let mut wasm = files
        .filter_map(|file| Some(PathBuf::from(file.as_str()?)))
        .filter(|file| file.extension().is_some_and(|end| end == "wasm"));
    wasm.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/p/vendor/x/Cargo.toml","filenames":["/p/target/x.wasm"]}
{"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/p/target/mine.wasm","/p/target/mine.d"]}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            artifact(messages, Path::new("/p")),
            Some(PathBuf::from("/p/target/mine.wasm"))
        );
        assert_eq!(artifact(messages, Path::new("/q")), None);
    }
}
