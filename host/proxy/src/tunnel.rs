//! Raw connections, from a gateway or a workload: one route, one question to policy, one endpoint; then bytes.
//!
//! A host outside and a workload beside a companion take them as they are; to another node they go through a CONNECT tunnel. A pod
//! takes requests, not connections: what is said to it must be HTTP, and each request passes the one door.

mod arrival;
mod life;
mod line;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Uri};
use osier_process::CancellationToken;
use osier_process::serve::Stream;
use osier_snapshot::{Cluster, Endpoint, ListenerKey, Origin, Snapshot, StreamRoute};
use rand::Rng;
use tokio::sync::oneshot;

use crate::affinity;
use crate::balance::{self, Wish};
use crate::flags::Flag;
use crate::forwarded;
use crate::gate::Direction;
use crate::judge::{self, Ended};
use crate::prepare::new_id;
use crate::proxy::Proxy;
use crate::source::{Arrival, Source};
pub(crate) use arrival::{arrived, taken};
use life::Life;
pub(crate) use line::Line;
use osier_process::carry::{Bounds, End};
use osier_upstream::Failure;

/// Time without a byte, as Istio's proxies have it.
const IDLE: Duration = Duration::from_secs(3_600);
/// Endpoints that are tried.
const MOST_TRIES: usize = 3;

/// A connection that came in.
pub(crate) struct Incoming {
    /// From where.
    pub(crate) source: Source,
    /// Where a workload wants it to go, in the form of a CONNECT; a gateway's listener says that by itself.
    pub(crate) to: Option<Parts>,
    /// The server name of the TLS handshake that it begins with, if it does.
    pub(crate) server_name: Option<Box<str>>,
    pub(crate) stream: Box<dyn Stream>,
    /// Who wants to hear whether the connection stands.
    pub(crate) told: Option<Told>,
    /// Its bytes are datagrams.
    pub(crate) datagrams: bool,
    pub(crate) stopping: CancellationToken,
}

/// To whom it is told that a connection stands, or why it does not.
pub type Told = oneshot::Sender<Result<(), Unreached>>;

/// A connection that goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// It may not be opened; otherwise nobody could be reached.
    pub denied: bool,
    /// Why, for a person.
    pub reason: String,
}

/// Why a connection goes nowhere.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) flag: Flag,
    pub(crate) reason: String,
}

impl Refused {
    fn new(flag: Flag, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { flag, reason }
    }

    fn unreached(&self) -> Unreached {
        let denied = matches!(self.flag, Flag::Denied | Flag::NoRoute | Flag::NoCluster);
        let reason = self.reason.clone();
        Unreached { denied, reason }
    }
}

/// A connection to an authority, in the form of a CONNECT: `tcp` is its scheme.
pub(crate) fn connecting(authority: &str) -> Option<Parts> {
    let uri = Uri::builder().scheme("tcp").authority(authority);
    let uri = uri.path_and_query("/").build().ok()?;
    let request = Request::builder().method(Method::CONNECT).uri(uri);
    Some(request.body(()).ok()?.into_parts().0)
}

/// Carries one connection to its end, and reports it.
pub(crate) async fn serve(proxy: &Arc<Proxy>, incoming: Incoming) {
    let from = (incoming.source, new_id());
    let mut life = Life::begin(proxy, from, incoming.to, incoming.datagrams);
    life.server_name = incoming.server_name;
    let mut told = incoming.told;
    match opened(proxy, &mut life, &mut told).await {
        Ok(open) => {
            let bounds = Bounds {
                idle: IDLE,
                stopping: incoming.stopping,
            };
            carried(proxy, (life, open), incoming.stream, &bounds).await;
        }
        Err(refused) => {
            // Whoever asked may be gone.
            let _heard = told.map(|told| told.send(Err(refused.unreached())));
            life.end(Err(refused));
        }
    }
}

/// A connection that stands.
struct Open {
    cluster: Arc<Cluster>,
    endpoint: Arc<Endpoint>,
    line: Line,
    /// Counts in the load of its cluster until it ends.
    _entered: Entered,
}

/// Finds the way, and asks whether it may be taken.
async fn opened(
    proxy: &Arc<Proxy>,
    life: &mut Life,
    told: &mut Option<Told>,
) -> Result<Open, Refused> {
    let (route, cluster, only) = plan(proxy, life)?;
    life.route = route;
    life.cluster = Some(Arc::clone(&cluster));
    if life.head.is_none() {
        let host = life.server_name.as_deref();
        life.head = connecting(host.unwrap_or(&cluster.service.host));
    }
    life.ask(Direction::Outbound)?;
    let entered = Entered::enter(&cluster)?;
    let (endpoint, line) = match only {
        None => connect(proxy, &cluster, life).await?,
        Some(only) => reach(proxy, &cluster, only, life).await?,
    };
    let _heard = told.take().map(|told| told.send(Ok(())));
    Ok(Open {
        cluster,
        endpoint,
        line,
        _entered: entered,
    })
}

async fn carried(
    proxy: &Arc<Proxy>,
    (life, open): (Life, Open),
    stream: Box<dyn Stream>,
    bounds: &Bounds,
) {
    let _load = open.endpoint.enter();
    let (source, workload) = (life.source.name(), &open.endpoint.workload);
    let counted = proxy.tcp.open(&source, &open.cluster.service, workload);
    match open.line {
        Line::Bytes(upstream) => life.carried((stream, upstream), counted, bounds).await,
        Line::Requests => {
            let arrival = Arrival {
                caller: life.source.clone(),
                cluster: Arc::clone(&open.cluster),
                endpoint: Arc::clone(&open.endpoint),
                identity: None,
            };
            forwarded::requests(proxy, Arc::new(arrival), stream).await;
            drop(counted);
            life.end(Ok(()));
        }
    }
}

