//! The kinds that Osier serves, one static each, and how to find them.

mod access;
mod admission;
mod cluster;
mod definitions;
mod events;
mod extensions;
pub mod gateway_api;
mod istio;
mod metrics;
pub mod networking;
mod workloads;

use std::sync::LazyLock;

use crate::resource::{Resource, Subresource};
use Subresource::{
    Attach, Binding, Eviction, Exec, Finalize, Log, PortForward, Scale, Status, Token,
};
pub use access::*;
pub use admission::*;
pub use cluster::*;
pub use definitions::{CUSTOM_RESOURCE_DEFINITIONS, Names, by_priority, custom, defined};
pub use events::{NAMED_EVENTS, stored_as};
pub use extensions::*;
pub use istio::*;
pub use metrics::{CUSTOM_METRICS, NODE_METRICS, POD_METRICS, REQUESTS_PER_SECOND};
pub use workloads::*;

const VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const NAMESPACE_VERBS: &[&str] = &[
    "create", "delete", "get", "list", "patch", "update", "watch",
];
const CORE: &[&str] = &["v1"];
const POLICY_GROUP: &str = "policy.osier.dev";
const POLICY: &[&str] = &["v1alpha1"];
const ISTIO_GROUP: &str = "networking.istio.io";
const ISTIO: &[&str] = &["v1", "v1beta1", "v1alpha3"];

/// A core kind, from which the others say only how they differ.
const BASE: Resource = Resource {
    group: "",
    versions: CORE,
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    subresources: &[],
    verbs: VERBS,
    schema: "",
};

/// Pods.
pub static PODS: Resource = Resource {
    kind: "Pod",
    plural: "pods",
    singular: "pod",
    short_names: &["po"],
    categories: &["all"],
    subresources: &[Attach, Binding, Eviction, Exec, Log, PortForward, Status],
    schema: "io.k8s.api.core.v1.Pod",
    ..BASE
};
/// Nodes.
pub static NODES: Resource = Resource {
    kind: "Node",
    plural: "nodes",
    singular: "node",
    short_names: &["no"],
    namespaced: false,
    subresources: &[Status],
    schema: "io.k8s.api.core.v1.Node",
    ..BASE
};
/// Namespaces.
pub static NAMESPACES: Resource = Resource {
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    namespaced: false,
    subresources: &[Finalize, Status],
    verbs: NAMESPACE_VERBS,
    schema: "io.k8s.api.core.v1.Namespace",
    ..BASE
};
/// Replication controllers.
pub static REPLICATION_CONTROLLERS: Resource = Resource {
    kind: "ReplicationController",
    plural: "replicationcontrollers",
    singular: "replicationcontroller",
    short_names: &["rc"],
    categories: &["all"],
    subresources: &[Scale, Status],
    schema: "io.k8s.api.core.v1.ReplicationController",
    ..BASE
};
/// Services.
pub static SERVICES: Resource = Resource {
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    subresources: &[Status],
    schema: "io.k8s.api.core.v1.Service",
    ..BASE
};
/// Endpoints.
pub static ENDPOINTS: Resource = Resource {
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    short_names: &["ep"],
    schema: "io.k8s.api.core.v1.Endpoints",
    ..BASE
};
/// Config maps.
pub static CONFIG_MAPS: Resource = Resource {
    kind: "ConfigMap",
    plural: "configmaps",
    singular: "configmap",
    short_names: &["cm"],
    schema: "io.k8s.api.core.v1.ConfigMap",
    ..BASE
};
/// Secrets.
pub static SECRETS: Resource = Resource {
    kind: "Secret",
    plural: "secrets",
    singular: "secret",
    schema: "io.k8s.api.core.v1.Secret",
    ..BASE
};
/// Events.
pub static EVENTS: Resource = Resource {
    kind: "Event",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    schema: "io.k8s.api.core.v1.Event",
    ..BASE
};
/// Service accounts.
pub static SERVICE_ACCOUNTS: Resource = Resource {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    singular: "serviceaccount",
    short_names: &["sa"],
    subresources: &[Token],
    schema: "io.k8s.api.core.v1.ServiceAccount",
    ..BASE
};
/// Leases.
pub static LEASES: Resource = Resource {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    singular: "lease",
    schema: "io.k8s.api.coordination.v1.Lease",
    ..BASE
};
/// Plugins: components that policies call.
pub static PLUGINS: Resource = Resource {
    group: POLICY_GROUP,
    versions: POLICY,
    kind: "Plugin",
    plural: "plugins",
    singular: "plugin",
    categories: &["osier"],
    subresources: &[Status],
    schema: "dev.osier.policy.v1alpha1.Plugin",
    ..BASE
};
/// Policies: who is asked what, when.
pub static POLICIES: Resource = Resource {
    group: POLICY_GROUP,
    versions: POLICY,
    kind: "Policy",
    plural: "policies",
    singular: "policy",
    categories: &["osier"],
    subresources: &[Status],
    schema: "dev.osier.policy.v1alpha1.Policy",
    ..BASE
};
/// Attributes beside the standard vocabulary; they belong to the whole mesh.
pub static ATTRIBUTE_MANIFESTS: Resource = Resource {
    group: POLICY_GROUP,
    versions: POLICY,
    kind: "AttributeManifest",
    plural: "attributemanifests",
    singular: "attributemanifest",
    categories: &["osier"],
    namespaced: false,
    schema: "dev.osier.policy.v1alpha1.AttributeManifest",
    ..BASE
};
/// Questions to the policies in force, about anything.
pub static POLICY_REVIEWS: Resource = Resource {
    group: POLICY_GROUP,
    versions: POLICY,
    kind: "PolicyReview",
    plural: "policyreviews",
    singular: "policyreview",
    verbs: &["create"],
    schema: "dev.osier.policy.v1alpha1.PolicyReview",
    ..BASE
};
/// Istio's virtual services.
pub static VIRTUAL_SERVICES: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "VirtualService",
    plural: "virtualservices",
    singular: "virtualservice",
    short_names: &["vs"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.VirtualService",
    ..BASE
};
/// Istio's destination rules.
pub static DESTINATION_RULES: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "DestinationRule",
    plural: "destinationrules",
    singular: "destinationrule",
    short_names: &["dr"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.DestinationRule",
    ..BASE
};
/// Istio's gateways.
pub static GATEWAYS: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "Gateway",
    plural: "gateways",
    singular: "gateway",
    short_names: &["gw"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.Gateway",
    ..BASE
};
/// Istio's service entries: hosts outside.
pub static SERVICE_ENTRIES: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "ServiceEntry",
    plural: "serviceentries",
    singular: "serviceentry",
    short_names: &["se"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.ServiceEntry",
    ..BASE
};
/// Istio's workload entries: workloads that are no pods.
pub static WORKLOAD_ENTRIES: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "WorkloadEntry",
    plural: "workloadentries",
    singular: "workloadentry",
    short_names: &["we"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.WorkloadEntry",
    ..BASE
};
/// Istio's workload groups: templates for workload entries.
pub static WORKLOAD_GROUPS: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "WorkloadGroup",
    plural: "workloadgroups",
    singular: "workloadgroup",
    short_names: &["wg"],
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.WorkloadGroup",
    ..BASE
};
/// Istio's sidecars: which hosts pods call.
pub static SIDECARS: Resource = Resource {
    group: ISTIO_GROUP,
    versions: ISTIO,
    kind: "Sidecar",
    plural: "sidecars",
    singular: "sidecar",
    categories: &["istio-io", "networking-istio-io"],
    subresources: &[Status],
    schema: "io.istio.networking.v1.Sidecar",
    ..BASE
};
/// Istio's peer authentications: how the callers of pods prove who they are.
pub static PEER_AUTHENTICATIONS: Resource = Resource {
    group: "security.istio.io",
    versions: &["v1", "v1beta1"],
    kind: "PeerAuthentication",
    plural: "peerauthentications",
    singular: "peerauthentication",
    short_names: &["pa"],
    categories: &["istio-io", "security-istio-io"],
    subresources: &[Status],
    schema: "io.istio.security.v1.PeerAuthentication",
    ..BASE
};

