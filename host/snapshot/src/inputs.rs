//! The objects that the mesh is made of.

use std::sync::Arc;

use osier_api::Object;

/// Everything that the mesh is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inputs<'a> {
    /// v1 Service.
    pub services: &'a [Arc<Object>],
    /// v1 Endpoints.
    pub endpoints: &'a [Arc<Object>],
    /// v1 Pod.
    pub pods: &'a [Arc<Object>],
    /// networking.istio.io VirtualService.
    pub virtual_services: &'a [Arc<Object>],
    /// networking.istio.io DestinationRule.
    pub destination_rules: &'a [Arc<Object>],
    /// networking.istio.io Gateway.
    pub gateways: &'a [Arc<Object>],
    /// networking.istio.io ServiceEntry.
    pub service_entries: &'a [Arc<Object>],
    /// networking.istio.io WorkloadEntry.
    pub workload_entries: &'a [Arc<Object>],
    /// networking.istio.io WorkloadGroup.
    pub workload_groups: &'a [Arc<Object>],
    /// networking.istio.io Sidecar.
    pub sidecars: &'a [Arc<Object>],
    /// security.istio.io PeerAuthentication; only what of it is not in force is told.
    pub peer_authentications: &'a [Arc<Object>],
    /// v1 Secret; only those are read that a gateway or a DestinationRule names.
    pub secrets: &'a [Arc<Object>],
    /// v1 Node; only their names and labels matter.
    pub nodes: &'a [Arc<Object>],
    /// The namespace whose objects hold for the whole mesh.
    pub root_namespace: &'a str,
    /// The node that the snapshot is for.
    pub node: &'a str,
    /// v1 Namespace; their labels decide whose routes a listener takes.
    pub namespaces: &'a [Arc<Object>],
    /// networking.k8s.io Ingress.
    pub ingresses: &'a [Arc<Object>],
    /// networking.k8s.io IngressClass; ingresses of other controllers' classes are not served.
    pub ingress_classes: &'a [Arc<Object>],
    /// The Gateway API's objects.
    pub gateway_api: GatewayApi<'a>,
    /// The port of the node's main gateway listener, which gateways may name; 0 if the kernel chooses it.
    pub gateway_port: u16,
    /// The cluster domain, `cluster.local`; it is the trust domain as well.
    pub domain: &'a str,
}

/// The objects of gateway.networking.k8s.io.
#[derive(Clone, Copy, Debug, Default)]
pub struct GatewayApi<'a> {
    /// GatewayClass; gateways of other controllers' classes are not served.
    pub classes: &'a [Arc<Object>],
    /// Gateway.
    pub gateways: &'a [Arc<Object>],
    /// HTTPRoute.
    pub http_routes: &'a [Arc<Object>],
    /// GRPCRoute.
    pub grpc_routes: &'a [Arc<Object>],
    /// TLSRoute.
    pub tls_routes: &'a [Arc<Object>],
    /// TCPRoute.
    pub tcp_routes: &'a [Arc<Object>],
    /// BackendTLSPolicy.
    pub backend_tls_policies: &'a [Arc<Object>],
    /// v1 ConfigMap, of which only `ca.crt` matters: authorities that a BackendTLSPolicy names.
    pub config_maps: &'a [Arc<Object>],
    /// ReferenceGrant.
    pub reference_grants: &'a [Arc<Object>],
}
