//! The kinds of the Gateway API (<https://gateway-api.sigs.k8s.io/reference/spec/>).

use super::{BASE, Resource, Status};

/// The group of all its kinds.
pub const GROUP: &str = "gateway.networking.k8s.io";

const KIND: Resource = Resource {
    group: GROUP,
    versions: &["v1", "v1beta1"],
    categories: &["gateway-api"],
    subresources: &[Status],
    ..BASE
};

/// Gateway classes: who serves gateways.
pub static GATEWAY_CLASSES: Resource = Resource {
    kind: "GatewayClass",
    plural: "gatewayclasses",
    singular: "gatewayclass",
    short_names: &["gc"],
    namespaced: false,
    schema: "io.k8s.networking.gateway.v1.GatewayClass",
    ..KIND
};
/// Gateways: ports and hosts.
pub static GATEWAYS: Resource = Resource {
    kind: "Gateway",
    plural: "gateways",
    singular: "gateway",
    short_names: &["gtw"],
    schema: "io.k8s.networking.gateway.v1.Gateway",
    ..KIND
};
/// Routes of HTTP requests.
pub static HTTP_ROUTES: Resource = Resource {
    kind: "HTTPRoute",
    plural: "httproutes",
    singular: "httproute",
    schema: "io.k8s.networking.gateway.v1.HTTPRoute",
    ..KIND
};
/// Permissions to refer to objects of another namespace.
pub static REFERENCE_GRANTS: Resource = Resource {
    kind: "ReferenceGrant",
    plural: "referencegrants",
    singular: "referencegrant",
    short_names: &["refgrant"],
    subresources: &[],
    schema: "io.k8s.networking.gateway.v1.ReferenceGrant",
    ..KIND
};
/// Routes of gRPC calls.
pub static GRPC_ROUTES: Resource = Resource {
    versions: &["v1"],
    kind: "GRPCRoute",
    plural: "grpcroutes",
    singular: "grpcroute",
    schema: "io.k8s.networking.gateway.v1.GRPCRoute",
    ..KIND
};
/// Routes of encrypted connections.
pub static TLS_ROUTES: Resource = Resource {
    versions: &["v1", "v1alpha3", "v1alpha2"],
    kind: "TLSRoute",
    plural: "tlsroutes",
    singular: "tlsroute",
    schema: "io.k8s.networking.gateway.v1.TLSRoute",
    ..KIND
};
/// Routes of connections.
pub static TCP_ROUTES: Resource = Resource {
    versions: &["v1", "v1alpha2"],
    kind: "TCPRoute",
    plural: "tcproutes",
    singular: "tcproute",
    schema: "io.k8s.networking.gateway.v1.TCPRoute",
    ..KIND
};
/// How backends are called over TLS.
pub static BACKEND_TLS_POLICIES: Resource = Resource {
    versions: &["v1", "v1alpha3"],
    kind: "BackendTLSPolicy",
    plural: "backendtlspolicies",
    singular: "backendtlspolicy",
    short_names: &["btlspolicy"],
    schema: "io.k8s.networking.gateway.v1.BackendTLSPolicy",
    ..KIND
};
