//! Whether what a policy concerns is in the mesh.

use std::sync::Arc;

use osier_api::Object;
use osier_policy::Sought;

use super::Mirrors;

impl Mirrors {
    /// All of them have been read.
    pub(crate) fn are_synced(&self) -> bool {
        self.all().iter().all(|mirror| mirror.is_synced())
    }

    /// Whether something that a policy may concern is there.
    pub(crate) fn has(&self, sought: Sought<'_>) -> bool {
        match sought {
            Sought::Service { namespace, name } => {
                let mut kinds = [&self.services, &self.service_entries].into_iter();
                kinds.any(|kind| kind.get(namespace, name).is_some())
            }
            Sought::Gateway(sought) => {
                let is = |gateway: &Arc<Object>| match sought.split_once('/') {
                    Some((place, name)) => gateway.namespace() == place && gateway.name() == name,
                    None => gateway.name() == sought,
                };
                let mut kinds = [&self.gateways, &self.gateway_api.gateways].into_iter();
                kinds.any(|kind| kind.list().iter().any(is))
            }
            Sought::Namespace(name) => self.namespaces.get("", name).is_some(),
            Sought::Workload { namespace, selects } => {
                let selected = |workload: &Arc<Object>| {
                    let labels = workload.labels().into_iter();
                    let labels: Vec<_> = labels
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect();
                    namespace.is_none_or(|place| workload.namespace() == place) && selects(&labels)
                };
                let mut kinds = [&self.pods, &self.workload_entries].into_iter();
                kinds.any(|kind| kind.list().iter().any(selected))
            }
        }
    }
}
