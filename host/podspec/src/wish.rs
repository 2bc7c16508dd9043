//! Tokens that volumes ask for.

use std::collections::BTreeMap;

use osier_api::Object;
use serde_json::{Value, json};

/// How long a token lasts if nobody says so, in seconds.
const USUAL: u64 = 3600;

/// What kind of token a volume asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wish {
    /// For whom it is; empty for the API server.
    pub audience: String,
    /// How long it lasts.
    pub seconds: u64,
}

/// The tokens of one container's volumes.
pub type Tokens = BTreeMap<Wish, String>;

impl Wish {
    /// Of a `serviceAccountToken` projection.
    #[must_use]
    pub fn of(source: &Value) -> Self {
        Self {
            audience: source["audience"].as_str().unwrap_or_default().to_owned(),
            seconds: source["expirationSeconds"].as_u64().unwrap_or(USUAL),
        }
    }

    /// The spec of the TokenRequest, for a token that ends with the pod.
    #[must_use]
    pub fn spec(&self, pod: &Object) -> Value {
        let mut spec = json!({
            "expirationSeconds": self.seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod.name(), "uid": pod.uid()},
        });
        if !self.audience.is_empty() {
            spec["audiences"] = json!([self.audience]);
        }
        spec
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_wish_becomes_a_request_for_a_token_that_ends_with_the_pod() {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}});
        let pod = Object::from_value(pod).unwrap();
        let usual = Wish::of(&json!({"path": "token"})).spec(&pod);
        assert_eq!(
            usual,
            json!({"expirationSeconds": 3600,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u"}})
        );
        let vault = json!({"path": "token", "audience": "vault", "expirationSeconds": 600});
        let vault = Wish::of(&vault).spec(&pod);
        assert_eq!(vault["audiences"], json!(["vault"]));
        assert_eq!(vault["expirationSeconds"], 600);
    }
}
