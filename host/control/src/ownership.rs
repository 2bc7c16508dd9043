//! Whose an object is: a controller owns what names it as its controller, takes up what it selects
//! and nobody owns, and lets go what it no longer selects.

use osier_api::{Object, Resource};
use osier_client::{Change, Client, ClientError, Informer, Part};
use serde_json::{Value, json};

pub(crate) use osier_workloads::{Claim, Owner, reference};

use crate::reconcile::{Key, gone_is_fine};

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
    // An empty list is none.
    let owners = (!owners.is_empty()).then_some(owners);
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
