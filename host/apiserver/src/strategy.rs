//! The little that differs between kinds when they are written.
//!
//! Everything else is one code path for every resource; a kind without an entry in [`Strategies::of`] has no code here.

mod awaited;
mod definitions;
mod jobs;
mod kept;
mod namespaces;
mod pods;
mod requests;
mod services;

use std::net::IpAddr;

use osier_api::resources::gateway_api::{GATEWAY_CLASSES, GATEWAYS};
use osier_api::{Object, Resource, Status, resources};
use osier_store::Store;

pub(crate) use services::{BadRange, Claim};

/// What a kind does at the steps of a write.
pub(crate) trait Strategy: Send + Sync {
    /// Sets the fields that the server owns in a new object.
    fn prepare_create(&self, _object: &mut Object) {}

    /// Sets what follows from a new object as admission left it.
    fn admitted(&self, _object: &mut Object) {}

    /// Keeps what a write of the object itself may not change.
    fn prepare_update(&self, _old: &Object, _new: &mut Object) {}

    /// Takes what must be unique in the cluster, until the claim is dropped; from then on the stored object has it.
    fn claim(&self, _old: Option<&Object>, _object: &mut Object) -> Result<Claim, Status> {
        Ok(Claim::none())
    }

    /// Whether the object may be deleted at all.
    fn may_delete(&self, _object: &Object) -> Result<(), Status> {
        Ok(())
    }

    /// Seconds that the object lives on after a delete; `None` for kinds that end at once.
    fn grace(&self, _object: &Object, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// Whether something beside `metadata.finalizers` keeps a deleted object.
    fn held(&self, _object: &Object) -> bool {
        false
    }

    /// The object is being marked as deleted: what holds it from now on can be put into it.
    fn marked(&self, _object: &mut Object) {}

    /// Whether a new object may bring its status along.
    fn created_with_status(&self) -> bool {
        false
    }

    /// Whether changes of the wanted state are counted in `metadata.generation`.
    fn generations(&self) -> bool {
        true
    }
}

/// A kind that needs no code.
struct Plain {
    generations: bool,
}

/// A node is created by its own agent, which knows the status.
struct Nodes;

impl Strategy for Nodes {
    fn created_with_status(&self) -> bool {
        true
    }

    fn generations(&self) -> bool {
        false
    }
}

impl Strategy for Plain {
    fn generations(&self) -> bool {
        self.generations
    }
}

/// Groups of upstream's own whose kinds count generations.
const COUNTED: [&str; 7] = [
    "admissionregistration.k8s.io",
    "apps",
    "batch",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
    "scheduling.k8s.io",
];

/// The strategies of one server.
pub(crate) struct Strategies {
    services: services::Services,
}

impl Strategies {
    /// Cluster addresses come from `service_cidr`.
    pub(crate) fn new(service_cidr: &str) -> Result<Self, BadRange> {
        Ok(Self {
            services: services::Services::new(service_cidr)?,
        })
    }

    /// The address of the service that leads to the API itself.
    pub(crate) fn own_address(&self) -> IpAddr {
        self.services.own_address()
    }

    /// From now on what is unique in the cluster is known from what is stored, whoever stored it.
    pub(crate) fn follow(&self, store: &Store) {
        self.services.follow(store);
    }

    pub(crate) fn of(&self, resource: &'static Resource) -> &dyn Strategy {
        // Upstream counts generations of few of its old kinds, and of every custom resource.
        let generations = *resource == resources::REPLICATION_CONTROLLERS || !resource.strategic();
        match resource {
            pods if *pods == resources::PODS => &pods::Pods,
            services if *services == resources::SERVICES => &self.services,
            namespaces if *namespaces == resources::NAMESPACES => &namespaces::Namespaces,
            jobs if *jobs == resources::JOBS => &jobs::Jobs,
            nodes if *nodes == resources::NODES => &Nodes,
            kinds if *kinds == resources::CUSTOM_RESOURCE_DEFINITIONS => &definitions::Definitions,
            asks if *asks == resources::CERTIFICATE_SIGNING_REQUESTS => &requests::Requests,
            gateways if *gateways == GATEWAYS => &awaited::Awaited(&["Accepted", "Programmed"]),
            classes if *classes == GATEWAY_CLASSES => &awaited::Awaited(&["Accepted"]),
            counted if COUNTED.contains(&counted.group) => &Plain { generations: true },
            access if access.group == resources::ROLES.group => &Plain { generations: false },
            kept if osier_warnings::unenforced(kept).is_some() => &kept::Kept,
            _ if generations => &Plain { generations: true },
            _ => &Plain { generations: false },
        }
    }
}
