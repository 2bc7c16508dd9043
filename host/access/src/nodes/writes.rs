//! What a node may write: its Node, its Lease, the status and the end of the pods that are bound to it
//! (<https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction>).

use osier_api::{Object, Resource, companion, local_volume, resources};
use serde_json::json;

/// The group of the kinds whose status every node tells for itself.
const PER_NODE: &str = "policy.osier.dev";
/// Where the Leases of nodes are.
const LEASES_IN: &str = "kube-node-lease";
/// The part of a node's object that is for others to write.
const SPEC: [&str; 1] = ["spec"];

/// A write: of a new object, of one that is there, or away of it.
#[derive(Debug, Clone, Copy)]
pub struct NodeWrite<'a> {
    /// The kind.
    pub resource: &'a Resource,
    /// The part that is written.
    pub subresource: Option<&'a str>,
    /// As it was.
    pub old: Option<&'a Object>,
    /// As it is to be.
    pub new: Option<&'a Object>,
    /// The WorkloadGroup as a member of which the node joined, if it is a companion that did.
    pub group: Option<&'a Object>,
}

/// Why a node may not write this, if it may not.
pub fn refused_write(node: &str, write: &NodeWrite<'_>) -> Option<&'static str> {
    let object = write.new.or(write.old)?;
    let resource = write.resource;
    if *resource == resources::WORKLOAD_ENTRIES && write.subresource.is_none() {
        return own_entry(node, write);
    }
    if *resource == resources::NODES {
        if companion::entry(node).is_some() {
            return Some("speaks for a WorkloadEntry and is no Node");
        }
        return own_node(node, object, write);
    }
    if *resource == resources::LEASES {
        let own = object.namespace() == LEASES_IN && object.name() == node;
        return (!own).then_some("may write only its own Lease, in kube-node-lease");
    }
    if *resource == resources::PERSISTENT_VOLUMES {
        return own_volume(node, write);
    }
    if *resource == resources::PODS {
        return own_pod(node, write);
    }
    let told = write.subresource == Some("status") && resource.group != PER_NODE;
    told.then_some(
        "does not tell the status of what concerns the whole mesh: the control plane's node does",
    )
}

fn own_pod(node: &str, write: &NodeWrite<'_>) -> Option<&'static str> {
    let Some(old) = write.old else {
        return Some("may not create pods");
    };
    let own = old.text(&["spec", "nodeName"]) == node;
    (!own).then_some("may write only pods that are bound to it")
}

/// A node takes away the volumes on its own disk, and lets go of them.
fn own_volume(node: &str, write: &NodeWrite<'_>) -> Option<&'static str> {
    let own = write
        .old
        .filter(|volume| local_volume::node(volume) == Some(node));
    let (Some(old), None) = (own, write.subresource) else {
        return Some("may write only volumes on its own disk");
    };
    let changed = write
        .new
        .is_some_and(|new| new.get(&SPEC) != old.get(&SPEC));
    changed.then_some("may not change the spec of a volume")
}

/// A companion says where its workload is reached. One of a member of a group also makes its entry, as the group says, and takes it away.
fn own_entry(node: &str, write: &NodeWrite<'_>) -> Option<&'static str> {
    let entry = write.new.or(write.old)?;
    if companion::entry(node).is_none() {
        return Some("may not write WorkloadEntries");
    }
    if companion::of_entry(write.old.unwrap_or(entry)) != node {
        return Some("may write only the WorkloadEntry that it speaks for");
    }
    match (write.old, write.new) {
        (Some(old), Some(new)) => (without_address(old) != without_address(new))
            .then_some("may write only the annotation osier.dev/mesh-address of its WorkloadEntry"),
        _ if companion::group(node).is_none() => Some("may not create or delete WorkloadEntries"),
        (None, Some(new)) => unlike_group(new, write.group),
        (_, None) => None,
    }
}

/// What of a new entry is not as its group has it.
fn unlike_group(new: &Object, group: Option<&Object>) -> Option<&'static str> {
    let Some(group) = group else {
        return Some("joined as a member of a WorkloadGroup that does not exist");
    };
    let wanted = companion::registered(group, new.name(), new.text(&["spec", "address"]));
    let new = without_address(new);
    let parts: [&[&str]; 3] = [
        &["metadata", "labels"],
        &["metadata", "annotations"],
        &["spec"],
    ];
    let same = parts.iter().all(|part| new.get(part) == wanted.get(part));
    let owned = new.get(&["metadata", "ownerReferences"]).is_some();
    (!same || owned)
        .then_some("may make its WorkloadEntry only as the template of its WorkloadGroup says")
}

fn without_address(object: &Object) -> Object {
    let mut rest = object.clone();
    rest.remove(&["metadata", "annotations", companion::MESH_ADDRESS]);
    for own in ["managedFields", "resourceVersion", "generation"] {
        rest.remove(&["metadata", own]);
    }
    if rest.get(&["metadata", "annotations"]) == Some(&json!({})) {
        rest.remove(&["metadata", "annotations"]);
    }
    rest
}

fn own_node(node: &str, object: &Object, write: &NodeWrite<'_>) -> Option<&'static str> {
    if object.name() != node {
        return Some("may write only its own Node");
    }
    match (write.old, write.new) {
        (_, None) => Some("may not delete its Node"),
        (None, Some(new)) => {
            let taints = new.get(&["spec", "taints"]).is_some();
            taints.then_some("may not give itself taints")
        }
        (Some(old), Some(new)) => (old.get(&SPEC) != new.get(&SPEC))
            .then_some("may not change its spec: taints and cordons are for others to set"),
    }
}

#[cfg(test)]
mod tests;
