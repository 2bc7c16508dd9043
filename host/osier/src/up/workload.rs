//! The composition of a workload's proxy: the data plane of a node, and in the place of pods the process beside it.

use super::directory::{self, DataDirectory};
use super::joined::{DRAIN, advertised};
use super::membership::{self, Membership};
use super::names::{self, Names};
use super::{bind, drain};
use crate::bundled::Plugins;
use crate::configuration::{Beside, Joined};
use crate::exit::Failure;
use crate::join::certify::ApiCertify;
use anyhow::Context as _;
use osier_admin::Admin;
use osier_client::{Client, Https};
use osier_companion::Companion;
use osier_engine::Engine;
use osier_node::{Parts, Plane};
use osier_policy::PolicyHost;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use osier_process::readiness::{Guard, Readiness};
use osier_process::serve::Security;
use osier_process::signals::Signals;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;

/// Runs a workload's proxy until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(super) async fn run(settings: &Beside, began: Instant) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("signals")?;
    let data = Arc::new(DataDirectory::open(&settings.joined.data_dir)?);
    let listeners = Listeners::bind(settings).await?;
    let addresses = listeners.addresses()?;
    let rooms = tokio::select! {
        rooms = Rooms::build(settings, &data, listeners) => rooms?,
        signal = signals.next() => {
            tracing::info!(signal, "asked to stop while joining");
            return Ok(());
        }
    };
    data.write_named(&addresses)?;
    tokio::select! {
        () = rooms.ready() => announce(settings, &addresses, began),
        signal = signals.next() => tracing::info!(signal, "asked to stop while starting"),
    }
    let signal = signals.next().await;
    tracing::info!(signal, "draining");
    rooms.companion.leave().await;
    let sets = [
        ("mesh", &rooms.edge),
        ("proxy", &rooms.plane),
        ("admin", &rooms.admin),
    ];
    drain::drain_sets(sets, DRAIN, &mut signals).await?;
    tracing::info!("stopped");
    Ok(())
}

fn announce(settings: &Beside, addresses: &BTreeMap<&str, SocketAddr>, began: Instant) {
    announce!(
        "osier {} is ready after {} ms",
        env!("CARGO_PKG_VERSION"),
        began.elapsed().as_millis()
    );
    announce!("  workload {}/{}", settings.entry.0, settings.entry.1);
    for (name, address) in addresses {
        announce!("  {name:8} {}", directory::reachable(*address));
    }
}

/// Bound before anything is built.
struct Listeners {
    admin: TcpListener,
    mesh: TcpListener,
    outbound: TcpListener,
    redirect: Option<TcpListener>,
    names: Option<Names>,
}

impl Listeners {
    async fn bind(settings: &Beside) -> Result<Self, Failure> {
        let joined = &settings.joined;
        Ok(Self {
            admin: bind("admin-listen", joined.admin_listen).await?,
            mesh: bind("mesh-listen", joined.mesh_listen).await?,
            outbound: bind("outbound-listen", settings.outbound_listen).await?,
            redirect: match settings.redirect_listen {
                Some(address) => Some(bind("redirect-listen", address).await?),
                None => None,
            },
            names: Names::bind(&joined.naming).await?,
        })
    }

    fn addresses(&self) -> anyhow::Result<BTreeMap<&'static str, SocketAddr>> {
        let own = [
            ("admin", Some(&self.admin)),
            ("mesh", Some(&self.mesh)),
            ("outbound", Some(&self.outbound)),
            ("redirect", self.redirect.as_ref()),
        ];
        let bound = own.into_iter().filter_map(|(name, listener)| {
            let address = listener?.local_addr().context("a listener has no address");
            Some(address.map(|address| (name, address)))
        });
        let names = self.names.as_ref().and_then(Names::address);
        let names = names.map(|address| Ok(("dns", address)));
        bound.chain(names).collect()
    }
}

/// A running proxy of a workload. Its task sets are drained in the order of the fields.
struct Rooms {
    /// The listeners and their connections.
    edge: Tasks,
    /// The data plane.
    plane: Tasks,
    /// The admin listener.
    admin: Tasks,
    companion: Companion,
    readiness: Readiness,
}

