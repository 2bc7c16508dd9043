//! Listeners open and close as gateways ask: a thin loop around what is open and what is wanted.
//!
//! A listener that is no longer wanted stops as the process does: it takes what is in its backlog, open connections finish their
//! requests. One that cannot be opened is said and tried again, and harms nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use osier_process::Tasks;
use osier_process::serve::{Limits, Security, bind, serve};
use osier_snapshot::{ListenerKey, Snapshot};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::gateway::GatewayListener;
use crate::opened::Opened;
use crate::proxy::Proxy;

/// How long until a port that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Serves the main listener and those that gateways ask for, until the tasks stop. `configured` is the main listener's address as
/// it was asked for: others open on its IP, and on ports of the kernel's choosing where it is itself on one.
pub fn serve_gateways(
    proxy: &Arc<Proxy>,
    (main, configured): (TcpListener, SocketAddr),
    tasks: &Tasks,
) {
    let served = open(proxy, (ListenerKey::Main, main), tasks.clone());
    tasks.spawn("gateway", served);
    let ports = Ports {
        proxy: Arc::clone(proxy),
        configured,
        tasks: tasks.clone(),
        open: BTreeMap::new(),
        closing: BTreeMap::new(),
    };
    let stopping = tasks.stopping();
    tasks.spawn("gateway-ports", async move {
        tokio::select! {
            () = ports.run() => {}
            () = stopping.cancelled() => {}
        }
    });
}

fn open(
    proxy: &Arc<Proxy>,
    (key, listener): (ListenerKey, TcpListener),
    tasks: Tasks,
) -> impl Future<Output = ()> + Send + 'static {
    let handle = GatewayListener::new(Arc::clone(proxy), key, tasks.stopping());
    let security = Security::Chosen(Arc::new(handle.clone()));
    serve(listener, security, handle, tasks, Limits::default())
}

struct Ports {
    proxy: Arc<Proxy>,
    configured: SocketAddr,
    tasks: Tasks,
    open: BTreeMap<u16, Open>,
    /// Accept loops that were told to end; their ports are free when they have.
    closing: BTreeMap<u16, JoinHandle<()>>,
}

struct Open {
    address: SocketAddr,
    tasks: Tasks,
    accepting: JoinHandle<()>,
}

impl Ports {
    async fn run(mut self) {
        let mut published = self.proxy.published();
        loop {
            let wanted = wanted(&published.borrow_and_update());
            let opened = self.reconcile(&wanted).await;
            let failed = opened.values().any(Result::is_err);
            self.proxy.opened.send_if_modified(|before| {
                let changed = *before != opened;
                *before = opened;
                changed
            });
            let again = async {
                match failed {
                    true => tokio::time::sleep(AGAIN).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                _changed = published.changed() => {}
                () = again => {}
            }
        }
    }

    async fn reconcile(&mut self, wanted: &BTreeSet<u16>) -> Opened {
        let unwanted: Vec<u16> = self.open.keys().copied().collect();
        for port in unwanted.into_iter().filter(|port| !wanted.contains(port)) {
            if let Some(closed) = self.open.remove(&port) {
                tracing::info!(port, address = %closed.address, "a gateway listener closes");
                closed.tasks.stop();
                self.closing.insert(port, closed.accepting);
            }
        }
        let mut opened = Opened::new();
        for port in wanted {
            let address = match self.open.get(port) {
                Some(open) => Ok(open.address),
                None => self.open(*port).await,
            };
            opened.insert(*port, address);
        }
        self.closing.retain(|_, accepting| !accepting.is_finished());
        opened
    }

    async fn open(&mut self, port: u16) -> Result<SocketAddr, String> {
        if let Some(accepting) = self.closing.remove(&port) {
            // It ends at once but for its backlog; whether it panicked does not matter, the socket is closed.
            let _ended = accepting.await;
        }
        let number = if self.configured.port() == 0 { 0 } else { port };
        let wanted = SocketAddr::new(self.configured.ip(), number);
        let bound = bind(wanted).await;
        let listener = bound.map_err(|error| refused(wanted, &error))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let tasks = self.tasks.branch();
        let key = ListenerKey::Port(port);
        let accepting = open(&self.proxy, (key, listener), tasks.clone());
        let accepting = self.tasks.spawn("gateway-listener", accepting);
        tracing::info!(port, %address, "a gateway listener opens");
        let open = Open {
            address,
            tasks,
            accepting,
        };
        self.open.insert(port, open);
        Ok(address)
    }
}

/// The ports that gateways ask for beside the main one.
fn wanted(snapshot: &Snapshot) -> BTreeSet<u16> {
    let keys = snapshot.listeners().iter().map(|listener| listener.key);
    keys.filter_map(|key| match key {
        ListenerKey::Main => None,
        ListenerKey::Port(port) => Some(port),
    })
    .collect()
}

fn refused(address: SocketAddr, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "stop what listens there, or choose another port",
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need privileges; choose a higher one"
        }
        _ => "it is tried again every few seconds",
    };
    format!("{address} cannot be opened: {error}; {remedy}")
}
