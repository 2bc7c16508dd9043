//! A pod with its place: the name, host name, labels and claims that its number gives it. Pure.

use osier_api::Object;

use crate::{history, template};

/// The pod of a number, as a revision of the set's template has it.
pub(super) fn pod(set: &Object, revision: &Object, ordinal: usize) -> Object {
    let mut pod = template::pod_of(set, &history::template(revision));
    let name = format!("{}-{ordinal}", set.name());
    pod.remove(&["metadata", "generateName"]);
    pod.set(&["metadata", "name"], name.as_str().into());
    for (label, value) in [
        (history::LABEL, revision.name()),
        ("statefulset.kubernetes.io/pod-name", name.as_str()),
        ("apps.kubernetes.io/pod-index", &ordinal.to_string()),
    ] {
        pod.set(&["metadata", "labels", label], value.into());
    }
    pod.set(&["spec", "hostname"], name.into());
    let service = set.text(&["spec", "serviceName"]);
    if !service.is_empty() {
        pod.set(&["spec", "subdomain"], service.into());
    }
    osier_claims::mount(&mut pod, set, ordinal);
    pod
}
