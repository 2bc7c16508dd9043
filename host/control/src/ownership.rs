//! Whose an object is: a controller owns what names it as its controller, takes up what it selects
//! and nobody owns, and lets go what it no longer selects.

use std::sync::Arc;

use osier_api::selector::LabelSelector;
use osier_api::{Object, Resource};
use osier_client::{Change, Client, ClientError, Informer, Part};
use serde_json::{Value, json};

use crate::reconcile::{Key, gone_is_fine};

/// A controller as its dependents see it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owner {
    pub(crate) uid: String,
    pub(crate) selector: LabelSelector,
    /// It is being deleted: it takes up nothing and lets nothing go.
    pub(crate) leaving: bool,
}

/// What a controller has, and what changes about that.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    /// What it owns and selects, and what it is about to own.
    pub(crate) mine: Vec<Arc<Object>>,
    /// Selected and without a controller: to be taken up.
    pub(crate) adopt: Vec<Arc<Object>>,
    /// Owned and no longer selected: to be let go.
    pub(crate) release: Vec<Arc<Object>>,
}

impl Owner {
    pub(crate) fn of(controller: &Object) -> Self {
        Self {
            uid: controller.uid().to_owned(),
            selector: LabelSelector::of_controller(controller).unwrap_or_default(),
            leaving: controller.deletion_timestamp().is_some(),
        }
    }

    /// An empty selector selects nothing.
    pub(crate) fn selects(&self, object: &Object) -> bool {
        !self.selector.is_empty() && self.selector.selects(object)
    }

    pub(crate) fn owns(&self, object: &Object) -> bool {
        object
            .controller_of()
            .is_some_and(|owner| owner.uid == self.uid)
    }

    /// Sorts the objects of the controller's namespace; what is on its way out is not taken up.
    pub(crate) fn claim<'a>(&self, objects: impl IntoIterator<Item = &'a Arc<Object>>) -> Claim {
        let mut claim = Claim::default();
        for object in objects {
            match (self.owns(object), self.selects(object)) {
                (true, true) => claim.mine.push(Arc::clone(object)),
                (true, false) if !self.leaving => claim.release.push(Arc::clone(object)),
                (false, true) if !self.leaving && is_free(object) => {
                    claim.adopt.push(Arc::clone(object));
                    claim.mine.push(Arc::clone(object));
                }
                _ => {}
            }
        }
        claim
    }
}

fn is_free(object: &Object) -> bool {
    object.controller_of().is_none() && object.deletion_timestamp().is_none()
}

/// The controllers that a change of a pod concerns: its owner now and before, or all that could
/// adopt it.
pub(crate) fn concerned(change: &Change, controllers: &Informer) -> Vec<Key> {
    let pod = change.object();
    let resource = controllers.resource();
    let states = [Some(pod), change.old()];
    let owners = states
        .into_iter()
        .flatten()
        .filter_map(|pod| pod.controller_of());
    let mut keys: Vec<Key> = owners
        .filter(|owner| owner.kind == resource.kind)
        .map(|owner| Key::new(pod.namespace(), &owner.name))
        .collect();
    if pod.controller_of().is_none() && !change.is_deleted() {
        let candidates = controllers.list_in(pod.namespace());
        keys.extend(
            candidates
                .iter()
                .filter(|controller| Owner::of(controller).selects(pod))
                .map(|controller| Key::of(controller)),
        );
    }
    keys.dedup();
    keys
}

/// Writes what a claim changes.
pub(crate) async fn settle(
    client: &Client,
    resource: &'static Resource,
    controller: &Object,
    claim: &Claim,
) -> Result<(), ClientError> {
    for object in &claim.adopt {
        let mut owners = owners(object);
        owners.push(reference(controller));
        set_owners(client, resource, object, owners).await?;
    }
    for object in &claim.release {
        let mut owners = owners(object);
        owners.retain(|owner| owner["uid"] != controller.uid());
        set_owners(client, resource, object, owners).await?;
    }
    Ok(())
}

async fn set_owners(
    client: &Client,
    resource: &'static Resource,
    object: &Object,
    owners: Vec<Value>,
) -> Result<(), ClientError> {
    // With uid and revision, so that another object of this name, or a race for it, is a conflict.
    let patch = json!({"metadata": {"uid": object.uid(),
        "resourceVersion": object.resource_version().to_string(), "ownerReferences": owners}});
    let of = (object.namespace(), object.name());
    gone_is_fine(client.patch(resource, of, patch, Part::Whole).await)
}

fn owners(object: &Object) -> Vec<Value> {
    let owners = object
        .get(&["metadata", "ownerReferences"])
        .and_then(Value::as_array);
    owners.cloned().unwrap_or_default()
}

/// The reference by which `controller` owns something.
pub(crate) fn reference(controller: &Object) -> Value {
    json!({
        "apiVersion": controller.api_version(), "kind": controller.kind(),
        "name": controller.name(), "uid": controller.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}
