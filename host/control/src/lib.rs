//! The controllers and the scheduler: each is a pure decision over values and a thin loop that
//! reads informers, decides, and writes back through the API.
//!
//! They know the cluster only through the API and can run in any process that reaches it. They
//! never import the API server, the engine or the proxy.

mod autoscaler;
mod certificates;
mod claims;
mod cron_job;
mod daemon_set;
mod definitions;
mod deployment;
mod disruption;
mod endpoints;
mod expiry;
mod garbage;
mod hash;
mod history;
mod informers;
mod job;
mod leaving;
mod namespace;
mod namespace_defaults;
mod node_ipam;
mod node_lifecycle;
mod owned;
mod ownership;
mod pod_control;
mod replication;
mod reporting;
mod retire;
mod scheduler;
mod stateful_set;
mod taint_eviction;
mod template;
mod wasm_plugin;

use std::sync::Arc;

use osier_api::resources::PODS;
use osier_client::{Client, Recorder, expectations, reconcile};
use osier_process::Tasks;
use osier_workloads::{conditions, facts};

pub use certificates::Signer;
use informers::Informers;
pub use osier_access::Requested;
pub use osier_scheduling::{Candidate, Extender, Opinion};
use owned::OwnedPods;

/// What the controllers can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Finished pods (Succeeded or Failed) kept in the cluster; the oldest beyond it are deleted.
    pub finished_pods: usize,
    /// How long an event is kept after it was last seen.
    pub event_age: std::time::Duration,
    /// A node that does not renew its Lease for this long is lost.
    pub node_grace: std::time::Duration,
    /// The cluster domain, which is the trust domain of identities too.
    pub domain: String,
    /// The certificate of the cluster's authority, PEM; every namespace has it in `kube-root-ca.crt`.
    pub authority: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            finished_pods: 1000,
            event_age: std::time::Duration::from_secs(3600),
            node_grace: std::time::Duration::from_secs(40),
            domain: "cluster.local".to_owned(),
            authority: String::new(),
        }
    }
}

/// What the controllers ask that is not in the API.
pub struct Doors {
    /// Signs certificates.
    pub signer: Arc<dyn Signer>,
    /// Has a say in where pods run.
    pub extender: Arc<dyn Extender>,
}

/// What every controller works with.
#[derive(Clone)]
pub(crate) struct Context {
    client: Client,
    informers: Informers,
    tasks: Tasks,
}

impl Context {
    fn recorder(&self, component: &'static str) -> Recorder {
        Recorder::start(self.client.clone(), component, "", &self.tasks)
    }
}

/// Starts all controllers; they end when the tasks stop.
pub fn start(client: Client, tasks: &Tasks, settings: Settings, doors: Doors) {
    let context = Context {
        informers: Informers::start(&client, tasks),
        client,
        tasks: tasks.clone(),
    };
    if let Some(pods) = context.informers.of(&PODS) {
        let owned = OwnedPods::follow(pods);
        replication::start(&context, &owned);
        stateful_set::start(&context, &owned);
        daemon_set::start(&context, &owned);
        let by_node = owned::by_node(pods);
        node_lifecycle::start(&context, &by_node, settings.node_grace);
        taint_eviction::start(&context, &by_node);
    }
    deployment::start(&context);
    autoscaler::start(&context);
    disruption::start(&context);
    job::start(&context);
    cron_job::start(&context);
    certificates::start(&context, doors.signer, &settings.domain);
    node_ipam::start(&context);
    scheduler::start(&context, doors.extender);
    claims::start(&context);
    endpoints::start(&context);
    wasm_plugin::start(&context);
    namespace::start(&context);
    namespace_defaults::start(&context, settings.authority);
    garbage::start(&context);
    definitions::start(&context);
    expiry::start(&context, settings.event_age);
    retire::start(&context, settings.finished_pods);
}
