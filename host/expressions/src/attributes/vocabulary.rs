//! Names, types and meanings of attributes: Mixer's list, complete, and what manifests add.

use std::collections::BTreeMap;

use super::read::Slot;
use super::standard::standard;
use crate::value::Type;
use osier_spec::nearest;

/// One attribute of the vocabulary.
#[derive(Clone, Debug)]
pub struct AttributeInfo {
    /// Dotted name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// False: the attribute may be absent from a call.
    pub always: bool,
    /// What it says.
    pub meaning: String,
    pub(crate) slot: Slot,
}

impl AttributeInfo {
    /// Where its value stands in `Attributes::extra`; none for an attribute of the standard vocabulary.
    pub fn place(&self) -> Option<usize> {
        match self.slot {
            Slot::Extra(place) => Some(usize::from(place)),
            _ => None,
        }
    }
}

/// Every attribute that expressions may name.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    by_name: BTreeMap<String, AttributeInfo>,
    extra: u16,
}

impl Default for Vocabulary {
    fn default() -> Self {
        let named = |info: AttributeInfo| (info.name.clone(), info);
        Self {
            by_name: standard().into_iter().map(named).collect(),
            extra: 0,
        }
    }
}

impl Vocabulary {
    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&AttributeInfo> {
        self.by_name.get(name)
    }

    /// All attributes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &AttributeInfo> {
        self.by_name.values()
    }

    /// Adds an attribute whose value stands behind all others in `Attributes::extra`. False if the name is taken.
    pub fn extend(&mut self, name: &str, ty: Type, meaning: &str) -> bool {
        self.place(name, (ty, self.extra), meaning)
    }

    /// Adds an attribute whose value stands at a place in `Attributes::extra`. False if the name is taken.
    pub fn place(&mut self, name: &str, (ty, place): (Type, u16), meaning: &str) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        let info = AttributeInfo {
            name: name.to_owned(),
            ty,
            always: false,
            meaning: meaning.to_owned(),
            slot: Slot::Extra(place),
        };
        self.extra = self.extra.max(place.saturating_add(1));
        self.by_name.insert(name.to_owned(), info);
        true
    }

    /// Where the next attribute that is added will stand in `Attributes::extra`.
    pub fn next(&self) -> u16 {
        self.extra
    }

    /// An attribute that this name would hide, or that would hide this name: one is the beginning of the other.
    pub fn overlaps(&self, name: &str) -> Option<&str> {
        let below = |long: &str, short: &str| {
            let rest = long.strip_prefix(short);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        let mut known = self.by_name.keys().map(String::as_str);
        known.find(|known| below(known, name) || below(name, known))
    }

    /// True if attributes begin with this word.
    pub fn has_root(&self, root: &str) -> bool {
        let first = |name: &String| name.split('.').next() == Some(root);
        self.by_name.keys().any(first)
    }

    /// What there is, in a few words.
    fn overview(&self) -> String {
        let added = self.by_name.values().filter(|info| info.place().is_some());
        let added: Vec<&str> = added.take(20).map(|info| info.name.as_str()).collect();
        let added = match added.is_empty() {
            true => String::new(),
            false => format!(", {}", added.join(", ")),
        };
        format!(
            "; attributes are request.*, source.*, destination.*, connection.*, context.*, response.*, api.*, origin.ip{added}; an AttributeManifest declares others"
        )
    }

    /// What to say about a name that is not there.
    pub fn hint(&self, name: &str) -> String {
        let prefix = format!("{name}.");
        let below: Vec<&str> = self
            .by_name
            .keys()
            .filter(|known| known.starts_with(&prefix))
            .map(String::as_str)
            .collect();
        if !below.is_empty() {
            return format!("; it has {}", below.join(", "));
        }
        nearest(name, self.by_name.keys().map(String::as_str)).map_or_else(
            || self.overview(),
            |known| format!("; did you mean `{known}`?"),
        )
    }
}
