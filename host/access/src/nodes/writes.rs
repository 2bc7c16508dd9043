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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::Value;

    fn judged(
        (resource, subresource): (&'static Resource, Option<&'static str>),
        (old, new): (Option<Value>, Option<Value>),
    ) -> Option<&'static str> {
        let read = |value: Option<Value>| value.map(|value| Object::from_value(value).unwrap());
        let (old, new) = (read(old), read(new));
        let write = NodeWrite {
            resource,
            subresource,
            old: old.as_ref(),
            new: new.as_ref(),
            group: None,
        };
        refused_write("b", &write)
    }

    #[test]
    fn a_node_writes_only_its_own_node() {
        let node = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
        let write = |old, new| judged((&resources::NODES, None), (old, new));
        assert_eq!(write(None, Some(node("b", json!({})))), None);
        let other = write(None, Some(node("a", json!({})))).unwrap();
        assert!(other.contains("its own Node"), "{other}");
        let free = node("b", json!({}));
        let tainted = node("b", json!({"taints": [{"key": "k"}]}));
        assert!(
            write(Some(tainted), Some(free.clone()))
                .unwrap()
                .contains("spec")
        );
        assert!(write(Some(free), None).is_some());
    }

    #[test]
    fn a_node_writes_only_pods_that_are_bound_to_it() {
        let pod = |node: &str| json!({"metadata": {"name": "p"}, "spec": {"nodeName": node}});
        let status = (&resources::PODS, Some("status"));
        assert_eq!(judged(status, (Some(pod("b")), Some(pod("b")))), None);
        assert!(judged(status, (Some(pod("a")), Some(pod("a")))).is_some());
        let pods = (&resources::PODS, None);
        assert!(judged(pods, (None, Some(pod("b")))).is_some());
        assert!(judged(pods, (Some(pod("a")), None)).is_some());
    }

    #[test]
    fn a_node_takes_away_only_volumes_on_its_own_disk() {
        let volume = |node: &str, capacity: &str| {
            json!({"metadata": {"name": "v"}, "spec": {"csi": local_volume::source("v"),
                "nodeAffinity": local_volume::affinity(node), "capacity": {"storage": capacity}}})
        };
        let write = |old, new| judged((&resources::PERSISTENT_VOLUMES, None), (old, new));
        assert_eq!(write(Some(volume("b", "1")), None), None);
        assert_eq!(write(Some(volume("b", "1")), Some(volume("b", "1"))), None);
        assert!(write(Some(volume("b", "1")), Some(volume("b", "2"))).is_some());
        assert!(write(Some(volume("a", "1")), None).is_some());
        assert!(write(None, Some(volume("b", "1"))).is_some());
        let shared = json!({"metadata": {"name": "v"}, "spec": {"hostPath": {"path": "/x"}}});
        assert!(write(Some(shared), None).is_some());
    }

    #[test]
    fn a_companion_says_where_its_workload_is_and_nothing_else() {
        let entry = |name: &str, address: Option<&str>, account: &str| {
            let mut object = Object::from_value(json!({
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"address": "192.0.2.1", "serviceAccount": account},
            }))
            .unwrap();
            if let Some(address) = address {
                let field = ["metadata", "annotations", companion::MESH_ADDRESS];
                object.set(&field, json!(address));
            }
            object
        };
        let judge = |node: &str, old: &Object, new: Option<&Object>| {
            let write = NodeWrite {
                resource: &resources::WORKLOAD_ENTRIES,
                subresource: None,
                old: Some(old),
                new,
                group: None,
            };
            refused_write(node, &write)
        };
        let (plain, told) = (
            entry("vm", None, "web"),
            entry("vm", Some("192.0.2.1:15008"), "web"),
        );
        assert_eq!(judge("vm.shop.workload", &plain, Some(&told)), None);
        assert_eq!(judge("vm.shop.workload", &told, Some(&plain)), None);
        assert!(judge("b", &plain, Some(&told)).is_some());
        assert!(judge("other.shop.workload", &plain, Some(&told)).is_some());
        let greedy = entry("vm", Some("192.0.2.1:15008"), "admin");
        assert!(judge("vm.shop.workload", &plain, Some(&greedy)).is_some());
        assert!(judge("vm.shop.workload", &told, None).is_some());
        let node = Object::from_value(json!({"metadata": {"name": "vm.shop.workload"}})).unwrap();
        let write = NodeWrite {
            resource: &resources::NODES,
            subresource: None,
            old: None,
            new: Some(&node),
            group: None,
        };
        assert!(refused_write("vm.shop.workload", &write).is_some());
    }

    #[test]
    fn a_member_of_a_group_makes_its_entry_as_the_group_says() {
        let group = |name: &str| {
            let template = json!({"serviceAccount": "legacy", "ports": {"http": 8080}});
            let group = json!({"metadata": {"name": name, "namespace": "shop"},
                "spec": {"metadata": {"labels": {"app": "legacy"}}, "template": template}});
            Object::from_value(group).unwrap()
        };
        let judge = |node: &str, new: &Object, group: Option<&Object>| {
            let write = NodeWrite {
                resource: &resources::WORKLOAD_ENTRIES,
                subresource: None,
                old: None,
                new: Some(new),
                group,
            };
            refused_write(node, &write)
        };
        let (vms, node) = (group("vms"), "a.vms.shop.grouped");
        let mut entry = companion::registered(&vms, "a.vms", "10.0.0.9");
        assert_eq!(judge(node, &entry, Some(&vms)), None);
        assert!(judge(node, &entry, None).is_some(), "the group is gone");
        assert!(judge("b.vms.shop.grouped", &entry, Some(&vms)).is_some());
        assert!(judge("a.vms.shop.workload", &entry, None).is_some());
        assert!(judge("b", &entry, None).is_some());
        let others = companion::registered(&group("others"), "a.others", "10.0.0.9");
        assert!(judge(node, &others, Some(&vms)).is_some());
        entry.set(&["spec", "serviceAccount"], json!("admin"));
        assert!(judge(node, &entry, Some(&vms)).is_some(), "another account");
    }

    #[test]
    fn a_node_tells_no_status_of_the_mesh() {
        let object = json!({"metadata": {"name": "r", "namespace": "x"}});
        let both = || (Some(object.clone()), Some(object.clone()));
        let route = (&resources::VIRTUAL_SERVICES, Some("status"));
        assert!(judged(route, both()).is_some());
        let policy = (&resources::POLICIES, Some("status"));
        assert_eq!(judged(policy, both()), None);
    }
}
