//! The node: everything of it, put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use osier_capabilities::Buckets;
use osier_client::{Client, Recorder};
use osier_engine::Engine;
use osier_logs::Logs;
use osier_policy::PolicyHost;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_proxy::{Certify, MeshListener, Proxy};
use osier_volumes::Volumes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::api::AgentApi;
use crate::callout::PluginEgress;
use crate::components::Components;
use crate::error::NodeError;
use crate::extend::{Extensions, Room};
use crate::gate::{Policies, PolicyGate};
use crate::held;
use crate::live::Live;
use crate::mesh::{Mirrors, Publisher};
use crate::pod::Shared;
use crate::reclaim;
use crate::register::Registrar;
use crate::remote::Remote;
use crate::served::Served;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::statuses::Statuses;
use crate::tokens::TokenKeeper;
use crate::usage::Meters;
use osier_images::{Bundled, Puller};

/// A node that starts again waits this long for the pods that it ran before.
const RESUME: Duration = Duration::from_secs(5);

/// A running node.
pub struct Node {
    shared: Arc<Shared>,
    policies: Policies,
    api: Arc<AgentApi>,
    certify: Arc<dyn Certify>,
    ready: [watch::Receiver<bool>; 4],
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("name", &self.shared.settings.node_name)
            .finish_non_exhaustive()
    }
}

/// What a node is made of.
pub struct Parts {
    /// Speaks to the API as this node.
    pub client: Client,
    /// Runs components.
    pub engine: Engine,
    /// Runs plugins.
    pub policy: PolicyHost,
    /// Where request metrics go.
    pub metrics: Metrics,
    /// Brings images.
    pub images: Arc<Puller>,
    /// The components of the binary.
    pub bundled: Arc<dyn Bundled>,
    /// Gets certificates for calls to other nodes.
    pub certify: Arc<dyn Certify>,
}

impl Node {
    /// Starts a node; it runs until the tasks stop.
    pub fn start(settings: Settings, parts: Parts, tasks: &Tasks) -> Result<Arc<Self>, NodeError> {
        let folder = settings.data_dir.join("pods");
        make_folder(&folder)?;
        let served = Arc::new(Served::default());
        let gate = Arc::new(PolicyGate::default());
        let proxy = Proxy::new(
            Arc::clone(&served) as _,
            Arc::clone(&gate) as _,
            &parts.metrics,
            tasks.clone(),
        );
        join(&proxy, &settings, &parts);
        let recorder = Recorder::start(parts.client.clone(), "kubelet", &settings.node_name, tasks);
        let mirrors = Mirrors::start(&parts.client, settings.edge, tasks);
        let speakers = (parts.client.clone(), recorder.clone());
        let (publisher, published) = Publisher::new(
            speakers,
            mirrors.clone(),
            Arc::clone(&proxy),
            &settings,
            tasks.clone(),
        );
        let remote = (!settings.edge).then(|| Remote::new(parts.client.clone()));
        let shared = Arc::new(Shared {
            recorder,
            components: Components::new(
                (parts.images, parts.bundled),
                parts.engine,
                remote,
                tasks.clone(),
            ),
            logs: Logs::start(&folder, tasks),
            meters: Meters::start(tasks),
            volumes: Volumes::new(&settings.data_dir, settings.host_paths.clone()),
            buckets: Buckets::new(tasks.clone()),
            tokens: TokenKeeper::new(parts.client.clone()),
            served,
            live: Live::default(),
            sessions: Sessions::new(&parts.metrics, tasks.clone()),
            statuses: Statuses::start(parts.client.clone(), tasks),
            addresses: Mutex::default(),
            proxy,
            published,
            tasks: tasks.clone(),
            client: parts.client,
            settings,
        });
        let api = Arc::new(AgentApi::new(&shared, &mirrors.pods, gate.decisions()));
        let policies = Policies(Arc::clone(&gate));
        let ready = run(&shared, publisher, (parts.policy, gate), mirrors);
        Ok(Arc::new(Self {
            shared,
            policies,
            api,
            certify: parts.certify,
            ready,
        }))
    }

