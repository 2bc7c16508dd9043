//! What pods ask of a node, and what a node has. Pure.

use osier_api::{Object, quantity};
use serde_json::Value;

/// What a pod asks for, what a node has, or what its pods take together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Thousandths of a CPU.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Pods: one, or the sum on a node.
    pub pods: u64,
}

impl Demand {
    /// The requests of a pod: its containers and sidecars together, or its largest init container with the sidecars before it, if that
    /// is more.
    pub fn of(pod: &Object) -> Self {
        let sum = containers(pod, "containers").fold(Self::default(), |sum, one| Self {
            cpu: sum.cpu.saturating_add(one.cpu),
            memory: sum.memory.saturating_add(one.memory),
            pods: 0,
        });
        let (mut sidecars, mut most) = (Self::default(), Self::default());
        for (one, sidecar) in init_containers(pod) {
            let beside = sidecars.plus(one);
            most = most.larger(beside);
            if sidecar {
                sidecars = beside;
            }
        }
        let most = most.larger(sum.plus(sidecars));
        Self { pods: 1, ..most }
    }

    pub(crate) fn from_quantities(quantities: &Value) -> Self {
        let read = |key: &str, parse: fn(&str) -> Option<u64>| {
            quantities[key].as_str().and_then(parse).unwrap_or(0)
        };
        Self {
            cpu: read("cpu", |text| quantity::millicores(text).ok()),
            memory: read("memory", |text| quantity::bytes(text).ok()),
            pods: read("pods", |text| quantity::bytes(text).ok()),
        }
    }

    /// What satisfies either.
    fn larger(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            pods: self.pods.max(other.pods),
        }
    }

    /// The sum of both; never more than the numbers hold.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            pods: self.pods.saturating_add(other.pods),
        }
    }

    /// What is left without the other; never less than nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
            pods: self.pods.saturating_sub(other.pods),
        }
    }
}

/// The init containers, and whether each goes on beside the containers.
fn init_containers(pod: &Object) -> impl Iterator<Item = (Demand, bool)> + '_ {
    let containers = pod
        .get(&["spec", "initContainers"])
        .and_then(Value::as_array);
    containers.into_iter().flatten().map(|container| {
        let demand = Demand::from_quantities(&container["resources"]["requests"]);
        (demand, container["restartPolicy"] == "Always")
    })
}

fn containers<'a>(pod: &'a Object, field: &'a str) -> impl Iterator<Item = Demand> + 'a {
    let containers = pod.get(&["spec", field]).and_then(Value::as_array);
    containers
        .into_iter()
        .flatten()
        .map(|container| Demand::from_quantities(&container["resources"]["requests"]))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_add_up_and_init_containers_peak() {
        let spec = json!({
            "containers": [{"resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}},
                {"resources": {"requests": {"cpu": "0.2"}}}],
            "initContainers": [{"resources": {"requests": {"memory": "3Mi"}}}]});
        let pod = Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let demand = Demand {
            cpu: 300,
            memory: 3 << 20,
            pods: 1,
        };
        assert_eq!(Demand::of(&pod), demand);
    }

    #[test]
    fn sidecars_are_there_with_the_containers_and_with_what_starts_after_them() {
        let of = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let spec = json!({"containers": [{"resources": of("100m")}], "initContainers": [
            {"resources": of("300m")}, {"resources": of("50m"), "restartPolicy": "Always"}, {"resources": of("280m")}]});
        let pod = Object::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        assert_eq!(Demand::of(&pod).cpu, 330, "the last one beside the sidecar");
    }
}
