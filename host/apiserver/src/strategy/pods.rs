//! Pods: they begin as Pending, and end with a grace period that the node agent works off.

use osier_api::Object;
use serde_json::{Value, json};

use super::Strategy;

/// Seconds between the polite and the final end, where the pod does not say.
const DEFAULT_GRACE: i64 = 30;

/// Who a pod acts as, and what the field was called before.
const ACCOUNT: [&str; 2] = ["serviceAccountName", "serviceAccount"];
/// The account of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

pub(super) struct Pods;

impl Strategy for Pods {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"phase": "Pending"}));
        if ACCOUNT
            .iter()
            .all(|field| object.text(&["spec", field]).is_empty())
        {
            object.set(&["spec", ACCOUNT[0]], DEFAULT_ACCOUNT.into());
        }
        self.admitted(object);
    }

    /// A manifest that names no account means the one that the pod got.
    fn prepare_update(&self, old: &Object, new: &mut Object) {
        for field in ACCOUNT {
            let before = old.get(&["spec", field]);
            if let (Some(before), true) = (before, new.text(&["spec", field]).is_empty()) {
                new.set(&["spec", field], before.clone());
            }
        }
    }

    fn admitted(&self, object: &mut Object) {
        object.set(&["status", "qosClass"], quality(object).into());
    }

    fn grace(&self, object: &Object, asked: Option<i64>) -> Option<i64> {
        let at_rest = matches!(
            object.get(&["status", "phase"]).and_then(Value::as_str),
            Some("Succeeded" | "Failed")
        );
        let placed = object
            .get(&["spec", "nodeName"])
            .and_then(Value::as_str)
            .is_some_and(|node| !node.is_empty());
        if at_rest || !placed {
            return Some(0);
        }
        let own = || {
            object
                .get(&["spec", "terminationGracePeriodSeconds"])
                .and_then(Value::as_i64)
        };
        let seconds = asked.or_else(own).unwrap_or(DEFAULT_GRACE);
        // A negative period asks for the shortest one that is still graceful.
        Some(if seconds < 0 { 1 } else { seconds })
    }
}

/// The quality-of-service class, from the cpu and memory requests and limits of all containers.
fn quality(pod: &Object) -> &'static str {
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| {
            pod.get(&["spec", list])
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        });
    let (mut any, mut all) = (false, true);
    for container in containers {
        for kind in ["cpu", "memory"] {
            let amount = |part: &str| container.get("resources")?.get(part)?.get(kind);
            let (request, limit) = (amount("requests"), amount("limits"));
            any |= request.is_some() || limit.is_some();
            all &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn pod(spec: Value) -> Object {
        Object::from_value(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}),
        )
        .unwrap()
    }

    #[test]
    fn quality_classes() {
        assert_eq!(
            quality(&pod(json!({"containers": [{"name": "a"}]}))),
            "BestEffort"
        );
        let request = json!({"containers": [{"resources": {"requests": {"cpu": "1"}}}]});
        assert_eq!(quality(&pod(request)), "Burstable");
        let limits =
            json!({"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}]});
        assert_eq!(quality(&pod(limits)), "Guaranteed");
        let one_of_two = json!({"containers": [{"resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}, {"name": "b"}]});
        assert_eq!(quality(&pod(one_of_two)), "Burstable");
    }

    #[test]
    fn a_pod_acts_as_the_default_account_unless_it_says_otherwise() {
        let mut plain = pod(json!({"containers": []}));
        Pods.prepare_create(&mut plain);
        assert_eq!(plain.text(&["spec", "serviceAccountName"]), "default");
        for field in ACCOUNT {
            let mut named = pod(json!({(field): "reader"}));
            Pods.prepare_create(&mut named);
            assert_ne!(named.text(&["spec", "serviceAccountName"]), "default");
        }
        let mut again = pod(json!({"containers": []}));
        Pods.prepare_update(&plain, &mut again);
        assert_eq!(again.get(&["spec"]), plain.get(&["spec"]));
    }

    #[test]
    fn grace_periods() {
        let waiting = pod(json!({"terminationGracePeriodSeconds": 5}));
        assert_eq!(Pods.grace(&waiting, None), Some(0), "nobody runs it");
        let placed = pod(json!({"nodeName": "n", "terminationGracePeriodSeconds": 5}));
        assert_eq!(Pods.grace(&placed, None), Some(5));
        assert_eq!(Pods.grace(&placed, Some(0)), Some(0));
        assert_eq!(Pods.grace(&placed, Some(-1)), Some(1));
        let mut done = placed.clone();
        done.set(&["status", "phase"], json!("Failed"));
        assert_eq!(Pods.grace(&done, None), Some(0));
    }
}
