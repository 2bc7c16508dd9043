//! Delete: at once, or by marking the object and waiting for those who hold it.

use osier_api::{Fault, Object, Resource, Status};
use osier_process::clock;
use serde_json::{Value, json};

use super::update::{conflict, ended};
use super::{Registry, Write};
use crate::objects;
use crate::query::{self, Query};
use crate::strategy::Strategy;
use crate::target::Address;
use osier_store::{Expect, StoreError};

/// How often a delete is tried again because a write came between.
const ATTEMPTS: usize = 64;

/// What happens to the objects that this one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They stay.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

/// The wishes of a delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From the body (which may be absent) and the query; the body counts more.
    pub(crate) fn read(body: &Value, query: &Query) -> Result<Self, Status> {
        let text = |path: &str| {
            body.pointer(path)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
        let dry_run = body
            .get("dryRun")
            .and_then(Value::as_array)
            .is_some_and(|all| all.contains(&json!("All")));
        Ok(Self {
            grace: grace.or(query.number("gracePeriodSeconds")?),
            propagation: propagation(body, query)?,
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            dry_run: dry_run || query::dry_run(query)?,
        })
    }

    fn check(&self, address: &Address, object: &Object) -> Result<(), Status> {
        let version = object.resource_version().to_string();
        let pairs = [
            ("UID", &self.uid, object.uid()),
            ("ResourceVersion", &self.resource_version, version.as_str()),
        ];
        for (name, wanted, found) in pairs {
            if let Some(wanted) = wanted
                && wanted != found
            {
                let words = format!(
                    "Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {found}"
                );
                return Err(Status::conflict_because(
                    address.resource,
                    &address.name,
                    &words,
                ));
            }
        }
        Ok(())
    }
}

/// Names the options in refusals; nothing serves them.
static OPTIONS: Resource = Resource {
    group: "meta.k8s.io",
    versions: &["v1"],
    kind: "DeleteOptions",
    plural: "deleteoptions",
    singular: "deleteoptions",
    short_names: &[],
    categories: &[],
    namespaced: false,
    subresources: &[],
    verbs: &[],
    schema: "",
};

fn refused(fault: Fault) -> Status {
    Status::invalid(&OPTIONS, "", &[fault])
}

fn propagation(body: &Value, query: &Query) -> Result<Option<Propagation>, Status> {
    let orphan = body.get("orphanDependents").and_then(Value::as_bool);
    let said = body
        .get("propagationPolicy")
        .and_then(Value::as_str)
        .or(query.get("propagationPolicy"));
    if let (Some(said), Some(_)) = (said, orphan) {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        return Err(refused(Fault::invalid("propagationPolicy", said, detail)));
    }
    match (said, orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Ok(Some(Propagation::Orphan)),
        (Some("Background"), _) | (None, Some(false)) => Ok(Some(Propagation::Background)),
        (Some("Foreground"), _) => Ok(Some(Propagation::Foreground)),
        (None, None) => Ok(None),
        (Some(other), _) => Err(refused(Fault::not_supported(
            "propagationPolicy",
            other,
            &["Background", "Foreground", "Orphan"],
        ))),
    }
}

/// How a delete ended.
pub(crate) enum Deleted {
    /// The object is gone.
    Gone(Object),
    /// The object is marked, and somebody holds it.
    Marked(Object),
}

/// What a delete does to an object.
#[derive(Debug, PartialEq)]
enum Plan {
    Remove,
    Mark(Object),
    Nothing,
}

impl Registry {
    /// Deletes the object at the address.
    pub(crate) async fn delete(
        &self,
        write: &mut Write<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let strategy = self.strategies.of(write.resource());
        for attempt in 0..ATTEMPTS {
            let entry = self.entry(write.address)?;
            let old = objects::read(&entry)?;
            options.check(write.address, &old)?;
            strategy.may_delete(&old)?;
            if attempt == 0 {
                self.admit_delete(write, &old).await?;
            }
            let expect = Expect::Revision(entry.modified);
            let planned = plan(strategy, &old, options, clock::now());
            // What is answered with an object is shown before it is done, so that who converts can only refuse.
            let shown = match &planned {
                Plan::Remove => None,
                Plan::Mark(object) => Some(self.presented(write.address, object.clone()).await?),
                Plan::Nothing => Some(self.presented(write.address, old.clone()).await?),
            };
            let (written, mut object, gone) = match planned {
                Plan::Nothing => return Ok(Deleted::Marked(write.shown(shown.unwrap_or(old)))),
                Plan::Remove if options.dry_run => return Ok(Deleted::Gone(write.shown(old))),
                Plan::Mark(marked) if options.dry_run => {
                    return Ok(Deleted::Marked(write.shown(shown.unwrap_or(marked))));
                }
                Plan::Remove => (self.store.delete(entry.key, expect).await, old, true),
                Plan::Mark(marked) => (
                    self.store
                        .put(entry.key, objects::encode(&marked)?, expect)
                        .await,
                    marked,
                    false,
                ),
            };
            match written {
                Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => continue,
                Err(error) => return Err(objects::unavailable(&error)),
                Ok(revision) => object.set_resource_version(revision),
            }
            if gone {
                self.recount(&object).await;
                return Ok(Deleted::Gone(write.shown(object)));
            }
            let mut shown = shown.unwrap_or_else(|| object.clone());
            shown.set_resource_version(object.resource_version());
            return Ok(Deleted::Marked(write.shown(shown)));
        }
        Err(conflict(write.address))
    }
}

/// Decides, from the object and the wishes alone.
fn plan(
    strategy: &dyn Strategy,
    old: &Object,
    options: &DeleteOptions,
    now: jiff::Timestamp,
) -> Plan {
    let mut new = old.clone();
    set_propagation(&mut new, options.propagation);
    let grace = strategy.grace(old, options.grace).unwrap_or(0);
    let current = old
        .get(&["metadata", "deletionGracePeriodSeconds"])
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let first = old.deletion_timestamp().is_none();
    // A second delete can only shorten the time that is left.
    let shortened = !first && options.grace.is_some() && grace < current;
    if first || shortened {
        let end = now
            .checked_add(jiff::SignedDuration::from_secs(grace))
            .unwrap_or(now);
        new.set(
            &["metadata", "deletionTimestamp"],
            json!(clock::seconds(end)),
        );
        new.set(&["metadata", "deletionGracePeriodSeconds"], json!(grace));
    }
    if first {
        strategy.marked(&mut new);
    }
    if ended(strategy, &new) {
        return Plan::Remove;
    }
    if first && strategy.generations() {
        new.set(&["metadata", "generation"], json!(old.generation() + 1));
    }
    if new == *old {
        Plan::Nothing
    } else {
        Plan::Mark(new)
    }
}

/// Orphan and Foreground are finalizers that the garbage collector works off.
fn set_propagation(object: &mut Object, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else {
        return;
    };
    let mut finalizers: Vec<String> = object
        .finalizers()
        .iter()
        .map(ToString::to_string)
        .collect();
    finalizers.retain(|name| name != "orphan" && name != "foregroundDeletion");
    match propagation {
        Propagation::Orphan => finalizers.push("orphan".to_owned()),
        Propagation::Foreground => finalizers.push("foregroundDeletion".to_owned()),
        Propagation::Background => {}
    }
    if finalizers.is_empty() {
        object.remove(&["metadata", "finalizers"]);
    } else {
        object.set(&["metadata", "finalizers"], json!(finalizers));
    }
}
