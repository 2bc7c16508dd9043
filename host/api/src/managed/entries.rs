//! The entries of `metadata.managedFields`: read, stamped with times, bounded, written; and how messages name them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Author;
use osier_structured::{Conflict, FieldSet, Operation, Owner, Owners};

/// More updaters than this are merged, oldest first, into one entry for each version.
const MOST_UPDATERS: usize = 10;
/// The name of that entry.
const ANCIENT: &str = "ancient-changes";

/// The owners of an object's fields with what only the list says about them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Entries {
    pub(super) owners: Owners,
    stamps: BTreeMap<Owner, Stamp>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Stamp {
    /// When the manager last took or changed a field; empty if that is not known.
    time: String,
    api_version: String,
}

/// `managedFields: [{}]` in a request removes the list.
pub(super) fn is_reset(list: Option<&Value>) -> bool {
    let list = list.and_then(Value::as_array).map(Vec::as_slice);
    matches!(list, Some([Value::Object(entry)]) if entry.is_empty())
}

impl Entries {
    /// Reads a list; `None` if it is not one that this server could have written.
    pub(super) fn of(list: Option<&Value>) -> Option<Self> {
        let mut entries = Self::default();
        let list = list.map_or(Some(&[][..]), |list| list.as_array().map(Vec::as_slice))?;
        for entry in list {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or("");
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            if text("fieldsType") != "FieldsV1" {
                return None;
            }
            let version = match operation {
                Operation::Apply => "",
                Operation::Update => text("apiVersion"),
            };
            let manager = Owner {
                name: text("manager").to_owned(),
                operation,
                version: version.to_owned(),
                part: text("subresource").to_owned(),
            };
            let set = FieldSet::from_fields_v1(entry.get("fieldsV1")?)?;
            let stamp = Stamp {
                time: text("time").to_owned(),
                api_version: text("apiVersion").to_owned(),
            };
            entries.stamps.insert(manager.clone(), stamp);
            entries.owners.insert(manager, set);
        }
        Some(entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    /// Takes out the managers that speak another version than the author, whose fields are in other words; an earlier apply of the
    /// author, in whichever version, is replaced by this one.
    pub(super) fn set_aside(&mut self, author: Author<'_>) -> Self {
        let own = author.as_manager(Operation::Apply);
        let mut others = Self::default();
        for (owner, set) in std::mem::take(&mut self.owners) {
            let foreign = self.version(&owner) != author.api_version;
            let into = if foreign { &mut others } else { &mut *self };
            if foreign && owner == own {
                continue;
            }
            into.owners.insert(owner, set);
        }
        let stamps = &self.stamps;
        let kept = others
            .owners
            .keys()
            .filter_map(|owner| Some((owner.clone(), stamps.get(owner)?.clone())));
        others.stamps = kept.collect();
        others
    }

    /// Puts back what was taken out.
    pub(super) fn take_back(&mut self, others: Option<Self>) {
        let others = others.unwrap_or_default();
        for (owner, set) in others.owners {
            self.owners.entry(owner).or_insert(set);
        }
        for (owner, stamp) in others.stamps {
            self.stamps.entry(owner).or_insert(stamp);
        }
    }

    /// The version in whose words a manager's fields are.
    pub(super) fn version(&self, manager: &Owner) -> &str {
        self.stamps
            .get(manager)
            .map_or("", |stamp| &stamp.api_version)
    }

    /// The manager changed something now.
    pub(super) fn stamp(&mut self, manager: &Owner, author: Author<'_>) {
        let stamp = Stamp {
            time: author.now.to_owned(),
            api_version: author.api_version.to_owned(),
        };
        self.stamps.insert(manager.clone(), stamp);
    }

    /// Drops the stamps of managers that own nothing any more.
    pub(super) fn forget_the_gone(&mut self) {
        let owners = &self.owners;
        self.stamps
            .retain(|manager, _| owners.contains_key(manager));
    }

    fn time(&self, manager: &Owner) -> &str {
        self.stamps.get(manager).map_or("", |stamp| &stamp.time)
    }

    /// Merges the oldest updaters until there are not too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<Owner> = self
            .owners
            .keys()
            .filter(|manager| manager.operation == Operation::Update && manager.name != ANCIENT)
            .cloned()
            .collect();
        updaters.sort_by(|a, b| self.time(a).cmp(self.time(b)).then(a.cmp(b)));
        let spare = updaters.len().saturating_sub(MOST_UPDATERS - 1);
        if updaters.len() <= MOST_UPDATERS {
            return;
        }
        for manager in updaters.into_iter().take(spare) {
            let set = self.owners.remove(&manager).unwrap_or_default();
            let stamp = self.stamps.remove(&manager).unwrap_or_default();
            let bucket = Owner {
                name: ANCIENT.to_owned(),
                part: String::new(),
                ..manager
            };
            let merged = self.owners.entry(bucket.clone()).or_default();
            *merged = std::mem::take(merged).union(set);
            self.stamps.insert(bucket, stamp);
        }
    }

    /// The list, in upstream's order: appliers first, then by time and name.
    pub(super) fn into_value(self) -> Value {
        let mut owners: Vec<(&Owner, &FieldSet)> = self.owners.iter().collect();
        owners.sort_by(|(a, _), (b, _)| {
            let order = |manager| (self.time(manager), manager);
            a.operation
                .cmp(&b.operation)
                .then_with(|| order(a).cmp(&order(b)))
        });
        let entries = owners
            .into_iter()
            .map(|(manager, set)| self.entry(manager, set));
        Value::Array(entries.collect())
    }

    fn entry(&self, manager: &Owner, set: &FieldSet) -> Value {
        let mut entry = Map::new();
        let stamp = self.stamps.get(manager).cloned().unwrap_or_default();
        let operation = match manager.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        entry.insert("manager".to_owned(), json!(manager.name));
        entry.insert("operation".to_owned(), json!(operation));
        entry.insert("apiVersion".to_owned(), json!(stamp.api_version));
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), set.to_fields_v1());
        for (name, text) in [("time", &stamp.time), ("subresource", &manager.part)] {
            if !text.is_empty() {
                entry.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(entry)
    }
}

/// A manager as conflicts name it.
pub(super) fn described(manager: &Owner) -> String {
    let mut words = format!("{:?}", manager.name);
    if !manager.part.is_empty() {
        words = format!("{words} with subresource {:?}", manager.part);
    }
    match manager.operation {
        Operation::Apply => words,
        Operation::Update => format!("{words} using {}", manager.version),
    }
}

/// What a refused apply says, in upstream's words.
pub(super) fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            described(&only.manager),
            only.path
        );
    }
    let managers: BTreeSet<&Owner> = conflicts.iter().map(|conflict| &conflict.manager).collect();
    let mut lines = Vec::new();
    for manager in managers {
        lines.push(format!("conflicts with {}:", described(manager)));
        let theirs = conflicts
            .iter()
            .filter(|conflict| conflict.manager == *manager);
        lines.extend(theirs.map(|conflict| format!("- {}", conflict.path)));
    }
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        lines.join("\n")
    )
}
