//! JavaScript plugins that are built again and again: the component is made once, with room for the plugin's text, and each new text is put there.
//!
//! To make a component, QuickJS itself is compiled and run for seconds. A component that reads its text when it is started needs that once, and two
//! versions of it differ in data only, so that the host has nothing to compile anew either (`osier_wasm::exchange`). The price is that every
//! instance reads the text, some hundred microseconds: this is for `osier plugin dev`, never for what is installed.

use crate::Error;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use wit_bindgen_core::wit_parser::{Resolve, World, WorldItem, WorldKey};

/// What fills the room, as `shell.mjs` has it: no text, and not to be found in an engine.
const MARK: &str = "\u{1}osier:\u{2}";
/// Room is made in steps, so that a plugin that grows a little needs no new component.
const STEP: usize = 64 << 10;
const TEXT: &str = include_str!("shell.mjs");

/// What is made into the component, and what a bundler must leave to it.
#[derive(Debug)]
pub struct Shell {
    /// The module.
    pub source: String,
    /// Interfaces that the plugin may import.
    pub offered: Vec<String>,
    marks: usize,
}

/// A component with room, and where that is.
#[derive(Debug)]
pub struct Room {
    component: Vec<u8>,
    start: usize,
    size: usize,
}

impl Shell {
    /// For the world `plugin` of a project's `wit` folder and a text of so many bytes, with room to grow.
    ///
    /// # Errors
    /// If the folder holds no such world, or one that needs more than functions in interfaces.
    pub fn new(wit: &Path, text: usize) -> Result<Self, Error> {
        let (resolve, world) = crate::bindings::world(wit)?;
        let world = &resolve.worlds[world];
        let marks = (text * 2).max(1).next_multiple_of(STEP) / MARK.len();
        let offered = names(&resolve, world.imports.iter())?;
        Ok(Self {
            source: source(&resolve, world, (&offered, marks))?,
            offered,
            marks,
        })
    }

    /// Finds the room in the component that was made.
    ///
    /// # Errors
    /// If it is not there once.
    pub fn room(&self, component: Vec<u8>) -> Result<Room, Error> {
        let wanted = MARK.repeat(self.marks).into_bytes();
        let found = {
            let mut starts = starts(&component, &wanted);
            (starts.next(), starts.next())
        };
        match found {
            (Some(start), None) => Ok(Room {
                start,
                size: wanted.len(),
                component,
            }),
            _ => Err(Error::Room),
        }
    }
}

impl Room {
    /// The component without a text, and where the texts go.
    #[must_use]
    pub fn blank(&self) -> (&[u8], Range<usize>) {
        (&self.component, self.start..self.start + self.size)
    }

    /// True if a text is not too long.
    #[must_use]
    pub fn takes(&self, text: &str) -> bool {
        text.len() <= self.size
    }

    /// The component with a text; none if that is too long.
    #[must_use]
    pub fn with(&self, text: &str) -> Option<Vec<u8>> {
        if !self.takes(text) {
            return None;
        }
        let mut made = self.component.clone();
        let room = made.get_mut(self.start..self.start + self.size)?;
        room.fill(b' ');
        room[..text.len()].copy_from_slice(text.as_bytes());
        Some(made)
    }
}

/// Where `wanted` begins. Its first bytes are rare, so nothing better is needed than to look for them.
fn starts<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from
                + bytes
                    .get(from..)?
                    .iter()
                    .position(|byte| *byte == wanted[0])?;
            from = at + 1;
            if bytes[at..].starts_with(wanted) {
                from = at + wanted.len();
                return Some(at);
            }
        }
    })
}

/// Full names of interfaces of a world.
fn names<'w>(
    resolve: &Resolve,
    items: impl Iterator<Item = (&'w WorldKey, &'w WorldItem)>,
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for (key, item) in items {
        match item {
            // What only tells types is nothing to call.
            WorldItem::Interface { id, .. } if resolve.interfaces[*id].functions.is_empty() => {}
            WorldItem::Interface { .. } => names.push(resolve.name_world_key(key)),
            WorldItem::Type { .. } => {}
            WorldItem::Function(function) => return Err(Error::Shapeless(function.name.clone())),
        }
    }
    Ok(names)
}

