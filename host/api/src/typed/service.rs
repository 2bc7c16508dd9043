//! Services and endpoints.

use std::collections::BTreeMap;

use super::{IntOrString, views};

views! {
    /// `spec` of a Service.
    pub struct ServiceSpec {
        /// Labels of its pods; empty means that endpoints are managed by somebody else.
        selector: BTreeMap<String, String>,
        /// Ports.
        ports: Vec<ServicePort>,
        /// Virtual address; `None` for a headless service.
        #[serde(rename = "clusterIP")]
        cluster_ip: String,
        /// Virtual addresses.
        #[serde(rename = "clusterIPs")]
        cluster_ips: Vec<String>,
        /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
        r#type: String,
        /// Where an `ExternalName` points.
        external_name: String,
        /// `None` or `ClientIP`.
        session_affinity: String,
        /// Whether endpoints are listed before they are ready.
        publish_not_ready_addresses: bool,
    }

    /// One port of a service.
    pub struct ServicePort {
        /// Name, unique in the service.
        name: String,
        /// `TCP`, `UDP`, `SCTP`.
        protocol: String,
        /// `http`, `kubernetes.io/h2c`...
        app_protocol: Option<String>,
        /// Port of the service.
        port: i32,
        /// Port of the pods: number or name.
        target_port: Option<IntOrString>,
        /// Port of the nodes.
        node_port: i32,
    }

    /// One entry of `subsets` of an Endpoints object.
    pub struct EndpointsSubset {
        /// Ready addresses.
        addresses: Vec<EndpointAddress>,
        /// Addresses that take no traffic.
        not_ready_addresses: Vec<EndpointAddress>,
        /// Ports.
        ports: Vec<EndpointPort>,
    }

    /// One address.
    pub struct EndpointAddress {
        /// The address.
        ip: String,
        /// Host name.
        hostname: String,
        /// Its node.
        node_name: Option<String>,
        /// The pod behind it.
        target_ref: Option<ObjectReference>,
    }

    /// One port.
    pub struct EndpointPort {
        /// The service port's name.
        name: String,
        /// Number.
        port: i32,
        /// `TCP`, `UDP`, `SCTP`.
        protocol: String,
        /// `http`...
        app_protocol: Option<String>,
    }

    /// A reference to any object.
    pub struct ObjectReference {
        /// `group/version`.
        api_version: String,
        /// Kind.
        kind: String,
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Uid.
        uid: String,
        /// Version of the object that is meant.
        resource_version: String,
        /// Part of the object: `spec.containers{name}`.
        field_path: String,
    }
}
