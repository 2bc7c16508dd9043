//! What of a pod's spec has no effect for components.

use osier_validation::At;

use crate::container;
use crate::said::said;
use crate::volumes;

/// Of the spec of a pod, or of a template of one.
pub(crate) fn pod(spec: &At<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        said(
            &mut found,
            spec.at(field),
            At::is_true,
            "a Wasm pod is isolated by its instance and shares no namespace with the host",
        );
    }
    container::security(&spec.at("securityContext"), &mut found);
    for field in ["runtimeClassName", "hostAliases", "dnsConfig"] {
        said(
            &mut found,
            spec.at(field),
            At::is_set,
            "Wasm pods have one runtime, and names are resolved by the mesh",
        );
    }
    unlike_processes(spec, &mut found);
    beyond(spec, &mut found);
    volumes::of_pod(&spec.at("volumes"), &mut found);
    for (list, first) in [("initContainers", true), ("containers", false)] {
        let all = spec.at(list).items();
        all.iter()
            .for_each(|one| container::container(one, first, &mut found));
    }
    found
}

/// What is about programs of a system, and leaves a component as it is.
fn unlike_processes(spec: &At<'_>, found: &mut Vec<String>) {
    let system = spec.at("os").at("name");
    let other = |name: &At<'_>| name.is_set() && name.text() != "linux";
    said(found, system, other, "a component runs on any system");
    let own = |policy: &At<'_>| matches!(policy.text(), "None" | "Default");
    let why = "names are resolved by the mesh, which knows no other DNS";
    said(found, spec.at("dnsPolicy"), own, why);
    let why = "a component has no users";
    let given = |users: &At<'_>| users.value == &serde_json::Value::Bool(false);
    said(found, spec.at("hostUsers"), given, why);
    let why = "a component is told the pod's name";
    said(found, spec.at("setHostnameAsFQDN"), At::is_true, why);
    let why = "nothing is mounted unasked: mount a projected volume with a serviceAccountToken";
    let token = spec.at("automountServiceAccountToken");
    said(found, token, At::is_true, why);
    let why = "nodes have no devices to give away";
    said(found, spec.at("resourceClaims"), At::is_set, why);
}

/// What younger versions of Kubernetes have for pods, and what goes with runtime classes.
fn beyond(spec: &At<'_>, found: &mut Vec<String>) {
    for (field, why) in [
        (
            "ephemeralContainers",
            "nobody runs them: look into a pod with `kubectl exec`, whose tools are at hand",
        ),
        (
            "evictionResponders",
            "an eviction is answered by the pod's own hooks and grace",
        ),
        (
            "hostnameOverride",
            "a component is told the pod's hostname, or its name",
        ),
        (
            "overhead",
            "a component costs nothing beside what its containers ask for",
        ),
        (
            "resources",
            "what pods ask for is counted by container: set it there",
        ),
        ("schedulingGroup", "each pod is placed by itself"),
    ] {
        said(found, spec.at(field), At::is_set, why);
    }
}
