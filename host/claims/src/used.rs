//! Which claims pods use.

use osier_api::Object;
use serde_json::Value;

use crate::view::View;

/// The names of the claims that a pod mounts, in the pod's namespace.
pub fn claims(pod: &Object) -> impl Iterator<Item = &str> {
    let volumes = pod.get(&["spec", "volumes"]).and_then(Value::as_array);
    let volumes = volumes.into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

/// A pod that has a node and has not ended uses the claim. One without a node gets none as long as the claim is going.
pub fn is_used(claim: &Object, view: &dyn View) -> bool {
    view.pods(claim.namespace())
        .iter()
        .any(|pod| holds(pod, claim.name()))
}

/// The pod is at work with the claim.
pub(crate) fn holds(pod: &Object, claim: &str) -> bool {
    let placed = !pod.text(&["spec", "nodeName"]).is_empty();
    let ended = matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed");
    placed && !ended && claims(pod).any(|name| name == claim)
}