impl Rooms {
    async fn build(
        settings: &Beside,
        data: &Arc<DataDirectory>,
        listeners: Listeners,
    ) -> Result<Self, Failure> {
        let (edge, plane, admin) = (Tasks::new(), Tasks::new(), Tasks::new());
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        let starting = readiness.wait_for("workload");
        let page = Admin::of(&metrics, &readiness);
        super::rooms::open(&admin, "admin", (listeners.admin, Security::Plain), page);
        let bound = listeners.mesh.local_addr();
        let bound = bound.context("the mesh listener has no address")?;
        let (parts, client) = join(&settings.joined, data, (&metrics, &plane)).await?;
        let agent = osier_node::Settings {
            edge: false,
            ..osier_node::Settings::new(
                settings.joined.node_name.as_str(),
                settings.joined.data_dir.as_path(),
            )
        };
        let process = osier_proxy::Beside::new(settings.workload_address, plane.clone());
        let running = Plane::start(&agent, parts, Arc::new(process), &plane);
        running.serve_mesh(listeners.mesh, &edge);
        let speaking = osier_companion::Settings {
            entry: settings.entry.clone(),
            group: settings.group.clone(),
            node: settings.joined.node_name.clone(),
            told: advertised(bound, &settings.joined.server),
        };
        let companion = Companion::start(speaking, &running, client, &plane).await;
        let companion = companion.map_err(|error| anyhow::anyhow!(error))?;
        companion.serve_outbound(listeners.outbound, &edge);
        if let Some(listener) = listeners.redirect {
            companion.serve_redirected(listener, &edge);
        }
        names::of_workload(listeners.names, &companion, (&metrics, &edge));
        when_ready(&plane, (running, companion.clone()), starting);
        Ok(Self {
            edge,
            plane,
            admin,
            companion,
            readiness,
        })
    }

    async fn ready(&self) {
        self.readiness.ready().await;
    }
}

/// Becomes a member of the cluster, and makes what its data plane is made of.
pub(super) async fn join(
    settings: &Joined,
    data: &Arc<DataDirectory>,
    (metrics, tasks): (&Metrics, &Tasks),
) -> Result<(Parts, Client), Failure> {
    let member = Membership::open(settings, data, tasks).await?;
    let config = osier_identity::client_config(&member.authority_pem, Some(&member.credential))
        .map_err(|error| Failure::Data(error.to_string()))?;
    let https = Https::new(&settings.server, config, tasks.clone()).context("--join")?;
    let engine = osier_engine::Settings::new(data.join("cache"), tasks.clone());
    let engine = Engine::start(engine).context("the WebAssembly engine did not start")?;
    let place = (settings.data_dir.as_path(), &settings.images);
    let client = Client::new(Arc::new(https.clone()));
    let certify = ApiCertify::new(client.clone(), &settings.node_name, &member.authority_pem);
    let counters = super::rooms::counters(&settings.sharing, metrics, tasks);
    let parts = Parts {
        certify: Arc::new(certify),
        client: client.clone(),
        policy: PolicyHost::counting(engine.clone(), metrics, tasks.clone(), counters),
        engine,
        metrics: metrics.clone(),
        images: super::images::puller(place, tasks.clone())?,
        bundled: Arc::new(Plugins),
    };
    let renewing = membership::renew(member, (https, settings.node_name.clone()), data.clone());
    let stopping = tasks.stopping();
    tasks.spawn("certificate", async move {
        tokio::select! {
            () = renewing => {}
            () = stopping.cancelled() => {}
        }
    });
    Ok((parts, client))
}

/// The proxy is ready when it routes, its policies are in force, and the mesh knows where the workload is.
fn when_ready(tasks: &Tasks, (plane, companion): (Plane, Companion), starting: Guard) {
    tasks.spawn("readiness", async move {
        plane.ready().await;
        companion.ready().await;
        drop(starting);
    });
}
