//! Managers that speak another version of a kind than the one in which an object was changed: what was taken from them is seen
//! in their own version.

use std::collections::BTreeSet;

use super::entries::Entries;
use super::{FIELD, Form};
use crate::Object;
use osier_structured::{Conflict, Malformed, Owner, compare};

/// The versions, other than this one, in whose words managers of an object own fields.
pub fn other_versions(object: &Object, than: &str) -> BTreeSet<String> {
    let entries = Entries::of(object.get(&FIELD)).unwrap_or_default();
    let versions = entries.owners.keys().map(|owner| entries.version(owner));
    let others = versions.filter(|version| !version.is_empty() && *version != than);
    others.map(str::to_owned).collect()
}

/// Takes from the managers of `version` what a change wrote or removed, given the object before and after it in that version;
/// `object` has the list of managers. What they owned of what was written are conflicts for who only wished to apply.
///
/// # Errors
/// When elements of lists cannot be told apart; nothing is changed then.
pub fn follow(
    form: Form<'_>,
    version: &str,
    (old, new): (&Object, &Object),
    object: &mut Object,
) -> Result<Vec<Conflict>, Malformed> {
    let mut entries = Entries::of(object.get(&FIELD)).unwrap_or_default();
    let change = compare(form.schema(), &old.to_value(), &new.to_value())?;
    let written = change.written();
    let gone = written.clone().union(change.removed);
    let (mut conflicts, mut changed) = (Vec::new(), false);
    let speaks = |manager: &&Owner| entries.version(manager) == version;
    let managers: Vec<Owner> = entries.owners.keys().filter(speaks).cloned().collect();
    for manager in managers {
        let Some(set) = entries.owners.get_mut(&manager) else {
            continue;
        };
        conflicts.extend(
            set.intersection(&written)
                .paths()
                .into_iter()
                .map(|path| Conflict {
                    manager: manager.clone(),
                    path,
                }),
        );
        let left = set.difference(&gone);
        changed |= left != *set;
        *set = left;
    }
    if changed {
        entries.owners.retain(|_, set| !set.is_empty());
        entries.forget_the_gone();
        object.set(&FIELD, entries.into_value());
    }
    Ok(conflicts)
}
