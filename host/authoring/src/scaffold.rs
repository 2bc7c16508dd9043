//! The files of a new project, out of those in `sdk/` and `wit/` that the build put into this crate.

use crate::Error;
use crate::files::{below, text};
use std::collections::BTreeSet;

/// Templates that have another name.
const SHORT: [(&str, &str); 1] = [("check", "authorization")];

/// Languages that have an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, built by cargo.
    Rust,
    /// TypeScript or JavaScript, built by npm packages.
    Js,
    /// Python, built by componentize-py.
    Python,
    /// C, built by clang or zig.
    C,
    /// Go, built by its own compiler.
    Go,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::Js, Self::Python, Self::Go, Self::C];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
            Self::Go => "go",
        }
    }

    /// Other names that people type.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Js => &["ts", "javascript", "typescript"],
            Self::Python => &["py"],
            Self::Go => &["golang"],
            Self::Rust | Self::C => &[],
        }
    }
}

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

const KITS: [Kit; 5] = [
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
            ("wit/filter/", "wit/deps/filter/"),
            ("wit/extension/", "wit/deps/extension/"),
            ("sdk/js/", "vendor/osier-plugin/"),
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
            ("wit/filter/", "wit/deps/filter/"),
            ("wit/extension/", "wit/deps/extension/"),
            ("sdk/python/osier_plugin/", "vendor/osier_plugin/"),
            (
                "sdk/templates/project/python/requirements.txt",
                "requirements.txt",
            ),
            ("sdk/templates/project/python/gitignore", ".gitignore"),
        ],
        world: true,
    },
    Kit {
        language: Language::Go,
        title: "Go",
        source: ("main.go", "main.go"),
        copies: &[
            ("sdk/go/", "osier/"),
            ("sdk/templates/project/go/go.mod", "go.mod"),
            ("sdk/templates/project/go/gitignore", ".gitignore"),
        ],
        world: false,
    },
    Kit {
        language: Language::C,
        title: "C",
        source: ("plugin.c", "src/plugin.c"),
        copies: &[
            ("wit/policy/", "wit/deps/policy/"),
            ("wit/filter/", "wit/deps/filter/"),
            ("wit/extension/", "wit/deps/extension/"),
            ("sdk/c/osier/", "vendor/osier/"),
            ("sdk/c/README.md", "vendor/osier/README.md"),
            ("sdk/templates/project/c/gitignore", ".gitignore"),
        ],
        world: true,
    },
];

/// Files that are the same in every language.
const SHARED: [(&str, &str); 4] = [
    (
        "sdk/templates/{{template}}/config.schema.json",
        "config.schema.json",
    ),
    (
        "sdk/templates/{{template}}/fixture.yaml",
        "fixtures/basic.yaml",
    ),
    ("sdk/templates/{{template}}/plugin.yaml", "plugin.yaml"),
    ("sdk/templates/project/README.md", "README.md"),
];

/// The files of a project by path, with the name at its places.
///
/// # Errors
/// If the language has no such template.
pub fn project(
    name: &str,
    template: &str,
    language: Language,
) -> Result<Vec<(String, String)>, Error> {
    let kit = kit(language);
    let short = SHORT.iter().find(|(short, _)| *short == template);
    let template = short.map_or(template, |(_, full)| full);
    let place = format!("sdk/templates/{template}/");
    let source = text(&format!("{place}{}", kit.source.0));
    let source = source.ok_or_else(|| Error::Template {
        template: template.to_owned(),
        language: language.name(),
        known: templates(language)
            .into_iter()
            .collect::<Vec<_>>()
            .join(", "),
    })?;
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{template}}", template)
            .replace("{{language}}", kit.title)
            .replace("{{source}}", kit.source.1)
    };
    let mut files = vec![(kit.source.1.to_owned(), fill(source))];
    for (from, to) in SHARED {
        let from = text(&from.replace("{{template}}", template));
        files.extend(from.map(|text| (to.to_owned(), fill(text))));
    }
    copied(kit, &fill, &mut files);
    if kit.world {
        files.push(("wit/plugin.wit".to_owned(), world(template, source)));
    }
    Ok(files)
}

