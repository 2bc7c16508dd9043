//! One place that serves a port: a pod, or an address outside.

use std::any::Any;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use osier_balancing::{Check, Seat, hash_of};

use crate::workload::Workload;

/// How an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A pod of the mesh: a call in memory.
    Pod,
    /// A network address.
    Address(IpAddr),
    /// A name that DNS answers for.
    Name(Arc<str>),
    /// Whatever host the request itself names (`resolution: NONE`).
    Asked,
}

/// One ready port of one pod or outside host.
#[derive(Debug)]
pub struct Endpoint {
    /// Who serves: the pod, or what is known of the workload outside.
    pub workload: Arc<Workload>,
    /// Where.
    pub place: Place,
    /// The port there.
    pub port: u16,
    /// Its part of the calls, measured by the weights of the others.
    pub weight: u32,
    /// How it is checked, if it is.
    pub check: Option<Arc<Check>>,
    /// Tells it from others, on every node alike: what sessions know it by.
    pub mark: u64,
    sound: AtomicBool,
    in_flight: AtomicU32,
    kept: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Endpoint {
    /// A pod's endpoint without load.
    pub fn new(workload: Arc<Workload>, port: u16) -> Self {
        Self::at((Place::Pod, port), workload, (1, None))
    }

    /// An endpoint without load. One that is checked gets no calls before its first success.
    pub fn at(
        (place, port): (Place, u16),
        workload: Arc<Workload>,
        (weight, check): (u32, Option<Arc<Check>>),
    ) -> Self {
        let name = name((&place, port), &workload);
        Self {
            mark: hash_of(name.as_bytes()),
            workload,
            place,
            port,
            weight,
            sound: AtomicBool::new(check.is_none()),
            check,
            in_flight: AtomicU32::new(0),
            kept: OnceLock::new(),
        }
    }

    /// Whether its checks let it have calls.
    pub fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
    }

    /// What its checks say; for whoever makes them.
    pub fn found(&self, sound: bool) {
        self.sound.store(sound, Ordering::Relaxed);
    }

    /// Requests that were sent and have not ended.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request until the returned value is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// A name that no other endpoint of the cluster has, and the weight: what consistent hashing knows of it.
    pub fn seat(&self) -> Seat {
        let name = name((&self.place, self.port), &self.workload);
        (name, self.weight)
    }

    /// What the data plane keeps with this endpoint (its open connections), made at first use. It goes when the endpoint stands in
    /// no snapshot and serves no request any more. `None` if something of another type is kept already.
    pub fn keep<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.kept.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

fn name((place, port): (&Place, u16), workload: &Workload) -> String {
    match place {
        Place::Pod => format!("{}/{}:{port}", workload.namespace, workload.name),
        Place::Address(address) => format!("{address}:{port}"),
        Place::Name(host) => format!("{host}:{port}"),
        Place::Asked => format!("*:{port}"),
    }
}

/// One request in flight to an endpoint.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
