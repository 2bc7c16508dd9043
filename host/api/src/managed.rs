//! `metadata.managedFields`: who set which field of an object, and server-side apply.
//!
//! The rules are in [`osier_structured`]; here is what Kubernetes' objects add to them (`apimachinery/util/managedfields`):
//! the entries and their times, fields that nobody owns, the cap on updaters, and the way from client-side apply.

mod entries;
mod last_applied;
mod versions;

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::{Object, Resource, Subresource, schema};
use entries::Entries;
use osier_structured::{FieldSet, Malformed, Operation, Owner, Path, Refusal, Schema, Wish};

pub use osier_structured::Conflict;
pub use versions::{follow, other_versions};

/// The list of entries in an object.
const FIELD: [&str; 2] = ["metadata", "managedFields"];
/// Owns what is in an object that was never tracked when it is applied for the first time.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, through which part of the object, in which version, and when.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The name of the field manager.
    pub manager: &'a str,
    /// The subresource; empty for the object itself.
    pub subresource: &'a str,
    /// The version that the request speaks.
    pub api_version: &'a str,
    /// The time of the request, RFC 3339 with seconds.
    pub now: &'a str,
}

/// A kind with its schema: of a kind that users define the schema is not compiled in, and comes along.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    /// The kind.
    pub resource: &'a Resource,
    /// The schema of one version of it, if it is not one of ours.
    pub document: Option<&'a Value>,
    /// Versions of the kind differ in their fields: what managers of another version own is in that version's words.
    pub differs: bool,
}

impl<'a> From<&'a Resource> for Form<'a> {
    fn from(resource: &'a Resource) -> Self {
        Self {
            resource,
            document: None,
            differs: false,
        }
    }
}

impl<'a> Form<'a> {
    fn schema(self) -> Schema<'a> {
        let own = || schema::document(self.resource);
        Schema::new(self.document.unwrap_or_else(own), schema::definitions())
    }
}

/// Why a configuration was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The configuration does not fit its schema's list types.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Others own what would change.
    #[error("{}", entries::conflict_message(.0))]
    Conflicts(Vec<Conflict>),
}

/// One cause of a conflict as a Status names it: the message and the field.
pub fn cause(conflict: &Conflict) -> (String, String) {
    let message = format!("conflict with {}", entries::described(&conflict.manager));
    (message, conflict.path.to_string())
}

impl Author<'_> {
    fn as_manager(&self, operation: Operation) -> Owner {
        let version = match operation {
            Operation::Apply => "",
            Operation::Update => self.api_version,
        };
        Owner {
            name: self.manager.to_owned(),
            operation,
            version: version.to_owned(),
            part: self.subresource.to_owned(),
        }
    }
}

/// The object that results when `config` is applied to `live`, with its new `metadata.managedFields`.
///
/// # Errors
/// When others own what would change and `force` is false, or elements of lists cannot be told apart.
pub fn apply<'a>(
    form: impl Into<Form<'a>>,
    live: Option<&Object>,
    config: &Object,
    author: Author<'a>,
    force: bool,
) -> Result<Object, ApplyError> {
    let form = form.into();
    let mut config = config.clone();
    config.remove(&FIELD);
    schema::normalize(form.resource, &mut config);
    let mut base = Object::default();
    let mut entries = Entries::default();
    if let Some(live) = live {
        base = live.clone();
        entries = Entries::of(base.remove(&FIELD).as_ref()).unwrap_or_default();
        if entries.is_empty() {
            claim_untracked(form, &base, &mut entries, author)?;
        }
    }
    let others = form.differs.then(|| entries.set_aside(author));
    let mut wish = Application {
        form,
        live: base,
        config,
        author,
    };
    let applied = match wish.merge(&mut entries, force) {
        Err(Refusal::Conflicts(conflicts)) => {
            let left = last_applied::not_from_client(&wish, conflicts);
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            wish.merge(&mut entries, true)
        }
        result => result,
    };
    let mut applied = applied.map_err(|refusal| match refusal {
        Refusal::Malformed(fault) => ApplyError::Malformed(fault),
        Refusal::Conflicts(conflicts) => ApplyError::Conflicts(conflicts),
    })?;
    last_applied::keep_annotation(&mut wish, &mut applied);
    entries.take_back(others);
    applied.set(&FIELD, entries.into_value());
    Ok(applied)
}