/// What goes along with every project of a language.
fn copied(kit: &Kit, fill: &dyn Fn(&str) -> String, files: &mut Vec<(String, String)>) {
    for (from, to) in kit.copies {
        for (rest, text) in below(from).filter(|(rest, _)| !rest.starts_with("examples/")) {
            // The vendored parts stay as they are: names in braces are theirs.
            let text = match from.starts_with("sdk/templates/") {
                true => fill(text),
                false => text.to_owned(),
            };
            files.push((format!("{to}{rest}"), text));
        }
    }
}

fn kit(language: Language) -> &'static Kit {
    let found = KITS.iter().find(|kit| kit.language == language);
    found.unwrap_or(&KITS[0])
}

/// The world of a plugin in a language whose tools want one. What it imports must be granted, so it imports no more than the source uses.
fn world(template: &str, source: &str) -> String {
    let used = |(_, signs): &&(&str, &[&str])| signs.iter().any(|sign| source.contains(sign));
    let import = |(name, _): &(&str, &[&str])| format!("    import osier:policy/{name}@0.1.0;\n");
    let imports: String = CAPABILITIES.iter().filter(used).map(import).collect();
    let export = match template {
        "filter" => "osier:filter/request".to_owned(),
        "route" | "balance" | "admit" | "schedule" => format!("osier:extension/{template}"),
        template => format!("osier:policy/{template}"),
    };
    format!(
        "package local:plugin;\n\n/// What this plugin imports (each needs a grant) and exports.\nworld plugin {{\n{imports}    export osier:policy/configuration@0.1.0;\n    export {export}@0.1.0;\n}}\n"
    )
}

/// What the host offers, and by what a source shows that it uses it.
const CAPABILITIES: [(&str, &[&str]); 4] = [
    (
        "counters",
        &["osier-plugin/counters", "quota import", "osier/counters.h"],
    ),
    (
        "http",
        &["osier-plugin/http", "osier_plugin.http", "osier/http.h"],
    ),
    (
        "log",
        &["osier-plugin/log", "osier_plugin.log", "osier/log.h"],
    ),
    (
        "metrics",
        &[
            "osier-plugin/metrics",
            "osier_plugin.metrics",
            "osier/metrics.h",
        ],
    ),
];

/// Templates that a language has.
#[must_use]
pub fn templates(language: Language) -> BTreeSet<&'static str> {
    let source = kit(language).source.0;
    let folder = |path: &'static str| path.strip_suffix(source)?.strip_suffix('/');
    let all = below("sdk/templates/").filter_map(|(path, _)| folder(path));
    all.filter(|name| !name.contains('/')).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_language_has_every_template_whole() {
        let rust = templates(Language::Rust);
        assert!(
            rust.contains("authorization") && rust.contains("quota"),
            "{rust:?}"
        );
        for kit in &KITS {
            for template in templates(kit.language) {
                let files = project("mine", template, kit.language).unwrap();
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
                // Go's packages say the world.
                assert!(
                    kit.language == Language::Go
                        || files.iter().any(
                            |(path, _)| path.starts_with("wit/") && path.ends_with("types.wit")
                        )
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
                    .filter(|(path, text)| {
                        let own = !path.starts_with("vendor/") && !path.starts_with("osier/");
                        own && text.contains("{{")
                    })
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
    fn a_wrong_template_is_refused_with_what_there_is() {
        let error = project("mine", "quotum", Language::Rust).unwrap_err();
        assert!(error.to_string().contains("quota"), "{error}");
    }

    #[test]
    fn only_what_is_used_is_imported() {
        let world = |template| {
            project("mine", template, Language::Python)
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
