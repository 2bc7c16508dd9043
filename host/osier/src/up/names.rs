//! `--dns-listen`: names of the mesh for workloads that are no pods.

use super::bind;
use crate::configuration::Naming;
use crate::exit::Failure;
use osier_companion::Companion;
use osier_dns::{Dns, Look, View};
use osier_node::Node;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};

/// How often another port is tried where the system chooses one for TCP that is taken for UDP.
const TRIES: usize = 16;

/// Both sockets of one address, and who is asked for other names.
pub(crate) struct Names {
    datagrams: UdpSocket,
    connections: TcpListener,
    forward: Vec<SocketAddr>,
}

impl Names {
    /// Binds the address, if names are answered at all.
    ///
    /// # Errors
    /// [`Failure::Address`] where the address cannot be used.
    pub(super) async fn bind(naming: &Naming) -> Result<Option<Self>, Failure> {
        let Some(address) = naming.dns_listen else {
            return Ok(None);
        };
        let mut tries = 0;
        loop {
            let connections = bind("dns-listen", address).await?;
            tries += 1;
            let bound = connections.local_addr().unwrap_or(address);
            let datagrams = match UdpSocket::bind(bound).await {
                Err(_) if address.port() == 0 && tries < TRIES => continue,
                bound => bound.map_err(|error| unusable(address, &error))?,
            };
            return Ok(Some(Self {
                datagrams,
                connections,
                forward: naming.dns_forward.clone(),
            }));
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.connections.local_addr().ok()
    }

    /// Answers until the tasks stop.
    fn serve(self, look: Look, (metrics, tasks): (&Metrics, &Tasks)) {
        let dns = Dns::new(look, self.forward, metrics, tasks);
        dns.serve((self.datagrams, self.connections), tasks);
    }
}

fn unusable(address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = "stop what answers there (`ss -lunp` shows it), or choose another address";
    Failure::Address(format!("--dns-listen {address}, UDP: {error}; {remedy}"))
}

/// Answers with names as a node sees them: whoever asks, nothing is known of him.
pub(super) fn of_node(names: Option<Names>, node: &Node, room: (&Metrics, &Tasks)) {
    let proxy = node.proxy();
    let look = Arc::new(move || View {
        snapshot: proxy.snapshot(),
        asker: None,
    });
    if let Some(names) = names {
        names.serve(look, room);
    }
}

/// Answers with names as the workload beside the companion sees them.
pub(super) fn of_workload(names: Option<Names>, companion: &Companion, room: (&Metrics, &Tasks)) {
    let companion = companion.clone();
    let look = Arc::new(move || View {
        snapshot: companion.snapshot(),
        asker: companion.workload(),
    });
    if let Some(names) = names {
        names.serve(look, room);
    }
}
