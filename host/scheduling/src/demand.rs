//! What pods ask of a node, and what a node has. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use osier_api::{Object, quantity};
use serde_json::Value;

/// What a pod asks for, what a node has, or what its pods take together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Thousandths of a CPU.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Pods: one, or the sum on a node.
    pub pods: u64,
    /// Bytes on the node's disk (`ephemeral-storage`).
    pub storage: u64,
    /// What else nodes say that they have (`example.com/gpu`).
    pub extra: Extra,
}

/// Amounts of extended resources by name; of most pods and nodes there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra(Option<Arc<BTreeMap<Box<str>, u64>>>);

impl Extra {
    fn of(quantities: &Value) -> Self {
        let all = quantities.as_object().into_iter().flatten();
        let others = all.filter(|(name, _)| !COUNTED.contains(&name.as_str()));
        let amount = |(name, amount): (&String, &Value)| {
            let amount = quantity::bytes(amount.as_str()?).ok()?;
            Some((name.as_str().into(), amount))
        };
        let found: BTreeMap<Box<str>, u64> = others.filter_map(amount).collect();
        Self((!found.is_empty()).then(|| Arc::new(found)))
    }

    fn amounts(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.0.iter().flat_map(|amounts| amounts.iter());
        all.map(|(name, amount)| (&**name, *amount))
    }

    fn amount(&self, name: &str) -> u64 {
        let amounts = self.0.as_ref();
        amounts
            .and_then(|amounts| amounts.get(name))
            .copied()
            .unwrap_or(0)
    }

    /// The first of these of which there is less than is wanted.
    pub(crate) fn lacks<'a>(&self, wanted: &'a Self) -> Option<&'a str> {
        let mut wanted = wanted.amounts();
        let lacking = wanted.find(|(name, amount)| *amount > self.amount(name));
        lacking.map(|(name, _)| name)
    }

    fn with(&self, other: &Self, how: fn(u64, u64) -> u64) -> Self {
        if other.0.is_none() {
            return self.clone();
        }
        let names = self.amounts().chain(other.amounts()).map(|(name, _)| name);
        let both = names.map(|name| (name.into(), how(self.amount(name), other.amount(name))));
        Self(Some(Arc::new(both.collect())))
    }
}

/// What has a number of its own.
const COUNTED: [&str; 4] = ["cpu", "memory", "pods", "ephemeral-storage"];

impl Demand {
    /// The requests of a pod: its containers and sidecars together, or its largest init container with the sidecars before it, if that
    /// is more.
    pub fn of(pod: &Object) -> Self {
        let sum = containers(pod, "containers").fold(Self::default(), |sum, one| sum.plus(&one));
        let (mut sidecars, mut most) = (Self::default(), Self::default());
        for (one, sidecar) in init_containers(pod) {
            let beside = sidecars.plus(&one);
            most = most.with(&beside, u64::max);
            if sidecar {
                sidecars = beside;
            }
        }
        let most = most.with(&sum.plus(&sidecars), u64::max);
        Self { pods: 1, ..most }
    }

    pub(crate) fn from_quantities(quantities: &Value) -> Self {
        let read = |key: &str, parse: fn(&str) -> Option<u64>| {
            quantities[key].as_str().and_then(parse).unwrap_or(0)
        };
        let bytes = |text: &str| quantity::bytes(text).ok();
        Self {
            cpu: read("cpu", |text| quantity::millicores(text).ok()),
            memory: read("memory", bytes),
            pods: read("pods", bytes),
            storage: read("ephemeral-storage", bytes),
            extra: Extra::of(quantities),
        }
    }

    fn with(&self, other: &Self, how: fn(u64, u64) -> u64) -> Self {
        Self {
            cpu: how(self.cpu, other.cpu),
            memory: how(self.memory, other.memory),
            pods: how(self.pods, other.pods),
            storage: how(self.storage, other.storage),
            extra: self.extra.with(&other.extra, how),
        }
    }

    /// The sum of both; never more than the numbers hold.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What is left without the other; never less than nothing.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_sub)
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
            ..Demand::default()
        };
        assert_eq!(Demand::of(&pod), demand);
    }

    #[test]
    fn what_has_a_name_of_its_own_is_counted_by_it() {
        let of = |quantities: Value| Demand::from_quantities(&quantities);
        let has = of(
            json!({"cpu": "1", "ephemeral-storage": "1Gi", "acme.com/gpu": "4", "acme.com/disk": "1"}),
        );
        let taken = of(json!({"acme.com/gpu": "1"})).plus(&of(
            json!({"acme.com/gpu": "2", "ephemeral-storage": "1Mi"}),
        ));
        let free = has.minus(&taken);
        assert_eq!(
            (
                free.storage,
                free.extra.amount("acme.com/gpu"),
                free.extra.amount("acme.com/disk")
            ),
            ((1 << 30) - (1 << 20), 1, 1)
        );
        let lacks = |quantities: Value| {
            let wanted = of(quantities);
            free.extra.lacks(&wanted.extra).map(str::to_owned)
        };
        assert_eq!(
            lacks(json!({"acme.com/gpu": "2"})).as_deref(),
            Some("acme.com/gpu")
        );
        assert_eq!(lacks(json!({"acme.com/gpu": "1", "cpu": "9"})), None);
        assert_eq!(
            lacks(json!({"acme.com/other": "1"})).as_deref(),
            Some("acme.com/other")
        );
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
