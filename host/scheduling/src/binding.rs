//! What becomes of a pod that a scheduler, ours or another, puts on a node: upstream's `v1.Binding`
//! (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/>). Pure.

use osier_api::{Fault, Object};
use serde_json::{Value, json};

/// What is wrong with a binding, whatever pod it is about.
pub fn faults(binding: &Value) -> Vec<Fault> {
    let target = &binding["target"];
    let text = |field: &str| target[field].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if !matches!(text("kind"), "" | "Node") {
        let known = ["Node", "<empty>"];
        faults.push(Fault::not_supported("target.kind", text("kind"), &known));
    }
    if text("name").is_empty() {
        let words = "the node that the pod shall run on";
        faults.push(Fault::required("target.name", words));
    }
    faults
}

/// The pod on the node that the binding names.
///
/// # Errors
/// Why it cannot be put anywhere any more, or yet, in upstream's words.
pub fn bound(pod: &Object, binding: &Value, now: &str) -> Result<Object, String> {
    let name = pod.name();
    if pod.deletion_timestamp().is_some() {
        return Err(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    let node = pod.text(&["spec", "nodeName"]);
    if !node.is_empty() {
        return Err(format!("pod {name} is already assigned to node {node:?}"));
    }
    if crate::is_gated(pod) {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    let mut pod = pod.clone();
    pod.set(&["spec", "nodeName"], binding["target"]["name"].clone());
    let said = &binding["metadata"];
    // What was decided about another pod of this name, or about an older state, is refused as any write is.
    for field in ["uid", "resourceVersion"] {
        if let Some(value) = said[field].as_str().filter(|value| !value.is_empty()) {
            pod.set(&["metadata", field], value.into());
        }
    }
    for field in ["annotations", "labels"] {
        for (key, value) in said[field].as_object().into_iter().flatten() {
            let kept = field == "labels" && pod.get(&["metadata", field, key]).is_some();
            if !kept {
                pod.set(&["metadata", field, key], value.clone());
            }
        }
    }
    scheduled(&mut pod, now);
    Ok(pod)
}

/// The condition says so, in its place among the others.
fn scheduled(pod: &mut Object, now: &str) {
    let condition = json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": now,
    });
    let conditions = pod.get(&["status", "conditions"]).and_then(Value::as_array);
    let others = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["type"] != "PodScheduled")
        .cloned();
    let conditions: Vec<Value> = others.chain([condition]).collect();
    pod.set(&["status", "conditions"], json!(conditions));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn pod(spec: Value) -> Object {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": "u", "labels": {"zone": "own"}}, "spec": spec,
            "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}, {"type": "Ready"}]}});
        Object::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_is_put_on_a_node_once() {
        let binding = json!({"metadata": {"name": "p", "annotations": {"a": "b"}, "labels": {"zone": "other", "rack": "7"}},
            "target": {"kind": "Node", "name": "n"}});
        let on = bound(&pod(json!({})), &binding, "now").unwrap();
        assert_eq!(on.text(&["spec", "nodeName"]), "n");
        assert_eq!(on.annotation("a"), Some("b"));
        let labels = json!({"zone": "own", "rack": "7"});
        assert_eq!(on.get(&["metadata", "labels"]), Some(&labels));
        let conditions = on.get(&["status", "conditions"]).unwrap();
        assert_eq!(conditions.as_array().unwrap().len(), 2);
        assert_eq!(conditions[1]["status"], "True");
        assert_eq!(conditions[1].get("reason"), None);
        let again = bound(&on, &binding, "now").unwrap_err();
        assert_eq!(again, "pod p is already assigned to node \"n\"");
    }

    #[test]
    fn what_goes_or_is_gated_is_put_nowhere() {
        let binding = json!({"target": {"name": "n"}});
        let gated = pod(json!({"schedulingGates": [{"name": "g"}]}));
        assert!(
            bound(&gated, &binding, "now")
                .unwrap_err()
                .contains("schedulingGates")
        );
        let mut going = pod(json!({}));
        going.set(&["metadata", "deletionTimestamp"], json!("then"));
        assert!(
            bound(&going, &binding, "now")
                .unwrap_err()
                .contains("is being deleted")
        );
    }

    #[test]
    fn a_binding_names_a_node() {
        let fields = |binding: Value| -> Vec<String> {
            faults(&binding).into_iter().map(|one| one.field).collect()
        };
        assert!(fields(json!({"target": {"name": "n", "kind": "Node"}})).is_empty());
        assert_eq!(
            fields(json!({"target": {"kind": "Rack"}})),
            ["target.kind", "target.name"]
        );
        assert_eq!(fields(Value::Null), ["target.name"]);
    }
}
