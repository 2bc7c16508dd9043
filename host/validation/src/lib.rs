//! The rules that a schema cannot say: names, references inside an object, combinations, what may change.
//!
//! The words are upstream's where upstream has the rule. Objects are expected to have passed [`osier_api::schema::check`]
//! and [`osier_api::defaults::apply`]; a value of the wrong type is treated as absent here.

mod access;
mod at;
mod autoscaler;
mod cluster;
mod config;
mod container;
mod export;
mod gateway;
mod gateway_api;
mod identity;
mod ingress;
mod job;
mod job_policy;
mod metadata;
mod names;
mod node;
mod placing;
mod pod;
mod policy;
mod probe;
mod service;
mod service_entry;
mod share;
mod sidecar;
mod storage;
mod update;
mod virtual_service;
mod wasm_plugin;
mod workload;

pub use at::{At, unique};
pub use names::{label_1035, qualified, subdomain};
use osier_api::{Fault, Object, Resource};
pub use storage::SOURCES as VOLUME_SOURCES;

/// Every fault of a new object.
pub fn validate_create(resource: &Resource, object: &Object) -> Vec<Fault> {
    let mut faults = metadata::check(resource, object);
    faults.extend(body(resource, object));
    faults
}

/// Every fault of a changed object: the rules of a new one, and what may not change.
pub fn validate_update(resource: &Resource, old: &Object, new: &Object) -> Vec<Fault> {
    let mut faults = validate_create(resource, new);
    faults.extend(metadata::check_update(old, new));
    faults.extend(update::check(resource, old, new));
    faults
}

fn body(resource: &Resource, object: &Object) -> Vec<Fault> {
    let spec = At::of(object, "spec");
    match (resource.group, resource.plural) {
        ("", "pods") => pod::check(&spec),
        ("", "replicationcontrollers") => pod::check_controller(&spec),
        ("discovery.k8s.io", "endpointslices") => service::check_slice(object),
        ("batch", "jobs") => job::check(&spec),
        ("batch", "cronjobs") => job::check_cron(object),
        ("apps", "deployments") => workload::check_deployment(&spec),
        ("apps", "replicasets") => workload::check_replica_set(&spec),
        ("apps", "statefulsets") => identity::check_stateful_set(&spec),
        ("apps", "daemonsets") => identity::check_daemon_set(&spec),
        ("policy", "poddisruptionbudgets") => workload::check_budget(&spec),
        ("apps", "controllerrevisions") => identity::check_revision(object),
        ("", "services") => service::check(&spec),
        ("", "endpoints") => service::check_endpoints(&At::of(object, "subsets")),
        ("", "configmaps") => config::check_map(object),
        ("", "secrets") => config::check_secret(object),
        ("", "nodes") => node::check(&spec),
        ("", "events") => node::check_event(object),
        ("coordination.k8s.io", "leases") => node::check_lease(&spec),
        ("", "limitranges") => cluster::check_limits(&spec),
        ("", "resourcequotas") => cluster::check_quota(&spec),
        ("", "podtemplates") => cluster::check_template(object),
        ("", "persistentvolumes") => storage::check_volume(&spec),
        ("", "persistentvolumeclaims") => storage::check_claim(&spec),
        ("storage.k8s.io", "storageclasses") => storage::check_class(object),
        ("networking.k8s.io", "networkpolicies") => cluster::check_network_policy(&spec),
        ("scheduling.k8s.io", "priorityclasses") => cluster::check_priority(object),
        ("autoscaling", "horizontalpodautoscalers") => autoscaler::check(&spec),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => {
            access::check_role(object, resource.namespaced)
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            access::check_binding(object, resource.namespaced)
        }
        ("certificates.k8s.io", "certificatesigningrequests") => {
            access::check_signing_request(&spec)
        }
        ("policy.osier.dev", "plugins") => policy::check_plugin(&spec),
        ("policy.osier.dev", "policies") => policy::check_policy(&spec),
        ("networking.k8s.io", "ingresses") => ingress::check(&spec),
        ("networking.k8s.io", "ingressclasses") => ingress::check_class(&spec),
        (gateway_api::GROUP, plural) => gateway_api::check(plural, &spec),
        ("networking.istio.io", "virtualservices") => virtual_service::check(&spec),
        ("networking.istio.io", "destinationrules") => gateway::check_destination_rule(&spec),
        ("networking.istio.io", "gateways") => gateway::check(&spec),
        ("networking.istio.io", "serviceentries") => service_entry::check(&spec),
        ("networking.istio.io", "workloadentries") => service_entry::check_workload(&spec),
        ("networking.istio.io", "sidecars") => sidecar::check(&spec),
        ("security.istio.io", "peerauthentications") => sidecar::check_peer_authentication(&spec),
        ("networking.istio.io", "workloadgroups") => service_entry::check_group(&spec),
        ("extensions.istio.io", "wasmplugins") => wasm_plugin::check(&spec),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
