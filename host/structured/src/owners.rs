//! Who set what: the two ways to change a document, and what each does to everybody's fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::compare;
use super::merge::merge;
use super::path::Path;
use super::prune::{field_set, remove, with_named};
use super::schema::{Malformed, Schema};
use super::set::FieldSet;

/// How a manager changes documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By saying all that it wishes, each time.
    Apply,
    /// By any other change.
    Update,
}

/// Somebody who sets fields. The order is the one in which managers are listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// How it changes documents; the same name may do both.
    pub operation: Operation,
    /// The version of the schema that an updater spoke; empty for appliers, which are the same in every version.
    pub version: String,
    /// The part of the document that it writes; empty for the document itself.
    pub part: String,
}

/// The places that each manager set last.
pub type Owners = BTreeMap<Owner, FieldSet>;

/// A place that a wish would change and somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The owner.
    pub manager: Owner,
    /// The place.
    pub path: Path,
}

/// Why a wish was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be merged.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It would change what others own, and does not insist.
    #[error("the wish conflicts with others at {} places", .0.len())]
    Conflicts(Vec<Conflict>),
}

/// All that one applier wishes of a document.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The fields that it wants, and no others.
    pub config: &'a Value,
    /// Places that are not its to own though they are in the configuration: they belong to another part.
    pub foreign: &'a dyn Fn(FieldSet) -> FieldSet,
    /// Whether it takes fields from their owners instead of being refused.
    pub force: bool,
}

/// Merges a wish into `live`, takes away what its manager wished before and no longer does unless somebody else owns
/// it, and records the new owners.
///
/// # Errors
/// [`Refusal::Conflicts`] when others own what would change, unless forced.
pub fn apply(
    schema: Schema<'_>,
    live: &Value,
    owners: &mut Owners,
    manager: &Owner,
    wish: Wish<'_>,
) -> Result<Value, Refusal> {
    let merged = merge(schema, live, wish.config)?;
    let before = owners.get(manager).cloned().unwrap_or_default();
    let mut after = owners.clone();
    let wished = (wish.foreign)(field_set(schema, wish.config)?);
    after.insert(manager.clone(), wished);
    let pruned = prune(schema, merged, &after, &before)?;
    let change = compare(schema, live, &pruned)?;
    let conflicts = conflicts(&after, manager, &change.written());
    if !conflicts.is_empty() && !wish.force {
        return Err(Refusal::Conflicts(conflicts));
    }
    let touched = change.written().union(change.removed);
    disown(&mut after, manager, &touched);
    *owners = after;
    Ok(pruned)
}

/// Records that `manager` made `new` out of `live`. Returns whether it took or lost any place.
///
/// # Errors
/// When elements of a list cannot be told apart; the owners stay as they were.
pub fn update(
    schema: Schema<'_>,
    live: &Value,
    new: &Value,
    owners: &mut Owners,
    (manager, foreign): (&Owner, &dyn Fn(FieldSet) -> FieldSet),
) -> Result<bool, Malformed> {
    let change = compare(schema, live, new)?;
    let (written, removed) = (foreign(change.written()), foreign(change.removed));
    if written.is_empty() && removed.is_empty() {
        return Ok(false);
    }
    disown(owners, manager, &written.clone().union(removed.clone()));
    let own = owners.entry(manager.clone()).or_default();
    *own = own.difference(&removed).union(written);
    if own.is_empty() {
        owners.remove(manager);
    }
    Ok(true)
}

/// Every place of `written` that somebody else owns, sorted.
fn conflicts(owners: &Owners, manager: &Owner, written: &FieldSet) -> Vec<Conflict> {
    let others = owners.iter().filter(|(other, _)| *other != manager);
    let found = others.flat_map(|(other, set)| {
        let paths = set.intersection(written).paths();
        paths.into_iter().map(|path| Conflict {
            manager: other.clone(),
            path,
        })
    });
    found.collect()
}

/// Takes places from all but one manager; a manager without any goes.
fn disown(owners: &mut Owners, except: &Owner, places: &FieldSet) {
    for (_, set) in owners.iter_mut().filter(|(other, _)| *other != except) {
        *set = set.difference(places);
    }
    owners.retain(|_, set| !set.is_empty());
}

/// The merged document without what only the last wish of the applier held in it.
fn prune(
    schema: Schema<'_>,
    merged: Value,
    owners: &Owners,
    last: &FieldSet,
) -> Result<Value, Malformed> {
    if last.is_empty() {
        return Ok(merged);
    }
    let named = |set: &FieldSet| with_named(schema, set);
    let places = |value: &Value| field_set(schema, value).map(|set| named(&set));
    let (last, all) = (named(last), places(&merged)?);
    let without_last = remove(schema, &merged, &last)?;
    let owned = owners
        .values()
        .fold(FieldSet::default(), |all, set| all.union(set.clone()));
    // What went with a container but somebody owns comes back,
    let kept = places(&without_last)?.union(named(&owned));
    let with_owned = remove(schema, &merged, &all.difference(&kept))?;
    // and what nobody owns stays, too: the applier never had it.
    let gone = all.difference(&places(&with_owned)?).intersection(&last);
    remove(schema, &merged, &gone)
}
