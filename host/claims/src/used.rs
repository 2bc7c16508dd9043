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
    let pods = view.pods(claim.namespace());
    let mut pods = pods.iter();
    pods.any(|pod| is_placed(pod) && mounts(pod, claim.name()))
}

pub(crate) fn is_placed(pod: &Object) -> bool {
    !pod.text(&["spec", "nodeName"]).is_empty()
}

/// The pod mounts the claim, or will, and has not ended.
pub(crate) fn mounts(pod: &Object, claim: &str) -> bool {
    let ended = matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed");
    !ended && claims(pod).any(|name| name == claim)
}
