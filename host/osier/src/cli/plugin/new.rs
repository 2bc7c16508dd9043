//! `osier plugin new`: a project out of the files in `sdk/` and `wit/` that the build put into this binary.

use crate::arguments::{Language, New};
use anyhow::{Context as _, bail};
use std::collections::BTreeSet;
use std::path::Path;

/// Every file of `wit` and `sdk`, by path in the repository.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/authoring.rs"));

/// Templates that have another name.
const SHORT: [(&str, &str); 1] = [("check", "authorization")];

/// What differs between languages: the plugin's file below `sdk/templates/TEMPLATE`, where it goes, and what goes along.
struct Kit {
    language: Language,
    title: &'static str,
    source: (&'static str, &'static str),
    /// From where in the repository to where in the project.
    copies: &'static [(&'static str, &'static str)],
    /// Whether the project has a world of its own.
    world: bool,
}

const KITS: [Kit; 3] = [
    Kit {
        language: Language::Rust,
        title: "Rust",
        source: ("lib.rs", "src/lib.rs"),
        copies: &[
            ("wit/policy/", "wit/policy/"),
            // The SDK speaks of every hook, whatever the project uses.
            ("wit/filter/", "wit/filter/"),
            ("wit/extension/", "wit/extension/"),
            ("sdk/rust/src/", "vendor/osier-plugin/src/"),
            ("sdk/rust/README.md", "vendor/osier-plugin/README.md"),
            (
                "sdk/templates/project/rust/sdk.toml",
                "vendor/osier-plugin/Cargo.toml",
            ),
            ("sdk/templates/project/rust/Cargo.toml", "Cargo.toml"),
            ("sdk/templates/project/rust/gitignore", ".gitignore"),
        ],
        world: false,
    },
    Kit {
        language: Language::Js,
        title: "TypeScript",
        source: ("plugin.ts", "src/plugin.ts"),
        copies: &[
            ("wit/policy/", "wit/deps/policy/"),
            ("sdk/js/index.ts", "vendor/osier-plugin/index.ts"),
            ("sdk/js/counters.ts", "vendor/osier-plugin/counters.ts"),
            ("sdk/js/log.ts", "vendor/osier-plugin/log.ts"),
            ("sdk/js/metrics.ts", "vendor/osier-plugin/metrics.ts"),
            ("sdk/js/package.json", "vendor/osier-plugin/package.json"),
            ("sdk/templates/project/js/package.json", "package.json"),
            ("sdk/templates/project/js/gitignore", ".gitignore"),
        ],
        world: true,
    },
    Kit {
        language: Language::Python,
        title: "Python",
        source: ("app.py", "src/app.py"),
        copies: &[
            ("wit/policy/", "wit/deps/policy/"),
            ("sdk/python/osier_plugin/", "vendor/osier_plugin/"),
            (
                "sdk/templates/project/python/requirements.txt",
                "requirements.txt",
            ),
            ("sdk/templates/project/python/gitignore", ".gitignore"),
        ],
        world: true,
    },
];

/// Files of a template that are the same in every language.
const SHARED: [(&str, &str); 3] = [
    ("config.schema.json", "config.schema.json"),
    ("fixture.yaml", "fixtures/basic.yaml"),
    ("plugin.yaml", "plugin.yaml"),
];

/// Writes a project, or shows what there is.
pub(super) fn run(new: &New) -> anyhow::Result<()> {
    let (Some(name), false) = (&new.name, new.list) else {
        show();
        return Ok(());
    };
    let dir = Path::new(name);
    let folder = dir.file_name().unwrap_or_default().to_string_lossy();
    named(&folder)?;
    let files = files(&folder, &new.template, new.lang)?;
    if dir.exists() {
        bail!("{name} is there already; choose another name or remove it");
    }
    for (path, text) in &files {
        let file = dir.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    println!(
        "{name}: {} files\n\nNext:\n  cd {name}\n  osier plugin build\n  osier plugin test",
        files.len()
    );
    Ok(())
}

/// The files of a project by path, with the name at its places.
fn files(name: &str, template: &str, language: Language) -> anyhow::Result<Vec<(String, String)>> {
    let template = SHORT
        .iter()
        .find(|(short, _)| *short == template)
        .map_or(template, |(_, full)| full);
    let kit = KITS
        .iter()
        .find(|kit| kit.language == language)
        .context("no such language")?;
    let place = format!("sdk/templates/{template}/");
    let Some(source) = embedded(&format!("{place}{}", kit.source.0)) else {
        bail!(
            "no template `{template}` in {}; there are {}",
            language.name(),
            templates(kit).into_iter().collect::<Vec<_>>().join(", ")
        );
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{template}}", template)
            .replace("{{language}}", kit.title)
            .replace("{{source}}", kit.source.1)
    };
    let mut files = vec![(kit.source.1.to_owned(), fill(source))];
    for (from, to) in SHARED {
        files.extend(embedded(&format!("{place}{from}")).map(|text| (to.to_owned(), fill(text))));
    }
    files.extend(
        embedded("sdk/templates/project/README.md")
            .map(|text| ("README.md".to_owned(), fill(text))),
    );
    for (from, to) in kit.copies {
        let below = FILES
            .iter()
            .filter_map(|(path, text)| Some((path.strip_prefix(from)?, *text)));
        // The vendored parts stay as they are: names in braces are theirs.
        let keep = |text: &str| {
            if from.starts_with("sdk/templates/") {
                fill(text)
            } else {
                text.to_owned()
            }
        };
        files.extend(below.map(|(rest, text)| (format!("{to}{rest}"), keep(text))));
    }
    if kit.world {
        files.push(("wit/plugin.wit".to_owned(), world(template, source)));
    }
    Ok(files)
}

