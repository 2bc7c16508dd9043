//! Raw connections from a gateway: one route, one question to policy, one endpoint; then bytes.
//!
//! They reach hosts outside only. A pod takes requests, not connections, so nothing here passes it by the one door.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{Method, Request, Uri};
use osier_process::CancellationToken;
use osier_process::serve::{Peer, Stream};
use osier_snapshot::{Cluster, Endpoint, ListenerKey, Origin, Place, StreamRoute};
use rand::Rng;

use crate::access::{self, Tunnelled};
use crate::affinity;
use crate::balance::{self, Wish};
use crate::carry::{Bounds, Count, End, carry};
use crate::flags::Flag;
use crate::gate::{Call, Direction, Verdict};
use crate::judge::{self, Ended};
use crate::proxy::Proxy;
use crate::source;
use crate::tcp_metrics::Connection;

/// Time without a byte, as Istio's proxies have it.
const IDLE: Duration = Duration::from_secs(3_600);
/// Endpoints that are tried.
const MOST_TRIES: usize = 3;

/// A connection that came in.
pub(crate) struct Incoming {
    pub(crate) listener: ListenerKey,
    pub(crate) peer: Arc<Peer>,
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) stopping: CancellationToken,
}

/// Why a connection goes nowhere.
struct Refused {
    flag: Flag,
    reason: String,
}

impl Refused {
    fn new(flag: Flag, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { flag, reason }
    }
}

/// Carries one connection to its end, and reports it.
pub(crate) async fn serve(proxy: &Proxy, incoming: Incoming) {
    let began = std::time::Instant::now();
    let (listener, peer) = (incoming.listener, Arc::clone(&incoming.peer));
    let mut log = Tunnelled {
        listener,
        server_name: peer.server_name().unwrap_or_default(),
        peer: peer.address,
        ..Tunnelled::new(listener, peer.address)
    };
    let outcome = forward(proxy, incoming, &mut log).await;
    if let Err(refused) = outcome {
        log.flags = refused.flag.letters();
        log.reason = refused.reason;
    }
    log.duration = began.elapsed();
    access::tunnelled(&log);
}

async fn forward(
    proxy: &Proxy,
    incoming: Incoming,
    log: &mut Tunnelled<'_>,
) -> Result<(), Refused> {
    let server_name = incoming.peer.server_name();
    let (route, cluster) = plan(proxy, incoming.listener, server_name)?;
    log.route = Arc::clone(&route.name);
    log.cluster = Arc::clone(&cluster.name);
    ask(proxy, &incoming, &cluster)?;
    if !cluster
        .load
        .connections
        .enter(cluster.upstream.pool.max_connections)
    {
        let reason = "too many connections are open already (maxConnections)";
        return Err(Refused::new(Flag::Overflow, reason));
    }
    let _open = Entered(&cluster);
    let caller = (incoming.peer.address.ip(), server_name.unwrap_or_default());
    let (endpoint, upstream) = connect(proxy, &cluster, caller).await?;
    let _load = endpoint.enter();
    let gateway = proxy.gateway_name();
    let counted = Counted {
        metrics: proxy
            .tcp
            .open(&gateway, &cluster.service, &endpoint.workload),
        received: AtomicU64::new(0),
        sent: AtomicU64::new(0),
    };
    let bounds = Bounds {
        idle: IDLE,
        stopping: incoming.stopping,
    };
    let end = carry((incoming.stream, upstream), &counted, &bounds).await;
    log.received = counted.received.into_inner();
    log.sent = counted.sent.into_inner();
    match end {
        End::Done => Ok(()),
        End::Cut => Err(Refused::new(
            Flag::Timeout,
            "it was idle, or its listener stopped",
        )),
        End::Broken(error) => Err(Refused::new(Flag::Reset, error.to_string())),
    }
}

