//! Nodes, leases, namespaces and events.

use std::collections::BTreeMap;

use super::{Condition, ObjectReference, views};

views! {
    /// `spec` of a Node.
    pub struct NodeSpec {
        /// No new pods.
        unschedulable: bool,
        /// What pods must tolerate.
        taints: Vec<Taint>,
        /// Addresses of its pods.
        #[serde(rename = "podCIDR")]
        pod_cidr: String,
        /// Addresses of its pods.
        #[serde(rename = "podCIDRs")]
        pod_cidrs: Vec<String>,
    }

    /// What pods must tolerate to run on a node.
    pub struct Taint {
        /// Key.
        key: String,
        /// Value.
        value: String,
        /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`.
        effect: String,
        /// Since when, for `NoExecute`.
        time_added: Option<String>,
    }

    /// `status` of a Node.
    pub struct NodeStatus {
        /// What it has: `cpu`, `memory`, `pods`.
        capacity: BTreeMap<String, String>,
        /// What pods may use.
        allocatable: BTreeMap<String, String>,
        /// `Ready` and others.
        conditions: Vec<Condition>,
        /// Addresses.
        addresses: Vec<NodeAddress>,
        /// Versions and names.
        node_info: NodeSystemInfo,
    }

    /// One address.
    pub struct NodeAddress {
        /// `InternalIP`, `Hostname`...
        r#type: String,
        /// The address.
        address: String,
    }

    /// Versions and names of a node.
    pub struct NodeSystemInfo {
        /// Identity of the machine.
        #[serde(rename = "machineID")]
        machine_id: String,
        /// Identity of the hardware.
        #[serde(rename = "systemUUID")]
        system_uuid: String,
        /// Identity of this boot.
        #[serde(rename = "bootID")]
        boot_id: String,
        /// Kernel.
        kernel_version: String,
        /// System.
        os_image: String,
        /// What runs the containers.
        container_runtime_version: String,
        /// The node agent's version.
        kubelet_version: String,
        /// Formerly the service proxy's version.
        kube_proxy_version: String,
        /// `linux`.
        operating_system: String,
        /// `amd64`, `arm64`.
        architecture: String,
    }

    /// `spec` of a Lease.
    pub struct LeaseSpec {
        /// Who holds it.
        holder_identity: Option<String>,
        /// For how long without renewal.
        lease_duration_seconds: Option<i32>,
        /// Since when; six decimals.
        acquire_time: Option<String>,
        /// Last renewal; six decimals.
        renew_time: Option<String>,
        /// How often it changed hands.
        lease_transitions: Option<i32>,
    }

    /// An Event without its metadata.
    pub struct EventBody {
        /// What it is about.
        involved_object: ObjectReference,
        /// One word.
        reason: String,
        /// For people.
        message: String,
        /// `Normal` or `Warning`.
        r#type: String,
        /// Who says so.
        source: EventSource,
        /// When it was first seen.
        first_timestamp: Option<String>,
        /// When it was last seen.
        last_timestamp: Option<String>,
        /// How often.
        count: i32,
        /// Who says so, in the newer form.
        reporting_component: String,
        /// Which instance of it.
        reporting_instance: String,
    }

    /// Who reports an event.
    pub struct EventSource {
        /// Component.
        component: String,
        /// Node.
        host: String,
    }
}
