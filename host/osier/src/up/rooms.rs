//! The composition root: every room, built bottom-up and joined.

use super::directory::DataDirectory;
use super::{Listeners, directory, images, names, policy};
use crate::bundled::Plugins;
use crate::configuration::{self, Settings, Sharing};
use crate::exit::Failure;
use crate::join::admission::PolicyAdmission;
use crate::join::agents::Agents;
use crate::join::certify::ApiCertify;
use crate::join::extender::PolicyExtender;
use crate::join::images::NodeImages;
use crate::join::issuers::MeshIssuers;
use crate::join::questions::PolicyQuestions;
use crate::join::reviews::PluginReviews;
use crate::join::signer::AuthoritySigner;
use crate::join::transport::InProcess;
use crate::join::webhooks::Outside;
use anyhow::Context as _;
use osier_admin::{Admin, DRAINING};
use osier_apiserver::{Admit, ApiServer, AuditSettings, NodeDoors, StoreLimits, User};
use osier_applied::{GrantAdmission, SecurityAdmission};
use osier_capabilities::{CounterStore, Counters};
use osier_client::{Candidacy, Client};
use osier_control::Doors;
use osier_engine::Engine;
use osier_identity::{Authority, Subject, TokenKey};
use osier_images::Puller;
use osier_node::{Capacity, Node, Parts};
use osier_policy::PolicyHost;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_process::readiness::{Guard, Readiness};
use osier_process::serve::{Handle, Limits, Security, serve};
use osier_proxy::{Certify, Opened};
use osier_redis::SharedCounters;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Where services get their addresses, as Kubernetes' default has it.
const SERVICE_RANGE: &str = "10.96.0.0/12";

/// A running node. Its task sets are drained in the order of the fields.
pub(crate) struct Rooms {
    /// The gateway's listeners and their connections.
    pub(crate) edge: Tasks,
    /// Controllers and the node agent.
    pub(crate) plane: Tasks,
    /// The API listener, watches, admission.
    pub(crate) api: Tasks,
    /// The admin listener, which answers to the last.
    pub(crate) admin: Tasks,
    /// The node agent.
    pub(crate) node: Arc<Node>,
    /// The API server.
    pub(crate) server: Arc<ApiServer>,
    readiness: Readiness,
}

impl Rooms {
    /// Builds everything and begins to serve.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn build(
        settings: &Settings,
        data: &DataDirectory,
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let (edge, plane, api, admin) = (Tasks::new(), Tasks::new(), Tasks::new(), Tasks::new());
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let starting = readiness.wait_for("node");
        let authority = authority(settings)?;
        let security = identities(settings, data, &listeners, &authority)?;
        let page = Admin::of(&metrics, &readiness);
        open(&admin, "admin", (listeners.admin, Security::Plain), page);

        let engine = engine(settings, data, plane.clone())?;
        let counters = counters(&settings.sharing, &metrics, &plane);
        let policy = PolicyHost::counting(engine.clone(), &metrics, plane.clone(), counters);
        let images = images::puller((&settings.data_dir, &settings.images), plane.clone())?;
        let agents = Arc::new(Agents::new(authority.clone(), api.clone()));
        let reviews = Arc::new(PluginReviews::default());
        let grants = grants(&images, &api);
        let asked = admission(&policy, (&images, &grants), (&reviews, &api));
        let joined = (asked, doors(&agents, &images, &metrics, &api));
        let server = open_api(settings, joined, api.clone()).await?;
        publish(&server, &listeners.api).await;
        let listener = osier_apiserver::Listener(server.clone());
        open(&api, "api", (listeners.api, security), listener);

        let speaks = client(&server, node_user(settings));
        grants.follow(&speaks, &api);
        let parts = Parts {
            certify: certify(&speaks, settings, &authority),
            client: speaks,
            engine,
            policy,
            metrics: metrics.clone(),
            images,
            bundled: Arc::new(Plugins),
        };
        let agent = agent(settings, &listeners.mesh)?;
        let node = Node::start(agent, parts, &plane).context("the node agent did not start")?;
        reviews.join(node.policies());
        agents.join(node.clone());
        control(settings, (&server, &node), (&authority, reviews), &plane);
        let main = (listeners.gateway, settings.gateway_listen);
        osier_proxy::serve_gateways(&node.proxy(), main, &edge);
        policy::serve((listeners.policy, settings), &authority, &node, &edge)?;
        names::of_node(listeners.names, &node, (&metrics, &edge));
        osier_proxy::check_endpoints(&node.proxy(), &plane);
        node.serve_mesh(listeners.mesh, &edge);
        when_ready(&plane, node.clone(), starting);
        Ok(Self {
            edge,
            plane,
            api,
            admin,
            node,
            server,
            readiness,
        })
    }

    /// Returns when the node is ready.
    pub(crate) async fn ready(&self) {
        self.readiness.ready().await;
    }

    /// What became of the listeners that gateways ask for.
    pub(crate) fn opened(&self) -> watch::Receiver<Opened> {
        self.node.proxy().opened()
    }

    /// Makes `/readyz` say no while the guard lives, so that whoever balances to this node stops.
    pub(crate) fn unready(&self) -> Guard {
        self.readiness.wait_for(DRAINING)
    }

    /// Returns when the store is of no more use to this process, and says why. A full disk is no such reason.
    pub(crate) async fn store_failed(&self) -> String {
        self.server.failed().await.to_string()
    }
}

