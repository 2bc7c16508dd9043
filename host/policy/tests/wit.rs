//! The WIT packages are contracts: what they say, comments and layout aside, changes only together with the golden file and the version.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

/// The text without comments and white space, declarations kept in order, files in order of their names.
fn normalised(folder: &Path) -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    let mut text = String::new();
    for path in files {
        text.push_str(&format!(
            "// {}\n",
            path.file_name().unwrap().to_str().unwrap()
        ));
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let code = line.split("//").next().unwrap_or_default().trim();
            if !code.is_empty() {
                text.push_str(code);
                text.push('\n');
            }
        }
    }
    text
}

#[test]
fn the_contracts_have_not_drifted() {
    for package in ["policy", "filter", "extension"] {
        held(package);
    }
}

fn held(package: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = normalised(&root.join("../../wit").join(package));
    let golden = root.join(format!("tests/golden/{package}-0.1.0.txt"));
    if std::env::var_os("OSIER_BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(
        found, expected,
        "wit/{package} changed. Plugins built against osier:{package}@0.1.0 exist: add functions or interfaces, never fields; \
         then run this test with OSIER_BLESS=1 and explain the change in the commit"
    );
}
