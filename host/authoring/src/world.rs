//! The world of a module, read off what it imports and exports: Go's linker takes in a package with all that it exports, so the module says it all.

use crate::Error;
use crate::files;
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};
use wit_bindgen_core::wit_parser::{Resolve, WorldId};

/// The packages that a world may be made of, each after those that it uses.
const PACKAGES: [&str; 3] = ["wit/policy/", "wit/filter/", "wit/extension/"];

/// The interfaces that a core module imports and exports.
#[derive(Debug, Default, PartialEq, Eq)]
struct Interfaces {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

/// The world of a module.
///
/// # Errors
/// If it exports nothing, or an interface that there is not.
pub(crate) fn of(module: &[u8]) -> Result<(Resolve, WorldId), Error> {
    let found = interfaces(module)?;
    if found.exports.is_empty() {
        return Err(Error::Silent);
    }
    let mut resolve = Resolve::default();
    for package in PACKAGES {
        resolve
            .push_source(package, &whole(package))
            .map_err(Error::wit)?;
    }
    let own = resolve.push_source("plugin.wit", &text(&found));
    let own = own.map_err(Error::wit)?;
    let world = resolve.select_world(&[own], None).map_err(Error::wit)?;
    Ok((resolve, world))
}

/// The files of a package as one, which names the package once.
fn whole(package: &str) -> String {
    let mut text = String::new();
    for (_, file) in files::below(package).filter(|(name, _)| name.ends_with(".wit")) {
        let named = |line: &&str| line.starts_with("package ");
        let name = file.lines().find(named).unwrap_or_default();
        if text.is_empty() {
            text = format!("{name}\n");
        }
        text.extend(
            file.lines()
                .filter(|line| !named(line))
                .map(|line| format!("{line}\n")),
        );
    }
    text
}

fn text(found: &Interfaces) -> String {
    let lines = |word: &str, names: &BTreeSet<String>| -> String {
        let line = |name: &String| format!("    {word} {name};\n");
        names.iter().map(line).collect()
    };
    format!(
        "package local:plugin;\nworld plugin {{\n{}{}}}\n",
        lines("import", &found.imports),
        lines("export", &found.exports)
    )
}

fn interfaces(module: &[u8]) -> Result<Interfaces, Error> {
    let mut found = Interfaces::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(Error::unfit)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(Error::unfit)?;
                    found.imports.extend(interface(import.module));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let name = export.map_err(Error::unfit)?.name;
                    let own = name.split_once('#').map(|(interface, _)| interface);
                    found.exports.extend(own.and_then(interface));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A name such as `osier:policy/listentry@0.1.0`. Functions that are called afterwards have a word before it.
fn interface(name: &str) -> Option<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || "-:/@.".contains(c);
    let whole = name.contains(':') && name.contains('/') && name.chars().all(word);
    whole.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_module_says_its_world() {
        let module = wat::parse_str(
            r#"(module (import "osier:policy/counters@0.1.0" "now" (func (result i64)))
                (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
                (func (export "osier:filter/request@0.1.0#on-request")) (func (export "cabi_realloc")))"#,
        )
        .unwrap();
        let (resolve, world) = of(&module).unwrap();
        assert_eq!(resolve.worlds[world].exports.len(), 1);
        let found = interfaces(&module).unwrap();
        assert_eq!(
            found.imports,
            BTreeSet::from(["osier:policy/counters@0.1.0".to_owned()])
        );
        let silent = wat::parse_str("(module)").unwrap();
        assert!(matches!(of(&silent), Err(Error::Silent)));
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let module = wat::parse_str(r#"(module (func (export "osier:policy/none@0.1.0#check")))"#);
        let error = of(&module.unwrap()).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
    }
}