/// Where plugins count: in the Redis that nodes share, or on this node.
pub(super) fn counters(
    sharing: &Sharing,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Arc<dyn CounterStore> {
    match &sharing.redis {
        Some(redis) => Arc::new(SharedCounters::start(redis.clone(), metrics, tasks)),
        None => Arc::new(Counters::default()),
    }
}

/// Serves a listener as a task of this set, which its connections join.
pub(super) fn open<H: Handle>(
    tasks: &Tasks,
    name: &'static str,
    (listener, security): (TcpListener, Security),
    handle: H,
) {
    let limits = Limits::default();
    tasks.spawn(
        name,
        serve(listener, security, handle, tasks.clone(), limits),
    );
}

/// The node agent in the API, as Kubernetes' node authorizer knows it. Beside the API server it serves the gateways, for which it
/// reads what no joined node may.
fn node_user(settings: &Settings) -> User {
    let name = format!("system:node:{}", settings.node_name);
    User::new(name, ["system:nodes", "osier:control-plane"])
}

fn agent(settings: &Settings, mesh: &TcpListener) -> Result<osier_node::Settings, Failure> {
    let bound = mesh.local_addr();
    let mesh = bound.context("the mesh listener has no address")?;
    let capacity = Capacity {
        pods: u64::from(settings.max_pods),
        ..Capacity::of_machine()
    };
    Ok(osier_node::Settings {
        capacity,
        host_paths: settings.offered.host_paths.clone(),
        extended: settings.offered.extended_resources.clone(),
        gateway_port: settings.gateway_listen.port(),
        mesh: Some(directory::reachable(mesh)),
        ..osier_node::Settings::new(settings.node_name.as_str(), settings.data_dir.as_path())
    })
}

/// Where this node's data plane gets its certificates.
fn certify(client: &Client, settings: &Settings, authority: &Authority) -> Arc<dyn Certify> {
    let trusted = authority.certificate_pem();
    let certify = ApiCertify::new(client.clone(), &settings.node_name, trusted);
    Arc::new(certify)
}

/// Starts the controllers; where other control planes have the same store, on the one that leads.
fn control(
    settings: &Settings,
    (server, node): (&Arc<ApiServer>, &Arc<Node>),
    (authority, reviews): (&Arc<Authority>, Arc<PluginReviews>),
    tasks: &Tasks,
) {
    let user = User::new("system:controllers", ["osier:components"]);
    let control = osier_control::Settings {
        node_grace: Duration::from_secs(settings.node_grace_seconds),
        authority: authority.certificate_pem().to_owned(),
        ..osier_control::Settings::default()
    };
    let (client, authority) = (client(server, user), authority.clone());
    let speaks = client.clone();
    let inside = Arc::new(MeshIssuers {
        proxy: node.proxy(),
        domain: control.domain.clone(),
    });
    let start = move |tasks: &Tasks| {
        let doors = Doors {
            signer: Arc::new(AuthoritySigner(authority.clone())),
            extender: Arc::new(PolicyExtender(reviews.clone())),
        };
        osier_control::start(speaks.clone(), tasks, control.clone(), doors);
        osier_issuers::start(speaks.clone(), inside.clone(), tasks);
    };
    if !server.shares_its_store() {
        return start(tasks);
    }
    let candidacy = Candidacy {
        namespace: "kube-system",
        name: "osier-controllers",
        identity: settings.node_name.clone(),
    };
    let standing = osier_client::lead(client, candidacy, tasks.clone(), start);
    tasks.spawn("election", standing);
}

fn authority(settings: &Settings) -> Result<Arc<Authority>, Failure> {
    let opened = Authority::open(&settings.stored.cert_dir);
    opened
        .map(Arc::new)
        .map_err(|error| Failure::Data(error.to_string()))
}

fn identities(
    settings: &Settings,
    data: &DataDirectory,
    listeners: &Listeners,
    authority: &Authority,
) -> Result<Security, Failure> {
    let broken = |error: osier_identity::IdentityError| Failure::Data(error.to_string());
    let api = listeners
        .api
        .local_addr()
        .context("the API listener has no address")?;
    let mut names: Vec<String> = [
        "localhost",
        "127.0.0.1",
        "::1",
        "kubernetes",
        "kubernetes.default",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push(settings.node_name.clone());
    names.push(directory::reachable(api).ip().to_string());
    let server = Subject {
        common_name: "osier-apiserver".to_owned(),
        names,
        ..Subject::default()
    };
    let admin = Subject {
        common_name: "osier-admin".to_owned(),
        organizations: vec!["system:masters".to_owned()],
        ..Subject::default()
    };
    let admin = authority.issue(&admin).map_err(broken)?;
    data.write_kubeconfig(api, authority.certificate_pem(), &admin)?;
    let mut credential = authority.issue(&server).map_err(broken)?;
    // The authority too: a machine that joins knows its hash only.
    credential.certificate_pem += authority.certificate_pem();
    let config =
        osier_identity::server_config(authority.certificate_pem(), &credential).map_err(broken)?;
    Ok(Security::Tls(config))
}

fn engine(settings: &Settings, data: &DataDirectory, tasks: Tasks) -> Result<Engine, Failure> {
    let engine = osier_engine::Settings {
        max_instances: settings.max_pods.saturating_mul(2).max(64),
        ..osier_engine::Settings::new(data.join("cache"), tasks)
    };
    Ok(Engine::start(engine).context("the WebAssembly engine did not start")?)
}

/// The node's part of the readiness holds until it is ready.
pub(super) fn when_ready(tasks: &Tasks, node: Arc<Node>, starting: Guard) {
    tasks.spawn("readiness", async move {
        node.ready().await;
        drop(starting);
    });
}

fn grants(images: &Arc<Puller>, api: &Tasks) -> Arc<GrantAdmission> {
    let (store, bundled) = (images.store().clone(), Arc::new(Plugins));
    Arc::new(GrantAdmission::new(store, bundled, api.clone()))
}

/// What is asked before an object is stored.
fn admission(
    policy: &PolicyHost,
    (images, grants): (&Arc<Puller>, &Arc<GrantAdmission>),
    (reviews, api): (&Arc<PluginReviews>, &Tasks),
) -> Vec<Arc<dyn Admit>> {
    let room = (policy.clone(), images.clone());
    let questions = PolicyQuestions::new(policy.clone(), reviews.clone(), api.clone());
    vec![
        reviews.clone(),
        Arc::new(PolicyAdmission::new(room, api.clone())),
        Arc::new(questions),
        Arc::new(SecurityAdmission),
        grants.clone(),
    ]
}

fn doors(agents: &Arc<Agents>, images: &Puller, metrics: &Metrics, api: &Tasks) -> NodeDoors {
    let images = NodeImages::new(images.store().clone(), api.clone());
    NodeDoors {
        agents: agents.clone(),
        images: Arc::new(images),
        webhooks: Arc::new(Outside::new(api.clone())),
        metrics: metrics.clone(),
    }
}

/// Names the API's address where programs look for it. Nothing here needs it: the node starts without, too.
async fn publish(server: &ApiServer, listener: &TcpListener) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    if let Err(refused) = server.answer_at(directory::reachable(address)).await {
        tracing::warn!(%refused, "the service default/kubernetes does not lead to this API");
    }
}

async fn open_api(
    settings: &Settings,
    (admission, doors): (Vec<Arc<dyn Admit>>, NodeDoors),
    tasks: Tasks,
) -> Result<Arc<ApiServer>, Failure> {
    let key = TokenKey::open(&settings.stored.cert_dir)
        .map_err(|error| Failure::Data(error.to_string()))?;
    let policy = settings.audit_policy_file.as_deref();
    let policy = policy.map(configuration::audit_policy).transpose()?;
    let api = osier_apiserver::Settings {
        store: settings.stored.place(&settings.data_dir)?,
        store_limits: StoreLimits {
            history: settings.store_history as usize,
            ..StoreLimits::default()
        },
        sealing: settings.stored.sealing()?,
        service_cidr: SERVICE_RANGE.to_owned(),
        token_key: Arc::new(key),
        audit: settings.audit_log.as_ref().map(|path| AuditSettings {
            path: settings.data_dir.join(path),
            limit: settings.audit_megabytes * 1024 * 1024,
            policy,
        }),
    };
    let opened = ApiServer::open(api, admission, doors, tasks).await;
    opened.map_err(|error| Failure::Data(error.to_string()))
}

fn client(server: &Arc<ApiServer>, user: User) -> Client {
    Client::new(Arc::new(InProcess::new(server.clone(), user)))
}
