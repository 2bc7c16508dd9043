//! What `cargo xtask build` left behind: the binary, the components, and the folders around them.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The target directory, where builds and caches live.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The `osier` binary: `OSIER_BIN` if set, else the one of the dev profile.
pub fn binary() -> Result<PathBuf> {
    let path =
        std::env::var_os("OSIER_BIN").map_or_else(|| target().join("debug/osier"), PathBuf::from);
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo xtask build`",
        path.display()
    );
    Ok(path)
}

/// A built component by its name, such as `bookinfo/details` or `plugins/denier`.
pub fn component(name: &str) -> Result<PathBuf> {
    let path = target().join("components").join(format!("{name}.wasm"));
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo xtask build`",
        path.display()
    );
    Ok(path)
}

/// A manifest of an example, such as `bookinfo/manifests/gateway.yaml`.
pub fn example(path: &str) -> PathBuf {
    workspace().join("examples").join(path)
}