/// One configuration on its way into one object.
struct Application<'a> {
    form: Form<'a>,
    live: Object,
    config: Object,
    author: Author<'a>,
}

impl Application<'_> {
    fn merge(&self, entries: &mut Entries, force: bool) -> Result<Object, Refusal> {
        let manager = self.author.as_manager(Operation::Apply);
        let foreign = |set| owned_through(self.form.resource, self.author.subresource, set);
        let (live, config) = (self.live.to_value(), self.config.to_value());
        let before = entries.owners.get(&manager).cloned();
        let wish = Wish {
            config: &config,
            foreign: &foreign,
            force,
        };
        let schema = self.form.schema();
        let merged = osier_structured::apply(schema, &live, &mut entries.owners, &manager, wish)?;
        let same = before.as_ref() == entries.owners.get(&manager);
        if !same || merged != live {
            entries.stamp(&manager, self.author);
        }
        entries.forget_the_gone();
        Ok(Object::from_value(merged).unwrap_or_default())
    }
}

/// Everything in an object that was never tracked belongs to a manager of its own.
fn claim_untracked(
    form: Form<'_>,
    live: &Object,
    entries: &mut Entries,
    author: Author<'_>,
) -> Result<(), Malformed> {
    let author = Author {
        manager: BEFORE_FIRST_APPLY,
        subresource: "",
        ..author
    };
    record(form, &Object::default(), live, entries, author).map(drop)
}

/// Puts `metadata.managedFields` into `new`, which an author made out of `live` by any way but apply.
///
/// `submitted` is what the request's body had there: Kubernetes lets a request write the list itself. An object that
/// was never tracked stays so until it is applied.
pub fn track<'a>(
    form: impl Into<Form<'a>>,
    live: Option<&Object>,
    new: &mut Object,
    submitted: Option<&Value>,
    author: Author<'_>,
) {
    let kept = live.and_then(|live| live.get(&FIELD));
    let submitted = submitted.filter(|_| author.subresource.is_empty());
    new.remove(&FIELD);
    if entries::is_reset(submitted) {
        return;
    }
    let given = submitted.filter(|list| Entries::of(Some(list)).is_some_and(|all| !all.is_empty()));
    let base = given.or(kept);
    let mut entries = Entries::of(base).unwrap_or_default();
    if live.is_some() && entries.is_empty() {
        return;
    }
    let form = form.into();
    let others = form.differs.then(|| entries.set_aside(author));
    let mut before = live.cloned().unwrap_or_default();
    before.remove(&FIELD);
    match record(form, &before, new, &mut entries, author) {
        Ok(true) => {
            entries.take_back(others);
            new.set(&FIELD, entries.into_value());
        }
        Ok(false) | Err(_) => {
            if let Some(base) = base {
                new.set(&FIELD, base.clone());
            }
        }
    }
}

/// Whether anything changed hands.
fn record(
    form: Form<'_>,
    live: &Object,
    new: &Object,
    entries: &mut Entries,
    author: Author<'_>,
) -> Result<bool, Malformed> {
    let manager = author.as_manager(Operation::Update);
    let foreign = |set| owned_through(form.resource, author.subresource, set);
    let changed = osier_structured::update(
        form.schema(),
        &live.to_value(),
        &new.to_value(),
        &mut entries.owners,
        (&manager, &foreign),
    )?;
    if changed {
        entries.stamp(&manager, author);
        entries.forget_the_gone();
        entries.cap();
    }
    Ok(changed)
}

/// What a write through a part of the object can own at all.
fn owned_through(resource: &Resource, subresource: &str, set: FieldSet) -> FieldSet {
    let set = match subresource {
        "status" => set.only_field("status"),
        "" if resource.has(Subresource::Status) => set.without_field("status"),
        _ => set,
    };
    set.difference(&NOBODYS)
}

/// What the server owns.
static NOBODYS: LazyLock<FieldSet> = LazyLock::new(|| {
    let mut set = FieldSet::default();
    for field in ["apiVersion", "kind", "metadata"] {
        set.insert(&Path::of_fields(&[field]).0);
    }
    for field in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        set.insert(&Path::of_fields(&["metadata", field]).0);
    }
    set
});

/// The object without the list, for those who do not look at it.
pub fn forget(object: &mut Object) {
    if let Some(metadata) = object
        .as_map_mut()
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        let _: Option<Value> = Map::remove(metadata, "managedFields");
    }
}

#[cfg(test)]
mod tests;
