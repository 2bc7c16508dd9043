//! A connection that a program of a pod opens.

use std::net::SocketAddr;

use osier_process::Tasks;
use osier_process::serve::Peer;
use osier_proxy::{Expected, Unreached, Wished};
use osier_sockets::{Destination, Fault, Kind, Protocol};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::opened::{Opened, Requests};

/// Joins a pod's connection to where it goes; resolves when it stands, as far as that is known before the first byte.
///
/// # Errors
/// It may not go there, or nobody could be reached.
pub async fn dial(
    from: Requests,
    (to, protocol): (Destination, Protocol),
    stream: DuplexStream,
    tasks: &Tasks,
) -> Result<(), Fault> {
    let authority = to.authority();
    if protocol == Protocol::Udp {
        return told(from, (authority, true), stream, tasks).await;
    }
    let expected = from.proxy.expected(&from.workload, &authority);
    if !matches!(expected, Ok(Expected::Unsaid)) {
        return told(from, (authority, false), stream, tasks).await;
    }
    let opened = Opened {
        peer: Peer::plain(SocketAddr::new(from.workload.address, 0)),
        requests: from,
        authority,
        stream: Box::new(stream),
    };
    let running = tasks.clone();
    tasks.spawn("egress", async move { opened.go(&running).await });
    Ok(())
}

/// A connection of which the door says whether it stands. One that goes nowhere is told there too.
async fn told(
    from: Requests,
    (authority, datagrams): (String, bool),
    stream: DuplexStream,
    tasks: &Tasks,
) -> Result<(), Fault> {
    let (told, heard) = oneshot::channel();
    let wished = Wished {
        authority,
        server_name: None,
        datagrams,
    };
    let stopping = tasks.stopping();
    tasks.spawn("egress", async move {
        let Requests { proxy, workload } = from;
        let stream = (Box::new(stream) as Box<_>, Some(told));
        proxy.carry(workload, wished, stream, stopping).await;
    });
    match heard.await {
        Ok(outcome) => outcome.map_err(fault),
        Err(_) => Err(Fault::new(Kind::Unreachable, "the node stops")),
    }
}

fn fault(unreached: Unreached) -> Fault {
    let kind = match unreached.denied {
        true => Kind::Denied,
        false => Kind::Refused,
    };
    Fault::new(kind, unreached.reason)
}
