//! `osier up`: binds, builds the rooms bottom-up, serves, and takes them down in the opposite order.

pub(crate) mod directory;
mod drain;
mod images;
mod joined;
mod membership;
mod names;
mod policy;
mod rooms;
mod workload;

use crate::arguments::{LogFormat, Node, Proxy, Up};
use crate::configuration::{self, Settings};
use crate::exit::Failure;
use anyhow::Context as _;
use directory::{Addresses, DataDirectory};
use names::Names;
use osier_process::logs;
use osier_process::signals::Signals;
use osier_proxy::Opened;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Runs a node until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn up(arguments: &Up) -> Result<(), Failure> {
    let began = Instant::now();
    let settings = configuration::resolve(arguments)?;
    let log = (settings.log_format, settings.log.clone());
    enter((log.0, &log.1), run(&settings, began))
}

/// Runs a node of another process's cluster until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn join(arguments: &Node) -> Result<(), Failure> {
    let began = Instant::now();
    let settings = configuration::resolve_node(arguments)?;
    let format = arguments.log_format.unwrap_or(LogFormat::Text);
    let log = arguments.log.as_deref().unwrap_or("info");
    enter((format, log), joined::run(&settings, began))
}

/// Runs the proxy of a workload until a signal ends it.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn beside(arguments: &Proxy) -> Result<(), Failure> {
    let began = Instant::now();
    let settings = configuration::resolve_proxy(arguments)?;
    let format = arguments.log_format.unwrap_or(LogFormat::Text);
    let log = arguments.log.as_deref().unwrap_or("info");
    enter((format, log), workload::run(&settings, began))
}

/// Runs a process with its log and its runtime.
fn enter(
    (format, filter): (LogFormat, &str),
    story: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let format = match format {
        LogFormat::Json => logs::Format::Json,
        LogFormat::Text => logs::Format::Text {
            colour: std::io::stderr().is_terminal(),
        },
    };
    let buffered = &[osier_proxy::ACCESS_TARGET, osier_policy::LOG_TARGET];
    let _flushed_last = logs::install(filter, format, buffered).context("--log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("osier")
        .build()
        .context("the asynchronous runtime did not start")?;
    let outcome = runtime.block_on(story);
    // A stuck blocking task (a compilation) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

async fn run(settings: &Settings, began: Instant) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("signals")?;
    let directory = DataDirectory::open(&settings.data_dir)?;
    warn_of_lost_store(settings, &directory);
    let listeners = Listeners::bind(settings).await?;
    let addresses = listeners.addresses()?;
    let rooms = rooms::Rooms::build(settings, &directory, listeners).await?;
    directory.write_addresses(&addresses)?;
    tokio::select! {
        () = rooms.ready() => announce(&addresses, &directory, began),
        signal = signals.next() => tracing::info!(signal, "asked to stop while starting"),
    }
    let cause = tokio::select! {
        signal = signals.next() => Ok(signal),
        broken = rooms.store_failed() => Err(broken),
        never = keep_addresses(&directory, addresses, rooms.opened()) => match never {},
    };
    if let Ok(signal) = cause {
        tracing::info!(
            signal,
            deadline_seconds = settings.drain_seconds,
            "draining"
        );
    }
    let drained = drain::drain(rooms, settings.drain(), &mut signals).await;
    cause.map_err(Failure::Data)?;
    drained?;
    tracing::info!("stopped");
    Ok(())
}

/// A new store beside what an earlier run left is seldom what people want.
fn warn_of_lost_store(settings: &Settings, directory: &DataDirectory) {
    if !settings.stored.is_local() {
        return;
    }
    if let Some(beside) = directory.left_behind() {
        let (store, beside) = (directory.join("store"), directory.join(beside));
        tracing::warn!(
            store = %store.display(), found = %beside.display(),
            "the store is not there although an earlier run left other files: an empty one is made; if its disk is not mounted, stop this node, mount it and start again"
        );
    }
}

/// Writes the addresses of listeners into `addresses.json` as gateways open and close them.
async fn keep_addresses(
    directory: &DataDirectory,
    mut addresses: Addresses,
    mut opened: watch::Receiver<Opened>,
) -> Infallible {
    loop {
        let now = opened.borrow_and_update().clone();
        let listening = now.into_iter().filter_map(|(port, opened)| {
            let address = opened.ok()?;
            Some((port, address))
        });
        let listeners = listening.collect();
        if addresses.listeners != listeners {
            addresses.listeners = listeners;
            if let Err(failure) = directory.write_addresses(&addresses) {
                tracing::warn!(%failure, "addresses.json does not name every listener");
            }
        }
        if opened.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// Bound before anything is built: a port in use is told at once and nothing is half started.
pub(crate) struct Listeners {
    /// The API.
    pub(crate) api: TcpListener,
    /// The gateway.
    pub(crate) gateway: TcpListener,
    /// Metrics and health.
    pub(crate) admin: TcpListener,
    /// Joined nodes' calls to pods here.
    pub(crate) mesh: TcpListener,
    /// Envoys that ask the policies.
    pub(crate) policy: Option<TcpListener>,
    /// Names of the mesh.
    pub(crate) names: Option<Names>,
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            api: bind("api-listen", settings.api_listen).await?,
            gateway: bind("gateway-listen", settings.gateway_listen).await?,
            admin: bind("admin-listen", settings.admin_listen).await?,
            mesh: bind("mesh-listen", settings.mesh_listen).await?,
            policy: match settings.policy_listen {
                Some(address) => Some(bind("policy-listen", address).await?),
                None => None,
            },
            names: Names::bind(&settings.naming).await?,
        })
    }

    fn addresses(&self) -> Result<Addresses, Failure> {
        let address =
            |listener: &TcpListener| listener.local_addr().context("a listener has no address");
        Ok(Addresses {
            api: address(&self.api)?,
            gateway: address(&self.gateway)?,
            admin: address(&self.admin)?,
            mesh: address(&self.mesh)?,
            policy: self.policy.as_ref().map(address).transpose()?,
            dns: self.names.as_ref().and_then(Names::address),
            listeners: BTreeMap::new(),
        })
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => "stop what listens there (`ss -ltnp` shows it), or choose another address; port 0 takes a free one",
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need privileges; choose a higher one",
            _ => "choose an address of this machine",
        };
        Failure::Address(format!("--{flag} {address}: {error}; {remedy}"))
    })
}

fn announce(addresses: &Addresses, directory: &DataDirectory, began: Instant) {
    let plain = |address: SocketAddr| format!("http://{}", directory::reachable(address));
    announce!(
        "osier {} is ready after {} ms",
        env!("CARGO_PKG_VERSION"),
        began.elapsed().as_millis()
    );
    announce!("  api      https://{}", directory::reachable(addresses.api));
    announce!("  gateway  {}", plain(addresses.gateway));
    announce!("  admin    {}", plain(addresses.admin));
    announce!("  look at  {}/dashboard", plain(addresses.admin));
    for (name, address) in [("policy", addresses.policy), ("dns", addresses.dns)] {
        if let Some(address) = address {
            announce!("  {name:8} {}", directory::reachable(address));
        }
    }
    announce!("  data     {}", directory.join("").display());
    announce!(
        "Next: export KUBECONFIG={} ; kubectl get nodes",
        directory.join("kubeconfig").display()
    );
}
