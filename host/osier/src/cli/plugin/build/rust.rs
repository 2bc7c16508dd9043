//! Rust: cargo and the target wasm32-wasip2.

use super::super::project::Project;
use super::Pace;
use super::steps::{self, Tool};
use anyhow::{Context as _, bail};
use serde_json::Value;
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

/// Builds and says where the component is.
pub(super) fn build(project: &Project, pace: Pace) -> anyhow::Result<PathBuf> {
    let cargo = steps::find(&CARGO, &[])?;
    if pace == Pace::Whole || !project.component().is_file() {
        target_is_there(&project.dir)?;
    }
    let arguments = [
        "build",
        "--release",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ];
    let messages = steps::read(&cargo, &arguments, &project.dir)?;
    let component = artifact(&String::from_utf8_lossy(&messages), &project.dir);
    component.with_context(
        || "cargo built no .wasm: the package needs `[lib] crate-type = [\"cdylib\"]`",
    )
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
