//! Bundles the first-party plugins: every `target/components/plugins/NAME.wasm` that `cargo xtask build` has made
//! becomes `builtin://NAME`. Without them the host still builds; `builtin://` then says what to do. Also bundles the texts of `wit` and `sdk`,
//! of which `osier plugin new` makes projects.

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
    std::fs::write(out.join("bundled.rs"), table)?;
    std::fs::write(out.join("authoring.rs"), texts(&workspace)?)
}

/// A table of the texts below `wit` and `sdk`, by path in the repository.
fn texts(workspace: &Path) -> std::io::Result<String> {
    let mut found = Vec::new();
    for folder in ["wit", "sdk"] {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(folder).display()
        );
        walk(&workspace.join(folder), &mut found)?;
    }
    found.sort();
    let mut table = String::from("&[");
    for path in &found {
        let name = path
            .strip_prefix(workspace)
            .unwrap_or(path)
            .to_string_lossy();
        let _infallible = write!(table, "({name:?}, include_str!({path:?})),");
    }
    table.push(']');
    Ok(table)
}

/// Text files, without what builds leave behind.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    const TEXTS: [&str; 11] = [
        "rs", "toml", "ts", "json", "py", "txt", "c", "h", "go", "yaml", "wit",
    ];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let left_behind =
            ["target", "node_modules", "build", "__pycache__"].contains(&name.as_str());
        let ending = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() && !left_behind && !name.starts_with('.') {
            walk(&path, found)?;
        } else if path.is_file()
            && (TEXTS.contains(&ending.as_str())
                || ["README.md", "gitignore"].contains(&name.as_str()))
        {
            found.push(path);
        }
    }
    Ok(())
}
