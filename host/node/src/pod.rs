//! One pod on this node: an actor that owns the pod's containers, from the moment it is bound
//! here until it is gone from the API.

mod create;
mod doing;
mod exceeding;
mod follow;
mod mailbox;
mod probe;
mod pull;
mod worker;

use std::net::Ipv4Addr;
use std::sync::Arc;

use osier_capabilities::Buckets;
use osier_client::{Client, Recorder};
use osier_engine::CallError;
use osier_logs::Logs;
use osier_podspec::{DEFAULT_MEMORY, Place, Slot};
use osier_process::Tasks;
use osier_proxy::Proxy;
use osier_volumes::Volumes;
use parking_lot::Mutex;

use crate::addresses::Addresses;
use crate::components::Components;
use crate::live::Live;
use crate::mesh::Published;
use crate::served::Served;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::statuses::Statuses;
use crate::tokens::TokenKeeper;
use crate::usage::Meters;
use osier_life::Ended;

pub(crate) use probe::Check;
pub(crate) use worker::Worker;

/// What all pods of a node share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) client: Client,
    pub(crate) recorder: Recorder,
    pub(crate) components: Arc<Components>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) buckets: Buckets,
    pub(crate) tokens: Arc<TokenKeeper>,
    pub(crate) served: Arc<Served>,
    pub(crate) live: Live,
    pub(crate) sessions: Sessions,
    pub(crate) statuses: Statuses,
    pub(crate) addresses: Mutex<Addresses>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) published: Published,
    pub(crate) tasks: Tasks,
}

impl Shared {
    /// What a container of the pod with this address can learn about where it runs.
    fn place(&self, pod_ip: Ipv4Addr) -> Place {
        Place {
            pod_ip,
            host_ip: self.settings.host_ip.clone(),
            allocatable_cpu: self.settings.capacity.cpu_millis,
            allocatable_memory: DEFAULT_MEMORY,
        }
    }
}

/// What a pod's actor hears from its containers.
#[derive(Debug)]
pub(crate) enum Event {
    /// A container ended by itself; `life` tells a late word of an earlier life.
    Ended {
        slot: Slot,
        life: u32,
        ended: Box<Ended>,
    },
    /// An instance of a serving container failed and was replaced.
    Fault { slot: Slot, ended: Box<Ended> },
    /// The pod uses more than it may.
    Exceeded { message: String },
    /// A probe has a new verdict.
    Probed { slot: Slot, life: u32, check: Check },
}

impl Event {
    /// The fault behind a failed call, if the guest is to blame.
    pub(crate) fn fault(slot: Slot, error: &CallError) -> Option<Self> {
        failed_call(error).map(|ended| Self::Fault {
            slot,
            ended: Box::new(ended),
        })
    }
}

/// How a guest ended that failed in a call.
fn failed_call(error: &CallError) -> Option<Ended> {
    let words = error.to_string();
    match error {
        CallError::OutOfMemory { .. } => Some(Ended::new(137, "OOMKilled", words)),
        CallError::Trap { .. } => Some(Ended::new(134, "Error", words)),
        CallError::Deadline { .. } => Some(Ended::new(137, "DeadlineExceeded", words)),
        CallError::Overloaded
        | CallError::NoResponse
        | CallError::Refused { .. }
        | CallError::Stopped => None,
    }
}