    /// The one door for requests.
    pub fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(&self.shared.proxy)
    }

    /// Takes the calls of other nodes, until the tasks stop.
    pub fn serve_mesh(&self, listener: TcpListener, tasks: &Tasks) {
        let (certify, domain) = (Arc::clone(&self.certify), &self.shared.settings.domain);
        let agent = self.api();
        MeshListener::serve(&self.proxy(), listener, (certify, domain), agent, tasks);
    }

    /// The policies in force.
    pub fn policies(&self) -> Policies {
        self.policies.clone()
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.shared.settings.node_name
    }

    /// The agent's own API.
    pub fn api(&self) -> Arc<dyn osier_proxy::Agent> {
        Arc::clone(&self.api) as _
    }

    /// Waits until the Node object is in the API, the first snapshot is in the proxy, the policies
    /// are in force or known to fail, and the pods that ran before run again.
    pub async fn ready(&self) {
        for part in &self.ready {
            let mut part = part.clone();
            // The sender is gone only when the process stops, and then nobody waits any more.
            let _seen = part.wait_for(|ready| *ready).await;
        }
    }

    /// Lets all requests in flight end, for at most `deadline`. Pods stay in the API and run again
    /// when the node comes back.
    pub async fn drain(&self, deadline: Duration) {
        self.shared.served.stop(deadline).await;
    }
}

fn make_folder(folder: &Path) -> Result<(), NodeError> {
    std::fs::create_dir_all(folder).map_err(|source| NodeError::Folder {
        path: folder.to_owned(),
        source,
    })
}

/// Joins the proxy to what calls through it and to other nodes.
pub(crate) fn join(proxy: &Arc<Proxy>, settings: &Settings, parts: &Parts) {
    parts.policy.join_callout(Arc::new(PluginEgress {
        proxy: Arc::clone(proxy),
        trust_domain: settings.domain.clone(),
    }));
    let myself = (settings.node_name.as_str(), settings.domain.as_str());
    proxy.join(myself, Arc::clone(&parts.certify));
}

fn run(
    shared: &Arc<Shared>,
    publisher: Publisher,
    (policy, gate): (PolicyHost, Arc<PolicyGate>),
    mirrors: Mirrors,
) -> [watch::Receiver<bool>; 4] {
    let (registered, block) = watch::channel(None);
    let (addressed, is_registered) = watch::channel(false);
    let (decides, is_deciding) = watch::channel(false);
    let registrar = Registrar {
        client: shared.client.clone(),
        settings: Arc::new(shared.settings.clone()),
        components: Arc::clone(&shared.components),
        registered,
    };
    let is_routing = publisher.ready();
    let (client, name) = (shared.client.clone(), shared.settings.node_name.clone());
    let telling = held::tell(client, name, publisher.proxy.held());
    until_stopped(&shared.tasks, "held", telling);
    until_stopped(&shared.tasks, "register", registrar.run());
    until_stopped(&shared.tasks, "mesh", publisher.run());
    until_stopped(
        &shared.tasks,
        "policy",
        Extensions::new(Room::of(shared, mirrors.clone()), policy, gate, decides).run(),
    );
    let (resumed, is_resumed) = watch::channel(false);
    reclaim::start(shared);
    let agent = run_pods(Arc::clone(shared), mirrors, (block, addressed), resumed);
    until_stopped(&shared.tasks, "agent", agent);
    [is_registered, is_routing, is_deciding, is_resumed]
}

/// Gives each pod its actor, and waits a while for those that ran before the node did.
async fn run_pods(
    shared: Arc<Shared>,
    mirrors: Mirrors,
    (mut block, addressed): (watch::Receiver<Option<String>>, watch::Sender<bool>),
    resumed: watch::Sender<bool>,
) {
    mirrors.pods.synced().await;
    match block.wait_for(Option::is_some).await {
        Ok(block) => shared
            .addresses
            .lock()
            .of_block(block.as_deref().unwrap_or_default()),
        // The registrar ends only with the process.
        Err(_) => return,
    }
    addressed.send_replace(true);
    let (resuming, guard) = watch::channel(());
    let agent = Agent::start(shared, &mirrors.pods, guard);
    agent.clean(&mirrors.pods);
    if tokio::time::timeout(RESUME, resuming.closed())
        .await
        .is_err()
    {
        tracing::warn!("some pods are not running again yet; the node is ready without them");
    }
    resumed.send_replace(true);
}

pub(crate) fn until_stopped(
    tasks: &Tasks,
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let stopping = tasks.stopping();
    tasks.spawn(name, async move {
        tokio::select! {
            () = work => {}
            () = stopping.cancelled() => {}
        }
    });
}
