//! Replace and patch: one loop that makes the new object from the old one and stores it if nobody was faster.

use osier_api::{Fault, Object, Resource, Status, Subresource, resources};
use osier_limits::quota;
use serde_json::{Value, json};

use super::create::place;
use super::guard::Guards;
use super::{Registry, Write, sign, validate};
use crate::draft;
use crate::objects;
use crate::strategy::Strategy;
use crate::target::Address;
use osier_store::{Entry, Expect, StoreError};

/// How often a write is made again because another one came between.
const ATTEMPTS: usize = 64;

/// Metadata that no write changes.
const KEPT: [&str; 6] = [
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status.
    Main,
    /// Only the status.
    Status,
    /// Only a namespace's `spec.finalizers`.
    Finalize,
    /// The replica count, in the shape of the object itself.
    Scale,
    /// A pod's node, which nothing else may set after creation.
    Binding,
}

/// Makes the new object from the old one, and adds warnings for the caller.
pub(crate) type Make<'a> = dyn Fn(&Object, &mut Vec<String>) -> Result<Object, Status> + Sync + 'a;

/// What a write would store.
pub(crate) struct Change<'a> {
    pub(crate) part: Part,
    /// Called again when another write came between.
    pub(crate) make: &'a Make<'a>,
}

impl Registry {
    /// Changes the object at the address.
    pub(crate) async fn update(
        &self,
        write: &mut Write<'_>,
        change: Change<'_>,
    ) -> Result<Object, Status> {
        for _ in 0..ATTEMPTS {
            let entry = self.entry(write.address)?;
            write.warnings.clear();
            if let Some(object) = self.update_once(write, &change, entry).await? {
                return Ok(write.shown(object));
            }
        }
        Err(conflict(write.address))
    }

    /// `None` if another write came between.
    async fn update_once(
        &self,
        write: &mut Write<'_>,
        change: &Change<'_>,
        entry: Entry,
    ) -> Result<Option<Object>, Status> {
        let resource = write.resource();
        let strategy = self.strategies.of(resource);
        let old = self.read(write.address, &entry).await?;
        let shown = write.shown(old.clone());
        let proposed = (change.make)(&shown, &mut write.warnings)?;
        let new = drafted(write, strategy, (&old, proposed), change.part)?;
        let new = self.follow_versions(write, &old, new).await?;
        let mut new = self.admit(write, Some(&old), new).await?;
        let counted = |new: &mut Object| {
            if strategy.generations() && wanted_state_changed(write.address, &old, new) {
                new.set(&["metadata", "generation"], json!(old.generation() + 1));
            }
        };
        // Before anything is held: who converts may be slow.
        let (converted, moved) = match write.address.conversion() {
            Some(_) if !write.options.dry_run => {
                counted(&mut new);
                let moved =
                    objects::read(&entry)?.api_version() != write.address.storage_api_version();
                (self.to_store(write.address, &new).await?, moved)
            }
            _ => (None, false),
        };
        let guards = match change.part {
            Part::Main => self.guards(resource, Some(&old), &new).await?,
            _ => Guards::default(),
        };
        let place = self.reserve(resource, Some(&old), &new)?;
        let claim = strategy.claim(Some(&old), &mut new)?;
        counted(&mut new);
        new.set_resource_version(entry.modified);
        let over = new.deletion_timestamp().is_some() && ended(strategy, &new);
        if write.options.dry_run || (new == old && !over && !moved) {
            return Ok(Some(new));
        }
        let expect = Expect::Revision(entry.modified);
        let written = if over {
            self.store.delete(entry.key, expect).await
        } else {
            let bytes = objects::encode(converted.as_ref().unwrap_or(&new))?;
            let (key, guards) = (entry.key, &guards.all);
            self.store.put_guarded(key, bytes, expect, guards).await
        };
        drop((claim, place, guards));
        let Some(revision) = first(written)? else {
            return Ok(None);
        };
        new.set_resource_version(revision);
        if over || counts_anew(resource, &old, &new) {
            self.recount(&new).await;
        }
        Ok(Some(new))
    }
}

/// The object that a write wants: what it proposes, completed, judged by the rules of the kind, and signed.
fn drafted(
    write: &Write<'_>,
    strategy: &dyn Strategy,
    (old, mut proposed): (&Object, Object),
    part: Part,
) -> Result<Object, Status> {
    let address = write.address;
    let mut submitted = proposed.remove(&["metadata", "managedFields"]);
    let new = merge(address, strategy, (old, proposed), part)?;
    check_finalizers(address, old, &new)?;
    let mut new = draft::complete(address, new);
    if part != Part::Binding {
        validate(address, Some(old), &new)?;
        submitted = write.signed(Some(old), new.clone(), submitted);
    }
    sign::put_over(old, &mut new, submitted);
    Ok(new)
}

