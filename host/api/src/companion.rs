//! Proxies that stand beside workloads outside: each speaks for one WorkloadEntry, as a node speaks for its pods.
//!
//! A companion is called `NAME.NAMESPACE.workload`, which no node may be: names of namespaces have no dots, so that it is read in
//! one way only.

/// Where a node's pods, or the workload of a companion, are reached from other nodes, as `ADDRESS:PORT`. A WorkloadEntry that has
/// the annotation is called through its companion and in no other way; it is empty while the companion is away.
pub const MESH_ADDRESS: &str = "osier.dev/mesh-address";

/// What a token that is for one companion only gives its bearer: this, and `NAMESPACE:NAME`.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers:workload:";

const SUFFIX: &str = ".workload";

/// What the companion of a WorkloadEntry is called.
#[must_use]
pub fn name((namespace, name): (&str, &str)) -> String {
    format!("{name}.{namespace}{SUFFIX}")
}

/// The namespace and name of the WorkloadEntry that a companion of this name is for.
#[must_use]
pub fn entry(node: &str) -> Option<(&str, &str)> {
    let (name, namespace) = node.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    (!name.is_empty() && !namespace.is_empty()).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_companion_it_is() {
        let called = name(("shop", "vm.1"));
        assert_eq!(called, "vm.1.shop.workload");
        assert_eq!(entry(&called), Some(("shop", "vm.1")));
        for node in [
            "node-a",
            "workload",
            ".workload",
            "a.workload",
            ".shop.workload",
        ] {
            assert_eq!(entry(node), None, "{node}");
        }
    }
}
