//! What differs between two documents, as sets of places.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::Step;
use super::schema::{Malformed, Schema, Shape};
use super::set::FieldSet;

/// The places that differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Only in the second document.
    pub added: FieldSet,
    /// In both, with another value.
    pub modified: FieldSet,
    /// Only in the first document.
    pub removed: FieldSet,
}

impl Comparison {
    /// Added or modified.
    #[must_use]
    pub fn written(&self) -> FieldSet {
        self.added.clone().union(self.modified.clone())
    }

    fn attach(&mut self, step: &Step, inner: Comparison, itself: Option<Difference>) {
        let is = |kind| itself == Some(kind);
        self.added
            .attach(step.clone(), is(Difference::Added), inner.added);
        self.modified
            .attach(step.clone(), is(Difference::Modified), inner.modified);
        self.removed
            .attach(step.clone(), is(Difference::Removed), inner.removed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Difference {
    Added,
    Modified,
    Removed,
}

/// Compares two documents of one schema.
///
/// # Errors
/// When elements of a list cannot be told apart.
pub fn compare(schema: Schema<'_>, old: &Value, new: &Value) -> Result<Comparison, Malformed> {
    inside(schema, Some(old), Some(new))
}

/// What differs below two values at the same place.
fn inside(
    schema: Schema<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<Comparison, Malformed> {
    let (before, after) = (parts(schema, old)?, parts(schema, new)?);
    let mut found = Comparison::default();
    let new_steps = after.keys().filter(|step| !before.contains_key(step));
    for step in before.keys().chain(new_steps) {
        let (old, new) = (before.get(step), after.get(step));
        let schema = schema.step(step);
        let both = [old, new].map(|side| side.map_or(&[][..], Vec::as_slice));
        let inner = match both {
            [[] | [_], [] | [_]] => {
                let [old, new] = both.map(|side| side.first().copied());
                inside(schema, old, new).map_err(|fault| fault.under(step))?
            }
            // An element that is there several times is taken as one piece.
            _ => Comparison::default(),
        };
        found.attach(step, inner, itself(schema, both));
    }
    Ok(found)
}

/// Whether the place itself differs: one that is only on one side, or a piece with another value.
fn itself(schema: Schema<'_>, sides: [&[&Value]; 2]) -> Option<Difference> {
    match sides {
        [[], []] => None,
        [[], _] => Some(Difference::Added),
        [_, []] => Some(Difference::Removed),
        [[old], [new]] => {
            let pieces = is_piece(schema, old) && is_piece(schema, new);
            // A piece that became a map, or back, is another value; its fields are compared as well.
            let other_kind = is_piece(schema, old) != is_piece(schema, new)
                && (schema.atomic(old) || schema.atomic(new));
            (old != new && (pieces || other_kind)).then_some(Difference::Modified)
        }
        [old, new] => (old != new).then_some(Difference::Modified),
    }
}

fn is_piece(schema: Schema<'_>, value: &Value) -> bool {
    schema.shape(value) == Shape::Leaf
}

/// The parts of a value by step; none if it is one piece.
fn parts<'v>(
    schema: Schema<'_>,
    value: Option<&'v Value>,
) -> Result<BTreeMap<Step, Vec<&'v Value>>, Malformed> {
    let mut found: BTreeMap<Step, Vec<&Value>> = BTreeMap::new();
    let Some(value) = value else {
        return Ok(found);
    };
    let shape = schema.shape(value);
    match shape {
        Shape::Leaf => {}
        Shape::Fields(map) => {
            for (name, inner) in map {
                found.insert(Step::field(name), vec![inner]);
            }
        }
        Shape::Set(list) | Shape::Keyed(list) => {
            for item in list {
                let step = schema.element(shape, item)?;
                found.entry(step).or_default().push(item);
            }
        }
    }
    Ok(found)
}