/// The revision of a write; none if another one came first.
fn first(written: Result<u64, StoreError>) -> Result<Option<u64>, Status> {
    match written {
        Ok(revision) => Ok(Some(revision)),
        Err(
            StoreError::Conflict { .. }
            | StoreError::NotFound { .. }
            | StoreError::Overtaken { .. },
        ) => Ok(None),
        Err(error) => Err(objects::unavailable(&error)),
    }
}

/// Whether an update changes what is used of a quota, or the quota.
fn counts_anew(resource: &Resource, old: &Object, new: &Object) -> bool {
    let limits = |object: &Object| object.get(&["spec"]).cloned();
    *resource == resources::RESOURCE_QUOTAS && limits(old) != limits(new)
        || quota::charge(resource, old) != quota::charge(resource, new)
}

/// Whether nothing keeps a deleted object any longer.
pub(super) fn ended(strategy: &dyn Strategy, object: &Object) -> bool {
    let grace = object
        .get(&["metadata", "deletionGracePeriodSeconds"])
        .and_then(Value::as_i64)
        .unwrap_or(0);
    grace == 0 && object.finalizers().is_empty() && !strategy.held(object)
}

pub(super) fn conflict(address: &Address) -> Status {
    Status::conflict(address.resource, &address.name)
}

/// The object to store: from the proposed one only the part that this write is about.
fn merge(
    address: &Address,
    strategy: &dyn Strategy,
    (old, mut proposed): (&Object, Object),
    part: Part,
) -> Result<Object, Status> {
    check_identity(address, old, &mut proposed)?;
    Ok(match part {
        Part::Status => with(old, &proposed, &["status"]),
        Part::Finalize => with(old, &proposed, &["spec", "finalizers"]),
        Part::Main | Part::Scale | Part::Binding => {
            let mut new = proposed;
            for field in KEPT {
                copy(old, &mut new, &["metadata", field]);
            }
            if part == Part::Main {
                if address.resource.has(Subresource::Status) {
                    copy(old, &mut new, &["status"]);
                }
                strategy.prepare_update(old, &mut new);
            }
            new
        }
    })
}

fn with(old: &Object, proposed: &Object, path: &[&str]) -> Object {
    let mut new = old.clone();
    copy(proposed, &mut new, path);
    new
}

fn copy(from: &Object, to: &mut Object, path: &[&str]) {
    match from.get(path) {
        Some(value) => to.set(path, value.clone()),
        None => drop(to.remove(path)),
    }
}

/// The body must be about the object of the URL, and made from its newest state if it names a state.
fn check_identity(address: &Address, old: &Object, proposed: &mut Object) -> Result<(), Status> {
    place(address, proposed)?;
    if proposed.name() != address.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            proposed.name(),
            address.name
        )));
    }
    let uid = proposed.uid();
    if !uid.is_empty() && uid != old.uid() {
        let words = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.uid()
        );
        return Err(Status::conflict_because(
            address.resource,
            &address.name,
            &words,
        ));
    }
    let named = proposed.text(&["metadata", "resourceVersion"]);
    let whole = matches!(address.subresource.as_str(), "" | "status");
    if address.custom.is_some() && whole && named.is_empty() {
        // Upstream replaces objects of most of its own kinds without a look at what is there, and of no other.
        let words = "must be specified for an update";
        let fault = Fault::invalid("metadata.resourceVersion", 0, words);
        return Err(Status::invalid(address.resource, &address.name, &[fault]));
    }
    if !named.is_empty() && named != "0" && named != old.text(&["metadata", "resourceVersion"]) {
        return Err(conflict(address));
    }
    Ok(())
}

/// An object on its way out takes no new finalizers.
fn check_finalizers(address: &Address, old: &Object, new: &Object) -> Result<(), Status> {
    if old.deletion_timestamp().is_none() {
        return Ok(());
    }
    let before = old.finalizers();
    let added: Vec<String> = new
        .finalizers()
        .into_iter()
        .filter(|name| !before.contains(name))
        .map(|name| format!("\"{name}\""))
        .collect();
    if added.is_empty() {
        return Ok(());
    }
    let words = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    let fault = Fault::forbidden("metadata.finalizers", words);
    Err(Status::invalid(address.resource, &address.name, &[fault]))
}

/// Whether anything but metadata and status differs. The status of a custom kind is a field like others unless it is a
/// subresource.
fn wanted_state_changed(address: &Address, old: &Object, new: &Object) -> bool {
    let plain = address.custom.is_some() && !address.resource.has(Subresource::Status);
    let wanted = |object: &Object| {
        let mut map = object.as_map().clone();
        map.remove("metadata");
        if !plain {
            map.remove("status");
        }
        map
    };
    wanted(old) != wanted(new)
}
