//! A TCP connection to an endpoint's place.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use osier_process::Tasks;
use osier_snapshot::Place;
use tokio::net::TcpStream;

use crate::failure::Failure;
use osier_process::resolve::Resolver;

/// Addresses of one name that are tried before it is given up.
const MOST_ADDRESSES: usize = 4;

/// Opens TCP connections.
#[derive(Clone)]
pub(crate) struct Connector {
    resolver: Resolver,
    turn: Arc<AtomicUsize>,
}

impl Connector {
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self {
            resolver: Resolver::new(tasks),
            turn: Arc::default(),
        }
    }

    /// Connects to a port of a place outside, within `time`. `asked` is the host that the caller named, for [`Place::Asked`].
    ///
    /// # Errors
    /// [`Failure::Unreachable`] with the address and what the system said.
    pub(crate) async fn connect(
        &self,
        at: (&Place, u16),
        asked: &str,
        time: Duration,
    ) -> Result<TcpStream, Failure> {
        let opened = tokio::time::timeout(time, self.open(at, asked)).await;
        let opened = opened.unwrap_or_else(|_| {
            let place = shown(at, asked);
            Err(format!("{place} did not take a connection within {time:?}"))
        });
        opened.map_err(|reason| Failure::Unreachable(reason.into()))
    }

    async fn open(&self, (place, port): (&Place, u16), asked: &str) -> Result<TcpStream, String> {
        let name = match place {
            Place::Address(address) => return dial(*address, port).await,
            Place::Name(name) => name,
            Place::Asked => asked,
            Place::Pod => return Err("a pod has no address on the network".into()),
        };
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return dial(address, port).await;
        }
        let addresses = self.resolver.addresses(name).await?;
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
        let (after, before) = addresses.split_at(first);
        let mut failed = String::new();
        for address in before.iter().chain(after).take(MOST_ADDRESSES) {
            match dial(*address, port).await {
                Ok(stream) => return Ok(stream),
                Err(reason) => failed = reason,
            }
        }
        Err(format!("{name}: {failed}"))
    }
}

async fn dial(address: IpAddr, port: u16) -> Result<TcpStream, String> {
    let address = SocketAddr::new(address, port);
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| format!("no connection to {address}: {error}"))?;
    let _best_effort = stream.set_nodelay(true);
    Ok(stream)
}

fn shown((place, port): (&Place, u16), asked: &str) -> String {
    match place {
        Place::Address(address) => SocketAddr::new(*address, port).to_string(),
        Place::Name(name) => format!("{name}:{port}"),
        Place::Asked => format!("{asked}:{port}"),
        Place::Pod => "the pod".into(),
    }
}
