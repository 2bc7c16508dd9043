//! Proxies that stand beside workloads outside: each speaks for one WorkloadEntry, as a node speaks for its pods.
//!
//! A companion is called `NAME.NAMESPACE.workload`, which no node may be: names of namespaces have no dots, so that it is read in
//! one way only. One that joined as a member of a WorkloadGroup is called `MEMBER.GROUP.NAMESPACE.grouped`, and its entry
//! `MEMBER.GROUP`; such groups have no dots in their names for the same reason.

use serde_json::{Map, Value, json};

use crate::Object;
use crate::resources::WORKLOAD_ENTRIES;

/// Where a node's pods, or the workload of a companion, are reached from other nodes, as `ADDRESS:PORT`. A WorkloadEntry that has
/// the annotation is called through its companion and in no other way; it is empty while the companion is away.
pub const MESH_ADDRESS: &str = "osier.dev/mesh-address";

/// The group as a member of which a WorkloadEntry was made, when its companion joined.
pub const GROUP: &str = "osier.dev/group";

/// The same in Istio's word, by which the group's probe checks the entry.
const REGISTERED: &str = "istio.io/autoRegistrationGroup";

/// What a token that is for one companion only gives its bearer: this, and `NAMESPACE:NAME`.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers:workload:";

/// What a token that is for the members of a WorkloadGroup gives its bearers: this, and `NAMESPACE:GROUP`.
pub const GROUP_BOOTSTRAPPERS: &str = "system:bootstrappers:group:";

const SUFFIX: &str = ".workload";
const GROUPED: &str = ".grouped";

/// What the companion of a WorkloadEntry is called that somebody made.
#[must_use]
pub fn name((namespace, name): (&str, &str)) -> String {
    format!("{name}.{namespace}{SUFFIX}")
}

/// What the companion of a member of a group is called; `name` is that of its entry.
#[must_use]
pub fn grouped((namespace, name): (&str, &str)) -> String {
    format!("{name}.{namespace}{GROUPED}")
}

/// What the companion of this WorkloadEntry is called.
#[must_use]
pub fn of_entry(entry: &Object) -> String {
    let named = (entry.namespace(), entry.name());
    let member = entry.annotation(GROUP).and_then(|group| {
        let (_, own) = entry.name().rsplit_once('.')?;
        (own == group).then(|| grouped(named))
    });
    member.unwrap_or_else(|| name(named))
}

/// The namespace and name of the WorkloadEntry that a companion of this name is for.
#[must_use]
pub fn entry(node: &str) -> Option<(&str, &str)> {
    let named = node.strip_suffix(SUFFIX);
    let named = named.or_else(|| node.strip_suffix(GROUPED).filter(|_| group(node).is_some()));
    let (name, namespace) = named?.rsplit_once('.')?;
    (!name.is_empty() && !namespace.is_empty()).then_some((namespace, name))
}

/// The namespace and name of the WorkloadGroup as a member of which a companion of this name joined.
#[must_use]
pub fn group(node: &str) -> Option<(&str, &str)> {
    let (entry, namespace) = node.strip_suffix(GROUPED)?.rsplit_once('.')?;
    let (member, group) = entry.rsplit_once('.')?;
    let whole = [member, group, namespace]
        .iter()
        .all(|part| !part.is_empty());
    whole.then_some((namespace, group))
}

/// The WorkloadEntry of a member of a WorkloadGroup, as its template says
/// (<https://istio.io/latest/docs/reference/config/networking/workload-group/>).
#[must_use]
pub fn registered(group: &Object, name: &str, address: &str) -> Object {
    let mut entry = Object::new(&WORKLOAD_ENTRIES, group.namespace(), name);
    let part = |path: &[&str]| {
        let found = group.get(path).and_then(Value::as_object);
        found.cloned().unwrap_or_default()
    };
    let mut annotations = part(&["spec", "metadata", "annotations"]);
    for key in [GROUP, REGISTERED] {
        annotations.insert(key.to_owned(), group.name().into());
    }
    annotations.remove(MESH_ADDRESS);
    let labels = part(&["spec", "metadata", "labels"]);
    let mut spec: Map<String, Value> = part(&["spec", "template"]);
    let mut own = part(&["spec", "template", "labels"]);
    for (key, value) in &labels {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
    if !own.is_empty() {
        spec.insert("labels".to_owned(), own.into());
    }
    spec.insert("address".to_owned(), address.into());
    if !labels.is_empty() {
        entry.set(&["metadata", "labels"], labels.into());
    }
    entry.set(&["metadata", "annotations"], annotations.into());
    entry.set(&["spec"], json!(spec));
    entry
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_companion_it_is() {
        let called = name(("shop", "vm.1"));
        assert_eq!(called, "vm.1.shop.workload");
        assert_eq!(
            (entry(&called), group(&called)),
            (Some(("shop", "vm.1")), None)
        );
        let member = grouped(("shop", "10.0.0.9.vms"));
        assert_eq!(member, "10.0.0.9.vms.shop.grouped");
        assert_eq!(entry(&member), Some(("shop", "10.0.0.9.vms")));
        assert_eq!(group(&member), Some(("shop", "vms")));
        for node in [
            "node-a",
            "workload",
            ".workload",
            "a.workload",
            ".shop.workload",
            "a.shop.grouped",
            ".a.shop.grouped",
            "grouped",
        ] {
            assert_eq!((entry(node), group(node)), (None, None), "{node}");
        }
    }

    #[test]
    fn a_member_is_as_its_group_says() {
        let group = json!({"metadata": {"name": "vms", "namespace": "shop"}, "spec": {
            "metadata": {"labels": {"app": "legacy"}, "annotations": {"note": "x", MESH_ADDRESS: "10.0.0.1:1"}},
            "template": {"serviceAccount": "legacy", "ports": {"http": 8080}, "labels": {"version": "v1"}}}});
        let entry = registered(&Object::from_value(group).unwrap(), "a.vms", "10.0.0.9");
        assert_eq!(of_entry(&entry), "a.vms.shop.grouped");
        assert_eq!(
            entry.get(&["spec"]).unwrap(),
            &json!({"address": "10.0.0.9", "serviceAccount": "legacy",
            "ports": {"http": 8080}, "labels": {"app": "legacy", "version": "v1"}})
        );
        assert_eq!(
            entry.get(&["metadata", "labels"]).unwrap(),
            &json!({"app": "legacy"})
        );
        assert_eq!(
            entry.annotation(MESH_ADDRESS),
            None,
            "only the companion says where it is"
        );
        let mut other = entry.clone();
        other.set(&["metadata", "annotations", GROUP], json!("others"));
        assert_eq!(of_entry(&other), "a.vms.shop.workload");
    }
}
