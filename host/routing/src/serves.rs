//! A port as its object says it, and the places that serve it.

use std::sync::Arc;

use osier_balancing::Check;

use crate::endpoint::Place;
use crate::service::Protocol;
use crate::workload::Workload;

/// A port as its object says it.
#[derive(Clone, Debug)]
pub struct Port {
    /// The port's name, empty if it has none.
    pub name: Arc<str>,
    /// The port that callers use.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// What is spoken on it is encrypted.
    pub secure: bool,
}

/// A place that serves a port.
#[derive(Clone, Debug)]
pub struct Serves {
    /// Who serves.
    pub workload: Arc<Workload>,
    /// Where.
    pub place: Place,
    /// The port there.
    pub port: u16,
    /// Its part of the calls.
    pub weight: u32,
    /// How it is checked, if it is.
    pub check: Option<Arc<Check>>,
}

/// What tells endpoints apart.
pub type Key = (Place, u16, Option<*const Workload>);

impl Serves {
    /// What tells it from other places.
    pub fn key(&self) -> Key {
        key(&self.place, self.port, &self.workload)
    }
}

/// Pods are told apart by who they are, hosts by where.
pub fn key(place: &Place, port: u16, workload: &Arc<Workload>) -> Key {
    let pod = (*place == Place::Pod).then_some(Arc::as_ptr(workload));
    (place.clone(), port, pod)
}
