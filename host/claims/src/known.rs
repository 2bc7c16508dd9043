//! Names that Kubernetes gives to what is noted on claims and volumes, and what is read off them.

use osier_api::{Object, local_volume};
use serde_json::Value;

/// The claim has its volume, and both say so.
pub(crate) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Nobody but the controller chose which volume goes to which claim.
pub(crate) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Who made a volume.
pub(crate) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Where the first pod of a claim will run.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Who is to make the volume of a claim.
pub(crate) const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// A claim that a pod uses stays.
pub(crate) const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// A volume that a claim has stays.
pub(crate) const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";

/// The class of a claim or volume; empty if it has none.
pub(crate) fn class(object: &Object) -> &str {
    object.text(&["spec", "storageClassName"])
}

/// How many bytes a claim asks for.
pub(crate) fn asked(claim: &Object) -> &str {
    claim.text(&["spec", "resources", "requests", "storage"])
}

/// How many bytes a volume has.
pub(crate) fn capacity(volume: &Object) -> &str {
    volume.text(&["spec", "capacity", "storage"])
}

/// The access modes that a claim asks for, or that a volume has.
pub(crate) fn modes(object: &Object) -> impl Iterator<Item = &str> {
    let modes = object
        .get(&["spec", "accessModes"])
        .and_then(Value::as_array);
    modes.into_iter().flatten().filter_map(Value::as_str)
}

/// What a volume asks of the node that mounts it: a required node selector, or null.
pub(crate) fn affinity(volume: &Object) -> Value {
    let required = volume.get(&["spec", "nodeAffinity", "required"]);
    required.cloned().unwrap_or_default()
}

/// The claim has its volume.
pub(crate) fn is_complete(claim: &Object) -> bool {
    claim.annotation(BIND_COMPLETED).is_some() && !claim.text(&["spec", "volumeName"]).is_empty()
}

/// Claims of the class get their volumes when their first pod is placed.
pub(crate) fn waits_for_pod(class: &Object) -> bool {
    class.text(&["volumeBindingMode"]) == "WaitForFirstConsumer"
}

/// Volumes of the class are made here.
pub(crate) fn is_ours(class: &Object) -> bool {
    class.text(&["provisioner"]) == local_volume::DRIVER
}

/// The volume is meant for the claim, by whoever wrote its `claimRef`.
pub(crate) fn is_for(volume: &Object, claim: &Object) -> bool {
    let of = |field: &str| volume.text(&["spec", "claimRef", field]);
    let named = of("namespace") == claim.namespace() && of("name") == claim.name();
    named && [claim.uid(), ""].contains(&of("uid"))
}