/// The world of a plugin in a language whose tools want one. What it imports must be granted, so it imports no more than the source uses.
fn world(template: &str, source: &str) -> String {
    let used = |(_, signs): &&(&str, &[&str])| signs.iter().any(|sign| source.contains(sign));
    let import = |(name, _): &(&str, &[&str])| format!("    import osier:policy/{name}@0.1.0;\n");
    let imports: String = CAPABILITIES.iter().filter(used).map(import).collect();
    format!(
        "package local:plugin;\n\n/// What this plugin imports (each needs a grant) and exports.\nworld plugin {{\n{imports}    export osier:policy/configuration@0.1.0;\n    export osier:policy/{template}@0.1.0;\n}}\n"
    )
}

/// What the host offers, and by what a source shows that it uses it.
const CAPABILITIES: [(&str, &[&str]); 3] = [
    ("counters", &["counters", "quota import"]),
    ("log", &["osier-plugin/log", "osier_plugin.log"]),
    ("metrics", &["osier-plugin/metrics", "osier_plugin.metrics"]),
];

fn embedded(path: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(known, _)| *known == path)
        .map(|(_, text)| *text)
}

/// Templates that a language has.
fn templates(kit: &Kit) -> BTreeSet<&'static str> {
    let file = format!("/{}", kit.source.0);
    let folder = |path: &'static str| {
        path.strip_prefix("sdk/templates/")?
            .strip_suffix(file.as_str())
    };
    FILES
        .iter()
        .filter_map(|(path, _)| folder(path))
        .filter(|name| !name.contains('/'))
        .collect()
}

fn show() {
    println!("{:<10} TEMPLATES", "LANGUAGE");
    for kit in &KITS {
        println!(
            "{:<10} {}",
            kit.language.name(),
            templates(kit).into_iter().collect::<Vec<_>>().join(", ")
        );
    }
}

/// A name that is good for a crate, a package and a Kubernetes object.
fn named(name: &str) -> anyhow::Result<()> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || !name.chars().all(word) || name.ends_with('-') || name.len() > 63 {
        bail!(
            "`{name}` cannot be the name of a plugin: use lower-case letters, digits and dashes, a letter first"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_language_has_every_template_whole() {
        let rust = templates(&KITS[0]);
        assert!(
            rust.contains("authorization") && rust.contains("quota"),
            "{rust:?}"
        );
        for kit in &KITS {
            for template in templates(kit) {
                let files = files("mine", template, kit.language).unwrap();
                let has = |path: &str| files.iter().any(|(known, _)| known == path);
                for wanted in [
                    kit.source.1,
                    "plugin.yaml",
                    "fixtures/basic.yaml",
                    "config.schema.json",
                    "README.md",
                    ".gitignore",
                ] {
                    assert!(has(wanted), "{} {template}: {wanted}", kit.title);
                }
                assert!(
                    files
                        .iter()
                        .any(|(path, _)| path.starts_with("wit/") && path.ends_with("types.wit"))
                );
                // A vendored SDK finds every package that its bindings are made of.
                for package in bindings(&files) {
                    let folder = format!("{package}/");
                    assert!(
                        files.iter().any(|(path, _)| path.starts_with(&folder)),
                        "{package}"
                    );
                }
                let left: Vec<_> = files
                    .iter()
                    .filter(|(path, text)| !path.starts_with("vendor/") && text.contains("{{"))
                    .collect();
                assert!(left.is_empty(), "{left:?}");
            }
        }
    }

    /// The folders that the Rust SDK in a project makes bindings of.
    fn bindings(files: &[(String, String)]) -> Vec<String> {
        let sdk = files
            .iter()
            .filter(|(path, _)| path.ends_with("bindings.rs"));
        let quoted = sdk.flat_map(|(_, text)| text.split('"'));
        quoted
            .filter_map(|text| text.strip_prefix("../../wit/"))
            .map(|package| format!("wit/{package}"))
            .collect()
    }

    #[test]
    fn a_wrong_name_or_template_is_refused_with_what_there_is() {
        for wrong in ["", "Mine", "a_b", "-a", "1a", "a-"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
        let error = files("mine", "quotum", Language::Rust)
            .unwrap_err()
            .to_string();
        assert!(error.contains("quota"), "{error}");
    }

    #[test]
    fn only_what_is_used_is_imported() {
        let world = |template| {
            files("mine", template, Language::Python)
                .unwrap()
                .into_iter()
                .find(|(path, _)| path == "wit/plugin.wit")
                .unwrap()
                .1
        };
        assert!(
            world("quota").contains("import osier:policy/counters")
                && !world("listentry").contains("import osier")
        );
    }
}
