//! Bundles the first-party plugins: every `target/components/plugins/NAME.wasm` that `cargo xtask build` has made
//! becomes `builtin://NAME`. Without them the host still builds; `builtin://` then says what to do.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let components = std::env::var_os("OSIER_COMPONENTS").map_or_else(
        || workspace.join("target/components/plugins"),
        PathBuf::from,
    );
    println!("cargo:rerun-if-env-changed=OSIER_COMPONENTS");
    println!("cargo:rerun-if-changed={}", components.display());
    let mut found = Vec::new();
    if let Ok(entries) = std::fs::read_dir(&components) {
        for entry in entries {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                println!("cargo:rerun-if-changed={}", path.display());
                found.push(path.canonicalize()?);
            }
        }
    }
    found.sort();
    let mut table = String::from("&[");
    for path in &found {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let _infallible = write!(table, "({name:?}, include_bytes!({path:?})),");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    std::fs::write(out.join("bundled.rs"), table)
}
