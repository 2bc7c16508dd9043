//! Bundles the texts of `wit` and `sdk`, of which projects are made.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Texts by how their names end, and files that have none.
const TEXTS: [&str; 12] = [
    "rs", "toml", "ts", "json", "py", "txt", "c", "h", "go", "mod", "yaml", "wit",
];
const NAMED: [&str; 2] = ["README.md", "gitignore"];
/// Folders that builds leave behind.
const LEFT_BEHIND: [&str; 4] = ["target", "node_modules", "build", "__pycache__"];

fn main() -> std::io::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["wit", "sdk"] {
        let folder = workspace.join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        walk(&folder, &mut found)?;
    }
    found.sort();
    let mut table = String::from("&[");
    for path in &found {
        let name = path.strip_prefix(&workspace).unwrap_or(path);
        let name = name.to_string_lossy();
        let _infallible = write!(table, "({name:?}, include_str!({path:?})),");
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    std::fs::write(out.unwrap_or_default().join("files.rs"), table)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() && !LEFT_BEHIND.contains(&&*name) && !name.starts_with('.') {
            walk(&path, found)?;
        } else if path.is_file() && is_text(&path, &name) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_text(path: &Path, name: &str) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    TEXTS.contains(&&*ending) || NAMED.contains(&name)
}
