//! A port as its object says it, and the places that serve it.

use std::sync::Arc;

use osier_balancing::Check;

use crate::endpoint::Place;
use crate::service::Protocol;
use crate::workload::Workload;

/// A port as its object says it.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) name: Arc<str>,
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    /// What is spoken on it is encrypted.
    pub(crate) secure: bool,
}

/// A place that serves a port.
#[derive(Clone, Debug)]
pub(crate) struct Serves {
    pub(crate) workload: Arc<Workload>,
    pub(crate) place: Place,
    pub(crate) port: u16,
    pub(crate) weight: u32,
    pub(crate) check: Option<Arc<Check>>,
}

/// What tells endpoints apart.
pub(crate) type Key = (Place, u16, Option<*const Workload>);

impl Serves {
    pub(crate) fn key(&self) -> Key {
        key(&self.place, self.port, &self.workload)
    }
}

/// Pods are told apart by who they are, hosts by where.
pub(crate) fn key(place: &Place, port: u16, workload: &Arc<Workload>) -> Key {
    let pod = (*place == Place::Pod).then_some(Arc::as_ptr(workload));
    (place.clone(), port, pod)
}
