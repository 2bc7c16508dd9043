//! Whether what a policy concerns is in the mesh, and who must enforce it.

use std::sync::Arc;

use osier_api::{Object, companion};
use osier_policy::Sought;
use osier_standing::Fleet;

use super::Mirrors;

impl Mirrors {
    /// All of them have been read.
    pub(crate) fn are_synced(&self) -> bool {
        self.all().iter().all(|mirror| mirror.is_synced())
    }

    /// The nodes on which policies have to be in force, of which this is one; none before they are known.
    pub(crate) fn fleet(&self, own: &str) -> Option<Fleet> {
        if !self.nodes.is_synced() || !self.workload_entries.is_synced() {
            return None;
        }
        let mut fleet = Fleet::default();
        for node in self.nodes.list() {
            let ready = is_ready(&node) || node.name() == own;
            let names = match ready {
                true => &mut fleet.awaited,
                false => &mut fleet.away,
            };
            names.insert(node.name().to_owned());
        }
        let entries = self.workload_entries.list();
        let proxied = |entry: &&Arc<Object>| entry.annotation(companion::MESH_ADDRESS).is_some();
        let beside = entries.iter().filter(proxied);
        fleet.beside = beside.map(|entry| companion::of_entry(entry)).collect();
        if !fleet.has(own) {
            fleet.beside.insert(own.to_owned());
        }
        Some(fleet)
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

/// Whether a node says that it is ready.
pub(super) fn is_ready(node: &Object) -> bool {
    let conditions = node.get(&["status", "conditions"]);
    let conditions = conditions.and_then(|conditions| conditions.as_array());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
