//! What is accepted but has no effect here, said openly: the texts become `Warning` headers.
//!
//! Functions over objects as they are written. It refuses nothing: that is validation's. Of pods it speaks of every field of the schema that
//! is not honoured, which `docs/conformance/pods.md` lists and a test of this crate holds it to.

mod container;
mod mesh;
mod pod;
mod said;
#[cfg(test)]
mod tests;
mod volumes;

use osier_api::{Object, Resource};
use osier_validation::At;

/// Fields of the object that a Wasm pod, or this version of Osier, cannot honour.
#[must_use]
pub fn warnings(resource: &Resource, object: &Object) -> Vec<String> {
    let spec = At::of(object, "spec");
    match (resource.group, resource.plural) {
        ("", "pods") => pod::pod(&spec),
        ("", "replicationcontrollers") | ("apps", _) | ("batch", "jobs") => {
            pod::pod(&spec.at("template").at("spec"))
        }
        ("batch", "cronjobs") => {
            let job = spec.at("jobTemplate").at("spec");
            pod::pod(&job.at("template").at("spec"))
        }
        ("", "services") => mesh::service(&spec),
        ("autoscaling", "horizontalpodautoscalers") => mesh::autoscaler(&spec),
        ("networking.k8s.io", "networkpolicies") => vec![
            "a NetworkPolicy is kept, but nothing acts on it in this version: pods reach each other through the mesh regardless"
                .to_owned(),
        ],
        ("", "persistentvolumes") => volumes::persistent(&spec),
        ("networking.istio.io", "sidecars") => mesh::sidecar(&spec),
        ("security.istio.io", "peerauthentications") => mesh::peer_authentication(&spec),
        _ => unenforced(resource).map(str::to_owned).into_iter().collect(),
    }
}

/// Why nothing acts on the objects of a kind that is kept whole.
#[must_use]
pub fn unenforced(resource: &Resource) -> Option<&'static str> {
    Some(match (resource.group, resource.plural) {
        ("networking.istio.io", "envoyfilters") => {
            "an EnvoyFilter is kept, but nothing acts on it: there is no Envoy between pods; a Policy or a WasmPlugin may do what it does"
        }
        ("telemetry.istio.io", "telemetries") => {
            "a Telemetry is kept, but nothing acts on it in this version; report policies say what is told of calls"
        }
        _ => return None,
    })
}
