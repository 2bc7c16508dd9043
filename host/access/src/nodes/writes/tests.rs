//! What nodes may write, and what not.
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
