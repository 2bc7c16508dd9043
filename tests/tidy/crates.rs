//! The crate graph, as `Cargo.toml` files state it and as ARCHITECTURE.md allows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What one row of the table in ARCHITECTURE.md says.
pub(crate) struct Row {
    /// Internal crates that may be imported; none for "all".
    pub(crate) may: Option<BTreeSet<String>>,
    /// Words of the last column: crates, internal or not, that must not be imported.
    pub(crate) never: BTreeSet<String>,
}

/// The table of ARCHITECTURE.md by crate.
pub(crate) fn table(root: &Path) -> BTreeMap<String, Row> {
    let text = read(&root.join("ARCHITECTURE.md"));
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| crate | may import"));
    let mut table = BTreeMap::new();
    for line in rows.skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, may, never] = cells[..] else {
            panic!("ARCHITECTURE.md: a row without three cells: {line}")
        };
        let may = match may {
            "all" => None,
            "nothing internal" => Some(BTreeSet::new()),
            list => Some(words(list)),
        };
        table.insert(
            name.to_owned(),
            Row {
                may,
                never: words(never),
            },
        );
    }
    assert!(
        !table.is_empty(),
        "ARCHITECTURE.md has no table that starts with `| crate | may import`"
    );
    table
}

/// Dependencies by crate folder below `host`, without development dependencies.
pub(crate) fn dependencies(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let folders = root.join("host").read_dir().into_iter().flatten().flatten();
    folders
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| {
            let manifest = read(&entry.path().join("Cargo.toml"));
            (
                entry.file_name().to_string_lossy().into_owned(),
                direct(&manifest),
            )
        })
        .collect()
}

fn direct(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            found.insert(name.to_owned());
        }
    }
    found
}

fn words(list: &str) -> BTreeSet<String> {
    list.split([',', ' ', ';'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A file's text.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