static OWN: &[&Resource] = &[
    &CONFIG_MAPS,
    &ENDPOINTS,
    &EVENTS,
    &NAMESPACES,
    &NODES,
    &PODS,
    &REPLICATION_CONTROLLERS,
    &SECRETS,
    &SERVICE_ACCOUNTS,
    &SERVICES,
    &LEASES,
    &DESTINATION_RULES,
    &GATEWAYS,
    &SERVICE_ENTRIES,
    &SIDECARS,
    &PEER_AUTHENTICATIONS,
    &VIRTUAL_SERVICES,
    &WORKLOAD_ENTRIES,
    &WORKLOAD_GROUPS,
    &WASM_PLUGINS,
    &gateway_api::GATEWAY_CLASSES,
    &gateway_api::GATEWAYS,
    &gateway_api::HTTP_ROUTES,
    &gateway_api::GRPC_ROUTES,
    &gateway_api::TLS_ROUTES,
    &gateway_api::TCP_ROUTES,
    &gateway_api::REFERENCE_GRANTS,
    &gateway_api::BACKEND_TLS_POLICIES,
    &networking::INGRESSES,
    &networking::INGRESS_CLASSES,
    &ATTRIBUTE_MANIFESTS,
    &CUSTOM_RESOURCE_DEFINITIONS,
    &PLUGINS,
    &POLICIES,
    &POLICY_REVIEWS,
];

static ALL: LazyLock<Vec<&Resource>> = LazyLock::new(|| {
    // Metrics come last: who says `pods` means the pods.
    let tables: [&[&Resource]; 8] = [
        OWN,
        istio::TABLE,
        workloads::TABLE,
        cluster::TABLE,
        access::TABLE,
        admission::TABLE,
        events::TABLE,
        metrics::TABLE,
    ];
    tables.concat()
});

/// Every served kind, core group first.
pub fn all() -> &'static [&'static Resource] {
    &ALL
}

/// The kind of a path such as `/apis/GROUP/VERSION/PLURAL`.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    ALL.iter()
        .copied()
        .find(|r| r.group == group && r.plural == plural && r.serves(version))
}

/// The kind of a manifest.
pub fn by_kind(group: &str, kind: &str) -> Option<&'static Resource> {
    let mut all = ALL.iter().copied();
    all.find(|r| r.group == group && r.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_path_and_by_kind() {
        for resource in all() {
            for version in resource.versions {
                assert_eq!(
                    by_plural(resource.group, version, resource.plural),
                    Some(*resource)
                );
            }
            assert_eq!(by_kind(resource.group, resource.kind), Some(*resource));
        }
        assert_eq!(by_plural("", "v2", "pods"), None);
    }

    #[test]
    fn verbs_stay_sorted_as_discovery_shows_them() {
        for resource in all() {
            assert!(resource.verbs.is_sorted(), "{}", resource.kind);
        }
    }
}
