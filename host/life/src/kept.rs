//! What of a pod a node keeps in memory. A tree of values costs hundreds of bytes a map, and a node has many pods: what is
//! read only once, when the pod's actor starts, is kept as text.

use osier_api::Object;
use serde_json::{Map, Value};

/// Where that text stands in the status.
const REST: &str = "rest";
/// What snapshots are compiled from.
const READ_OFTEN: [&str; 2] = ["phase", "podIP"];
/// What others say of a pod that waits for them.
const CONDITIONS: &str = "conditions";
/// What only the scheduler reads: a node neither places pods nor writes them whole.
const PLACING: [&str; 4] = [
    "tolerations",
    "nodeSelector",
    "affinity",
    "topologySpreadConstraints",
];

/// Reduces a pod to what its node reads of it; [`status`] still tells the whole status.
pub fn keep(pod: &mut Object) {
    for field in PLACING {
        pod.remove(&["spec", field]);
    }
    let gated = pod.get(&["spec", "readinessGates"]).is_some();
    let Some(Value::Object(status)) = pod.as_map_mut().get_mut("status") else {
        return;
    };
    let often = |field: &str| READ_OFTEN.contains(&field) || (gated && field == CONDITIONS);
    let (often, rest): (Map<_, _>, Map<_, _>) = std::mem::take(status)
        .into_iter()
        .partition(|(field, _)| often(field));
    *status = often;
    if !rest.is_empty() {
        status.insert(REST.to_owned(), Value::Object(rest).to_string().into());
    }
}

/// The controllers say of the pod that its node is lost.
#[must_use]
pub fn is_lost(pod: &Object) -> bool {
    const LOST: &str = r#""reason":"NodeLost""#;
    let conditions = pod.get(&["status", CONDITIONS]);
    pod.text(&["status", REST]).contains(LOST)
        || conditions.is_some_and(|conditions| conditions.to_string().contains(LOST))
}

/// The pod's status as the API had it when the pod was kept.
#[must_use]
pub fn status(pod: &Object) -> Value {
    let mut status = match pod.get(&["status", REST]).and_then(Value::as_str) {
        Some(rest) => serde_json::from_str(rest).unwrap_or_default(),
        None => Map::new(),
    };
    for field in READ_OFTEN.into_iter().chain([CONDITIONS]) {
        if let Some(value) = pod.get(&["status", field]) {
            status.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(status)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_gated_pod_waits_for_is_read() {
        let open = json!([{"type": "acme.com/open", "status": "True"}, {"type": "Ready", "reason": "NodeLost"}]);
        let mut pod = Object::from_value(
            json!({"spec": {"readinessGates": [{"conditionType": "acme.com/open"}]},
            "status": {"phase": "Running", "conditions": open, "qosClass": "Burstable"}}),
        )
        .unwrap();
        keep(&mut pod);
        assert_eq!(pod.get(&["status", "conditions"]), Some(&open));
        assert!(is_lost(&pod));
        assert_eq!(
            status(&pod),
            json!({"phase": "Running", "conditions": open, "qosClass": "Burstable"})
        );
    }

    #[test]
    fn the_whole_status_comes_back() {
        let whole = json!({"phase": "Running", "podIP": "10.0.0.1", "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{"name": "main", "restartCount": 3}]});
        let mut pod =
            Object::from_value(json!({"metadata": {"name": "a"}, "status": whole})).unwrap();
        pod.set(&["spec", "tolerations"], json!([]));
        keep(&mut pod);
        assert_eq!(pod.get(&["status", "containerStatuses"]), None);
        assert_eq!(pod.get(&["spec", "tolerations"]), None);
        assert_eq!(pod.text(&["status", "podIP"]), "10.0.0.1");
        assert_eq!(status(&pod), whole);
    }

    #[test]
    fn a_pod_of_a_lost_node_is_known() {
        let pod = |reason: &str| {
            let ready = json!({"type": "Ready", "status": "False", "reason": reason});
            let value = json!({"metadata": {"name": "a"}, "status": {"conditions": [ready]}});
            let mut pod = Object::from_value(value).unwrap();
            keep(&mut pod);
            pod
        };
        assert!(is_lost(&pod("NodeLost")));
        assert!(!is_lost(&pod("ContainersNotReady")));
    }

    #[test]
    fn a_pod_that_was_never_reported_has_an_empty_status() {
        let mut pod = Object::default();
        keep(&mut pod);
        assert_eq!(status(&pod), json!({}));
    }
}