fn source(
    resolve: &Resolve,
    world: &World,
    (offered, marks): (&[String], usize),
) -> Result<String, Error> {
    let (mut exports, mut seen) = (String::new(), BTreeSet::new());
    for (key, item) in &world.exports {
        let full = resolve.name_world_key(key);
        let WorldItem::Interface { id, .. } = item else {
            return Err(Error::Shapeless(full));
        };
        let own = full.rsplit('/').next().unwrap_or(&full);
        let own = camel(own.split('@').next().unwrap_or(own));
        let mut functions = String::new();
        for function in resolve.interfaces[*id].functions.values() {
            if function.kind.resource().is_some() {
                return Err(Error::Shapeless(full));
            }
            let name = camel(&function.name);
            let call = match (own.as_str(), name.as_str()) {
                ("configuration", "configure") => "configured".to_owned(),
                _ => format!("(...given) => plugin().{own}.{name}(...given)"),
            };
            let _infallible = write!(functions, " {name}: {call},");
        }
        let _infallible = writeln!(exports, "export const {own} = {{{functions} }};");
        if !seen.insert(own) {
            return Err(Error::Shapeless(full));
        }
    }
    let (mut imports, mut table) = (String::new(), String::new());
    for (place, name) in offered.iter().enumerate() {
        let _infallible = writeln!(imports, "import * as offered{place} from {name:?};");
        let _infallible = write!(table, "{name:?}: offered{place}, ");
    }
    let names: Vec<String> = seen.iter().map(|name| format!("{name:?}")).collect();
    Ok(TEXT
        .replace("{{imports}}", &imports)
        .replace("{{marks}}", &marks.to_string())
        .replace("{{offered}}", &table)
        .replace("{{names}}", &names.join(", "))
        .replace("{{exports}}", &exports))
}

/// As JavaScript writes a name of WIT.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let mut made = words.next().unwrap_or_default().to_ascii_lowercase();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        made += &first.to_ascii_uppercase();
        made += &rest.to_ascii_lowercase();
    }
    made
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shell(wit: &str) -> Result<Shell, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("plugin.wit"), wit).unwrap();
        Shell::new(folder.path(), 1000)
    }

    #[test]
    fn a_shell_exports_what_the_world_says_and_hands_on_what_it_imports() {
        let made = shell(
            "package local:plugin@1.0.0;
            interface counts { take-one: func() -> bool; }
            interface configuration { configure: func(json: string) -> result<_, string>; }
            interface own-check { check: func(name: string) -> bool; check-again: func(); }
            world plugin { import counts; export configuration; export own-check; }",
        );
        let made = made.unwrap();
        assert_eq!(made.offered, ["local:plugin/counts@1.0.0"]);
        for wanted in [
            r#"import * as offered0 from "local:plugin/counts@1.0.0";"#,
            "export const configuration = { configure: configured, };",
            "export const ownCheck = { check: (...given) => plugin().ownCheck.check(...given),",
            " checkAgain: (...given) => plugin().ownCheck.checkAgain(...given), };",
            r#"for (const name of ["configuration", "ownCheck"])"#,
        ] {
            assert!(
                made.source.contains(wanted),
                "{wanted} is not in {}",
                made.source
            );
        }
        assert!(!made.source.contains("{{"));
        // The module writes the mark as it is searched for.
        let written: String = MARK
            .chars()
            .map(|c| match c.is_control() {
                true => format!("\\u{:04x}", u32::from(c)),
                false => c.to_string(),
            })
            .collect();
        assert!(
            made.source
                .contains(&format!("\"{written}\".repeat({})", made.marks))
        );
    }

    #[test]
    fn what_is_more_than_functions_of_interfaces_is_refused() {
        for world in [
            "export answer: func();",
            "import ask: func();",
            "export owned: interface { resource thing { constructor(); } }",
            "export first:one/same; export second:two/same;",
        ] {
            let wit = format!(
                "package local:plugin;
                package first:one {{ interface same {{ a: func(); }} }}
                package second:two {{ interface same {{ a: func(); }} }}
                world plugin {{ {world} }}"
            );
            let error = shell(&wit).unwrap_err();
            assert!(matches!(error, Error::Shapeless(_)), "{world}: {error}");
        }
    }

    #[test]
    fn a_text_is_put_where_the_room_is() {
        let made = shell("package local:plugin; world plugin {}").unwrap();
        let room = MARK.repeat(made.marks);
        let component = format!("before {MARK}{MARK} {room} after").into_bytes();
        let found = made.room(component.clone()).unwrap();
        let filled = found.with("answer()").unwrap();
        assert_eq!(filled.len(), component.len());
        let text = String::from_utf8(filled).unwrap();
        let (before, rest) = text.split_once("answer()").unwrap();
        assert!(before.ends_with(&format!("{MARK}{MARK} ")) && rest.trim() == "after");
        assert!(found.with(&"x".repeat(room.len() + 1)).is_none());
        let twice = format!("{room} {room}").into_bytes();
        for wrong in [twice, b"none".to_vec(), room.as_bytes()[1..].to_vec()] {
            assert!(matches!(made.room(wrong), Err(Error::Room)));
        }
    }
}
