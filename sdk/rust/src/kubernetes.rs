//! Template `kubernetes`: what else is known of the two ends of a call.

use std::time::Duration;

use crate::Plugin;
use crate::bindings::surveyor::exports::osier::policy::kubernetes as wit;
use crate::decision::span;

/// Template `kubernetes`, an attribute generator: asked before all other policies; a policy's `attributes` make attributes of what it tells.
pub trait Kubernetes: Plugin {
    /// Tells what is known.
    ///
    /// # Errors
    /// In words for the log; the call then goes by the failure policy.
    fn generate(&self, instance: &wit::Instance) -> Result<Facts, String>;
}

/// What is known of the two ends of a call. What is not said is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the caller.
    pub source: PodFacts,
    /// Of the called.
    pub destination: PodFacts,
    /// The container of the called port.
    pub destination_container: Option<String>,
    /// How long the host may repeat the answer for the same question; none: not at all.
    pub valid_for: Option<Duration>,
}

/// What is known of one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its address.
    pub ip: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its service account.
    pub service_account: Option<String>,
    /// Address of its machine.
    pub host_ip: Option<String>,
    /// Name of its workload, in `workload_namespace` or else `namespace`.
    pub workload: Option<String>,
    /// Namespace of the workload, where it is another.
    pub workload_namespace: Option<String>,
    /// What controls it.
    pub owner: Option<String>,
}

impl PodFacts {
    /// Namespace and identifier of the workload.
    fn workload(&self) -> (Option<String>, Option<String>) {
        let namespace = self.workload_namespace.as_ref().or(self.namespace.as_ref());
        match (&self.workload, namespace) {
            (Some(name), Some(namespace)) => {
                let uid = format!("istio://{namespace}/workloads/{name}");
                (Some(namespace.clone()), Some(uid))
            }
            _ => (self.workload_namespace.clone(), None),
        }
    }
}

impl From<Facts> for wit::Generated {
    fn from(own: Facts) -> Self {
        let (source_workload_namespace, source_workload_uid) = own.source.workload();
        let (destination_workload_namespace, destination_workload_uid) = own.destination.workload();
        let (source, destination) = (own.source, own.destination);
        wit::Generated {
            output: wit::Output {
                source_pod_ip: source.ip,
                source_pod_name: source.name,
                source_labels: source.labels,
                source_namespace: source.namespace,
                source_service_account_name: source.service_account,
                source_host_ip: source.host_ip,
                source_workload_uid,
                source_workload_name: source.workload,
                source_workload_namespace,
                source_owner: source.owner,
                destination_pod_ip: destination.ip,
                destination_pod_name: destination.name,
                destination_container_name: own.destination_container,
                destination_labels: destination.labels,
                destination_namespace: destination.namespace,
                destination_service_account_name: destination.service_account,
                destination_host_ip: destination.host_ip,
                destination_workload_uid,
                destination_workload_name: destination.workload,
                destination_workload_namespace,
                destination_owner: destination.owner,
            },
            valid_for: own.valid_for.map(span),
            valid_uses: None,
        }
    }
}
