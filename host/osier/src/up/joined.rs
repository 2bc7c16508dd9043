//! The composition of a joined node: the same rooms without API server and controllers, which are elsewhere.

use super::admin::Admin;
use super::directory::{self, DataDirectory};
use super::membership::{self, Membership};
use super::{bind, drain};
use crate::bundled::Plugins;
use crate::configuration::Joined;
use crate::exit::Failure;
use crate::join::certify::ApiCertify;
use anyhow::Context as _;
use osier_client::{Client, Https};
use osier_engine::Engine;
use osier_node::{Capacity, Node, Parts};
use osier_policy::PolicyHost;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_process::readiness::Readiness;
use osier_process::serve::Security;
use osier_process::signals::Signals;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a stop waits for requests in flight.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

/// Runs a joined node until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn run(settings: &Joined, began: Instant) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("signals")?;
    let data = Arc::new(DataDirectory::open(&settings.data_dir)?);
    let admin = bind("admin-listen", settings.admin_listen).await?;
    let mesh = bind("listen", settings.mesh_listen).await?;
    let at = |listener: &tokio::net::TcpListener| {
        listener.local_addr().context("a listener has no address")
    };
    let (admin_address, mesh_address) = (at(&admin)?, at(&mesh)?);
    let rooms = tokio::select! {
        rooms = JoinedRooms::build(settings, &data, (admin, mesh)) => rooms?,
        signal = signals.next() => {
            tracing::info!(signal, "asked to stop while joining");
            return Ok(());
        }
    };
    data.write_joined(admin_address, mesh_address)?;
    tokio::select! {
        () = rooms.node.ready() => {
            println!("osier {} is ready after {} ms", env!("CARGO_PKG_VERSION"), began.elapsed().as_millis());
            println!("  node     {}", settings.node_name);
            println!("  mesh     {}", directory::reachable(mesh_address));
            println!("  admin    http://{}", directory::reachable(admin_address));
        }
        signal = signals.next() => tracing::info!(signal, "asked to stop while starting"),
    }
    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    let sets = [
        ("mesh", &rooms.edge),
        ("node", &rooms.plane),
        ("admin", &rooms.admin),
    ];
    drain::drain_node(&rooms.node, sets, DRAIN, &mut signals).await?;
    tracing::info!("stopped");
    Ok(())
}

/// A running joined node.
struct JoinedRooms {
    /// The mesh listener and its connections.
    edge: Tasks,
    /// The node agent.
    plane: Tasks,
    /// The admin listener.
    admin: Tasks,
    node: Arc<Node>,
}

impl JoinedRooms {
    async fn build(
        settings: &Joined,
        data: &Arc<DataDirectory>,
        (admin_listener, mesh): (tokio::net::TcpListener, tokio::net::TcpListener),
    ) -> Result<Self, Failure> {
        let (edge, plane, admin) = (Tasks::new(), Tasks::new(), Tasks::new());
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let starting = readiness.wait_for("node");
        let page = Admin::of(&metrics, &readiness);
        super::rooms::open(&admin, "admin", (admin_listener, Security::Plain), page);
        let member = Membership::open(settings, data, &plane).await?;
        let config = osier_identity::client_config(&member.authority_pem, Some(&member.credential))
            .map_err(|error| Failure::Data(error.to_string()))?;
        let https = Https::new(&settings.server, config, plane.clone()).context("--join")?;
        let engine = osier_engine::Settings::new(data.join("cache"), plane.clone());
        let engine = Engine::start(engine).context("the WebAssembly engine did not start")?;
        let counters = super::rooms::counters(&settings.sharing, &metrics, &plane);
        let policy = PolicyHost::counting(engine.clone(), &metrics, plane.clone(), counters);
        let place = (settings.data_dir.as_path(), &settings.images);
        let images = super::images::puller(place, plane.clone())?;
        let client = Client::new(Arc::new(https.clone()));
        let certify = ApiCertify::new(client.clone(), &settings.node_name, &member.authority_pem);
        let parts = Parts {
            certify: Arc::new(certify),
            client,
            engine,
            policy,
            metrics,
            images,
            bundled: Arc::new(Plugins),
        };
        let bound = mesh.local_addr();
        let bound = bound.context("the mesh listener has no address")?;
        let told = advertised(bound, &settings.server);
        let agent = osier_node::Settings {
            host_ip: told.ip().to_string(),
            capacity: Capacity::of_machine(),
            edge: false,
            host_paths: settings.host_paths.clone(),
            mesh: Some(told),
            ..osier_node::Settings::new(settings.node_name.as_str(), settings.data_dir.as_path())
        };
        let node = Node::start(agent, parts, &plane).context("the node agent did not start")?;
        node.serve_mesh(mesh, &edge);
        let renewing = membership::renew(member, (https, settings.node_name.clone()), data.clone());
        let stopping = plane.stopping();
        plane.spawn("certificate", async move {
            tokio::select! {
                () = renewing => {}
                () = stopping.cancelled() => {}
            }
        });
        super::rooms::when_ready(&plane, node.clone(), starting);
        Ok(Self {
            edge,
            plane,
            admin,
            node,
        })
    }
}

/// The address that other nodes are told: of a listener on every address, the one from which this machine reaches the API.
pub(super) fn advertised(bound: SocketAddr, server: &str) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let authority = server.trim_start_matches("https://");
    // A datagram socket that is connected sends nothing: it only chooses the way.
    let any: IpAddr = bound.ip();
    let way = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(authority)?;
        socket.local_addr()
    });
    way.map_or_else(
        |_| directory::reachable(bound),
        |way| SocketAddr::new(way.ip(), bound.port()),
    )
}
