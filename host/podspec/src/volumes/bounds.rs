//! What a pod may keep on its node's disk: each emptyDir by its `sizeLimit`, and all together by the containers' limits of
//! `ephemeral-storage`.

use osier_api::{Object, quantity};
use serde_json::Value;

use super::volumes;
use crate::spec::containers;

/// The bounds of one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The emptyDirs that may not grow without bound: name and bytes.
    pub volumes: Vec<(String, u64)>,
    /// Of all emptyDirs and logs together.
    pub whole: Option<Whole>,
}

/// The limit of a pod's containers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Bytes.
    pub limit: u64,
    /// The emptyDirs, which count.
    pub volumes: Vec<String>,
}

impl Bounds {
    /// Of a pod.
    #[must_use]
    pub fn of(pod: &Object) -> Self {
        let empty = || volumes(pod).filter(|volume| volume["emptyDir"].is_object());
        let name = |volume: &Value| volume["name"].as_str().map(str::to_owned);
        let bound = |volume: &Value| {
            let limit = bytes(&volume["emptyDir"]["sizeLimit"])?;
            Some((name(volume)?, limit))
        };
        let main = containers(pod, "containers").iter();
        let limits = main.filter_map(|one| bytes(&one["resources"]["limits"]["ephemeral-storage"]));
        let limit = limits.fold(None, |sum: Option<u64>, one| {
            Some(sum.unwrap_or(0).saturating_add(one))
        });
        Self {
            volumes: empty().filter_map(bound).collect(),
            whole: limit.map(|limit| Whole {
                limit,
                volumes: empty().filter_map(name).collect(),
            }),
        }
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.volumes.is_empty() && self.whole.is_none()
    }
}

fn bytes(quantity: &Value) -> Option<u64> {
    let bytes = quantity::bytes(quantity.as_str()?).ok()?;
    (bytes > 0).then_some(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_are_read() {
        let of = |spec: Value| Bounds::of(&Object::from_value(json!({"spec": spec})).unwrap());
        let volumes = json!([{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "w", "emptyDir": {}}, {"name": "c", "configMap": {}}]);
        let some = of(json!({"volumes": volumes, "containers": [{}]}));
        assert_eq!(
            (some.volumes.as_slice(), &some.whole),
            ([("v".to_owned(), 1 << 20)].as_slice(), &None)
        );
        let limit = |text: &str| json!({"resources": {"limits": {"ephemeral-storage": text}}});
        let both = of(json!({"volumes": volumes, "containers": [limit("1Ki"), {}, limit("2Ki")]}));
        let whole = Whole {
            limit: 3 << 10,
            volumes: vec!["v".to_owned(), "w".to_owned()],
        };
        assert_eq!(both.whole, Some(whole));
        assert!(
            of(json!({"containers": [{}], "volumes": [{"name": "w", "emptyDir": {}}]})).is_empty()
        );
    }
}
