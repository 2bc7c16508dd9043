//! The composition of a joined node: the same rooms without API server and controllers, which are elsewhere.

use super::directory::{self, DataDirectory};
use super::names::{self, Names};
use super::{bind, drain};
use crate::configuration::Joined;
use crate::exit::Failure;
use anyhow::Context as _;
use osier_admin::Admin;
use osier_node::{Capacity, Node};
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_process::readiness::Readiness;
use osier_process::serve::Security;
use osier_process::signals::Signals;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long a stop waits for requests in flight.
pub(super) const DRAIN: Duration = Duration::from_secs(30);

/// Runs a joined node until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn run(settings: &Joined, began: Instant) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("signals")?;
    let data = Arc::new(DataDirectory::open(&settings.data_dir)?);
    let listeners = Listeners::bind(settings).await?;
    let addresses = listeners.addresses()?;
    let rooms = tokio::select! {
        rooms = JoinedRooms::build(settings, &data, listeners) => rooms?,
        signal = signals.next() => {
            tracing::info!(signal, "asked to stop while joining");
            return Ok(());
        }
    };
    data.write_named(&addresses)?;
    tokio::select! {
        () = rooms.node.ready() => announce(&settings.node_name, &addresses, began),
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

fn announce(node_name: &str, addresses: &BTreeMap<&str, SocketAddr>, began: Instant) {
    announce!(
        "osier {} is ready after {} ms",
        env!("CARGO_PKG_VERSION"),
        began.elapsed().as_millis()
    );
    announce!("  node     {node_name}");
    for (name, address) in addresses {
        let scheme = if *name == "admin" { "http://" } else { "" };
        announce!("  {name:8} {scheme}{}", directory::reachable(*address));
    }
}

/// Bound before anything is built.
struct Listeners {
    admin: TcpListener,
    mesh: TcpListener,
    names: Option<Names>,
}

impl Listeners {
    async fn bind(settings: &Joined) -> Result<Self, Failure> {
        Ok(Self {
            admin: bind("admin-listen", settings.admin_listen).await?,
            mesh: bind("mesh-listen", settings.mesh_listen).await?,
            names: Names::bind(&settings.naming).await?,
        })
    }

    fn addresses(&self) -> anyhow::Result<BTreeMap<&'static str, SocketAddr>> {
        let at = |listener: &TcpListener| {
            let address = listener.local_addr();
            address.context("a listener has no address")
        };
        let own = BTreeMap::from([("admin", at(&self.admin)?), ("mesh", at(&self.mesh)?)]);
        let names = self.names.as_ref().and_then(Names::address);
        let names = names.map(|address| ("dns", address));
        Ok(own.into_iter().chain(names).collect())
    }
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
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let (edge, plane, admin) = (Tasks::new(), Tasks::new(), Tasks::new());
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let starting = readiness.wait_for("node");
        let page = Admin::of(&metrics, &readiness);
        super::rooms::open(&admin, "admin", (listeners.admin, Security::Plain), page);
        let (parts, _) = super::workload::join(settings, data, (&metrics, &plane)).await?;
        let bound = listeners.mesh.local_addr();
        let bound = bound.context("the mesh listener has no address")?;
        let told = advertised(bound, &settings.server);
        let agent = osier_node::Settings {
            host_ip: told.ip().to_string(),
            capacity: Capacity::of_machine(),
            edge: false,
            host_paths: settings.offered.host_paths.clone(),
            extended: settings.offered.extended_resources.clone(),
            mesh: Some(told),
            ..osier_node::Settings::new(settings.node_name.as_str(), settings.data_dir.as_path())
        };
        let node = Node::start(agent, parts, &plane).context("the node agent did not start")?;
        node.serve_mesh(listeners.mesh, &edge);
        names::of_node(listeners.names, &node, (&metrics, &edge));
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
