//! The kinds of networking.k8s.io (<https://kubernetes.io/docs/concepts/services-networking/ingress/>).

use super::{BASE, Resource, Status};

const KIND: Resource = Resource {
    group: "networking.k8s.io",
    ..BASE
};

/// Ingresses: hosts and paths from outside to Services.
pub static INGRESSES: Resource = Resource {
    kind: "Ingress",
    plural: "ingresses",
    singular: "ingress",
    short_names: &["ing"],
    subresources: &[Status],
    schema: "io.k8s.api.networking.v1.Ingress",
    ..KIND
};
/// Ingress classes: who serves ingresses.
pub static INGRESS_CLASSES: Resource = Resource {
    kind: "IngressClass",
    plural: "ingressclasses",
    singular: "ingressclass",
    namespaced: false,
    schema: "io.k8s.api.networking.v1.IngressClass",
    ..KIND
};