fn ended(end: End) -> Result<(), Refused> {
    match end {
        End::Done => Ok(()),
        End::Cut => Err(Refused::new(
            Flag::Timeout,
            "it was idle, or its listener stopped",
        )),
        End::Broken(error) => Err(Refused::new(Flag::Reset, error.to_string())),
    }
}

/// The connection's route, the cluster that one of its destinations stands for, and the only endpoint there that is meant, if one is.
type Planned = (Arc<str>, Arc<Cluster>, Option<Arc<Endpoint>>);

fn plan(proxy: &Proxy, life: &Life) -> Result<Planned, Refused> {
    let snapshot = proxy.snapshot();
    if let (Source::Pod(workload), Some(to)) = (&life.source, &life.head) {
        if let Some((cluster, only)) = snapshot.by_address(workload, to, life.datagrams) {
            return Ok(("pod".into(), cluster, Some(only)));
        }
        if life.datagrams {
            let cluster = snapshot.datagrams(workload, to).cloned();
            let miss = || snapshot.miss(&Origin::Workload(workload), to).to_string();
            let cluster = cluster.ok_or_else(|| Refused::new(Flag::NoRoute, miss()))?;
            return Ok(("datagrams".into(), cluster, None));
        }
    }
    let (route, cluster) = routed(&snapshot, life)?;
    Ok((route, cluster, None))
}

fn routed(snapshot: &Snapshot, life: &Life) -> Result<(Arc<str>, Arc<Cluster>), Refused> {
    let server_name = life.server_name.as_deref();
    let origin = life.source.origin();
    let (route, port) = match (&origin, &life.head) {
        (Origin::Workload(workload), Some(to)) => {
            let route = snapshot.stream(workload, to, server_name);
            let missed = || Refused::new(Flag::NoRoute, snapshot.miss(&origin, to).to_string());
            let port = to.uri.port_u16().unwrap_or_default();
            (route.ok_or_else(missed)?, port)
        }
        _ => {
            let server = life.source.server(snapshot);
            let route = server
                .as_ref()
                .and_then(|server| server.stream(server_name));
            let route = route.ok_or_else(|| Refused::new(Flag::NoRoute, "no route takes it"))?;
            (StreamRoute::clone(route), port_of(&origin))
        }
    };
    let point = rand::rng().random_range(0..route.forward.total.max(1));
    let chosen = route.forward.choose(point);
    let chosen = chosen.ok_or_else(|| Refused::new(Flag::NoCluster, "its route goes nowhere"))?;
    let caller = origin.caller(&route.name);
    let cluster = snapshot.cluster(&chosen.destination, port, &caller);
    let cluster = cluster.map_err(|missing| Refused::new(Flag::NoCluster, missing.to_string()))?;
    let cluster = Arc::clone(cluster);
    Ok((route.name, cluster))
}

fn port_of(origin: &Origin<'_>) -> u16 {
    match origin {
        Origin::Gateway {
            listener: ListenerKey::Port(port),
            ..
        } => *port,
        _ => 80,
    }
}

/// A connection to one endpoint and no other.
async fn reach(
    proxy: &Proxy,
    cluster: &Arc<Cluster>,
    endpoint: Arc<Endpoint>,
    life: &mut Life,
) -> Result<(Arc<Endpoint>, Line), Refused> {
    let opened = line::open(proxy, (cluster.as_ref(), &endpoint), life).await?;
    let failed = |failure: Failure| Refused::new(Flag::Unreachable, failure.to_string());
    opened.map(|line| (endpoint, line)).map_err(failed)
}

/// A connection to an endpoint, another one after each that cannot be reached.
async fn connect(
    proxy: &Proxy,
    cluster: &Arc<Cluster>,
    life: &mut Life,
) -> Result<(Arc<Endpoint>, Line), Refused> {
    let mut tried = Vec::new();
    let here = Arc::clone(proxy.snapshot().locality());
    let source = life.source.clone();
    let address = source.address().map(|address| address.ip());
    let address = address.or_else(|| Some(source.workload()?.address));
    let caller = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let hash = affinity::of_address(cluster, caller);
    let mut failed = String::from("the service has no endpoint");
    let mut flag = Flag::NoEndpoint;
    for _ in 0..MOST_TRIES {
        let now = proxy.ways().now();
        let wish = Wish {
            now,
            hash,
            kept: None,
            caller: Some(source.stand(&here)),
            tried: &tried,
            elsewhere: false,
        };
        let picked = balance::pick(cluster, &wish);
        let found = picked.and_then(|place| Some((place, cluster.endpoints.get(place)?)));
        let Some((place, endpoint)) = found else {
            break;
        };
        let connected = line::open(proxy, (cluster.as_ref(), endpoint), life).await?;
        let ended = connected
            .as_ref()
            .map_or_else(Ended::Failed, |_| Ended::Connected);
        judge::judge(cluster, place, ended, || proxy.ways().now());
        match connected {
            Ok(line) => return Ok((Arc::clone(endpoint), line)),
            Err(failure) => (failed, flag) = (failure.to_string(), Flag::Unreachable),
        }
        tried.push(place);
    }
    Err(Refused::new(flag, failed))
}

/// A connection that counts in its cluster's load.
struct Entered(Arc<Cluster>);

impl Entered {
    fn enter(cluster: &Arc<Cluster>) -> Result<Self, Refused> {
        let most = cluster.upstream.pool.max_connections;
        match cluster.load.connections.enter(most) {
            true => Ok(Self(Arc::clone(cluster))),
            false => {
                let reason = "too many connections are open already (maxConnections)";
                Err(Refused::new(Flag::Overflow, reason))
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.load.connections.leave();
    }
}