/// The connection's route, and the cluster that one of its destinations stands for.
fn plan(
    proxy: &Proxy,
    listener: ListenerKey,
    server_name: Option<&str>,
) -> Result<(Arc<StreamRoute>, Arc<Cluster>), Refused> {
    let snapshot = proxy.snapshot();
    let server = snapshot.server(listener, server_name);
    let route = server.and_then(|server| server.stream(server_name));
    let route = route.ok_or_else(|| Refused::new(Flag::NoRoute, "no route takes it"))?;
    let point = rand::rng().random_range(0..route.forward.total.max(1));
    let chosen = route.forward.choose(point);
    let chosen = chosen.ok_or_else(|| Refused::new(Flag::NoCluster, "its route goes nowhere"))?;
    let port = match listener {
        ListenerKey::Port(port) => port,
        ListenerKey::Main => 80,
    };
    let origin = Origin::Gateway {
        listener,
        server_name,
    };
    let namespace = origin.namespace(&route.name);
    let cluster = snapshot.cluster(&chosen.destination, port, namespace);
    let cluster = cluster.map_err(|missing| Refused::new(Flag::NoCluster, missing.to_string()))?;
    Ok((Arc::clone(route), Arc::clone(cluster)))
}

/// Asks policy once, with the connection in the form of a CONNECT: `tcp` is its scheme.
fn ask(proxy: &Proxy, incoming: &Incoming, cluster: &Cluster) -> Result<(), Refused> {
    let host = incoming.peer.server_name().unwrap_or(&cluster.service.host);
    let head = head(host).ok_or_else(|| Refused::new(Flag::BadRequest, "its name is no host"))?;
    let gateway = proxy.gateway_name();
    let snapshot = proxy.snapshot();
    let server = snapshot.server(incoming.listener, incoming.peer.server_name());
    let call = Call {
        direction: Direction::Outbound,
        source: None,
        destination: None,
        port: head.uri.port_u16(),
        service: Some(&cluster.service),
        gateway: Some(&gateway),
        gateways: server.map_or(&[], |server| &server.gateways),
        head: &head,
        request_id: "",
        peer: Some(incoming.peer.address),
        proven: incoming.peer.certificate.is_some(),
        server_name: incoming.peer.server_name(),
        received: SystemTime::from(osier_process::clock::now()),
        before: &[],
    };
    match proxy.gate().check(&call) {
        Verdict::Allow(_) => Ok(()),
        Verdict::Deny(denial) => {
            let reason = format!("policy {} refused it: {}", denial.policy, denial.reason);
            Err(Refused::new(Flag::Denied, reason))
        }
    }
}

fn head(host: &str) -> Option<Parts> {
    let uri = Uri::builder().scheme("tcp").authority(host);
    let uri = uri.path_and_query("/").build().ok()?;
    let request = Request::builder().method(Method::CONNECT).uri(uri);
    Some(request.body(()).ok()?.into_parts().0)
}

/// A connection to an endpoint, another one after each that cannot be reached.
async fn connect(
    proxy: &Proxy,
    cluster: &Arc<Cluster>,
    (caller, asked): (IpAddr, &str),
) -> Result<(Arc<Endpoint>, tokio::net::TcpStream), Refused> {
    let mut tried = Vec::new();
    let here = Arc::clone(proxy.snapshot().locality());
    let hash = affinity::of_address(cluster, caller);
    let mut failed = String::from("the service has no endpoint");
    let mut flag = Flag::NoEndpoint;
    for _ in 0..MOST_TRIES {
        let now = proxy.ways().now();
        let wish = Wish {
            now,
            hash,
            caller: Some(source::at_gateway(&here)),
            tried: &tried,
            elsewhere: false,
        };
        let picked = balance::pick(cluster, &wish);
        let found = picked.and_then(|place| Some((place, cluster.endpoints.get(place)?)));
        let Some((place, endpoint)) = found else {
            break;
        };
        if endpoint.place == Place::Pod {
            let reason = "its destination is a pod, which takes requests and no raw connections";
            return Err(Refused::new(Flag::Unreachable, reason));
        }
        let connected = proxy.ways().connect(cluster, endpoint, asked).await;
        let ended = connected
            .as_ref()
            .map_or_else(Ended::Failed, |_| Ended::Connected);
        judge::judge(cluster, place, ended, || proxy.ways().now());
        match connected {
            Ok(stream) => return Ok((Arc::clone(endpoint), stream)),
            Err(failure) => (failed, flag) = (failure.to_string(), Flag::Unreachable),
        }
        tried.push(place);
    }
    Err(Refused::new(flag, failed))
}

/// A connection that counts in its cluster's load.
struct Entered<'a>(&'a Cluster);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.load.connections.leave();
    }
}

/// Bytes for the metrics, and for the connection's own line in the log.
struct Counted {
    metrics: Connection,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Count for Counted {
    fn received(&self, bytes: u64) {
        self.metrics.received(bytes);
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sent(&self, bytes: u64) {
        self.metrics.sent(bytes);
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}
