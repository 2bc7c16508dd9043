//! The pods that run here, as the proxy reaches them: by uid and port, in memory. A port is a container's that serves HTTP, or a
//! program's that listens on the pod's network.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use osier_engine::{CallError, HttpContainer};
use osier_process::body::{self, Body};
use osier_process::serve::Stream;
use osier_process::{Boxed, Holding};
use osier_proxy::{PodError, Pods, Takes, Wants};
use osier_snapshot::Endpoint;
use osier_sockets::{Caller, Fault, Network};
use parking_lot::RwLock;

/// How many locks the pods are spread over, so that requests to different pods do not meet.
const SHARDS: usize = 64;

/// Some pods, by uid.
type Shard = RwLock<HashMap<String, Ports>>;

/// Who takes what comes to a pod.
#[derive(Default)]
struct Ports {
    containers: Vec<Arc<Serving>>,
    /// Where its programs listen; none before one starts.
    network: Option<Arc<Network>>,
    /// What its programs get from the mesh.
    calls: Arc<Calls>,
}

/// Who takes what comes to one port.
enum Taker {
    /// A container, requests.
    Container(Arc<Serving>),
    /// A program, connections.
    Program(Arc<Network>),
}

impl Ports {
    /// A container that declares the port comes before a program that listens on it, and that before a container that takes all.
    fn taker(&self, port: u16, within: bool) -> Option<Taker> {
        let mut containers = self.containers.iter();
        let container = |serving: &Arc<Serving>| Taker::Container(Arc::clone(serving));
        if let Some(declared) = containers.find(|serving| serving.ports.contains(&port)) {
            return Some(container(declared));
        }
        let network = self.network.as_ref();
        if let Some(network) = network.filter(|network| network.listens(port, within)) {
            return Some(Taker::Program(Arc::clone(network)));
        }
        let mut containers = self.containers.iter();
        let open = containers.find(|serving| serving.ports.is_empty());
        open.map(container)
    }
}

/// Who acts for the pod's owner: no program of the pod, and yet at its side.
const WITHIN: Caller = Caller::Within(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));

/// One container that serves.
pub(crate) struct Serving {
    pub(crate) name: String,
    /// Its declared ports; a container without any takes what no other container declares.
    pub(crate) ports: Vec<u16>,
    pub(crate) container: HttpContainer,
    /// Those from the mesh.
    pub(crate) calls: Arc<Calls>,
    /// Told of every call that failed.
    pub(crate) failed: Arc<dyn Fn(&CallError) + Send + Sync>,
}

/// The calls that a container gets from the mesh, or the programs of a pod: requests, connections and flows of datagrams.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    taken: AtomicU64,
    under_way: AtomicU64,
}

impl Calls {
    fn enter(self: &Arc<Self>) -> UnderWay {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// For a meter that is read now and then: how many there were. Those under way count at every reading, so that a pod in the
    /// midst of a long answer is not taken for an idle one.
    pub(crate) fn taken(&self) -> u64 {
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.taken.fetch_add(under_way, Ordering::Relaxed) + under_way
    }
}

/// A call until the end of its answer, or of its connection.
struct UnderWay(Arc<Calls>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All containers of this node that serve. A request takes one read lock that only pods starting or
/// ending in the same shard write.
pub(crate) struct Served {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Served {
    fn shard(&self, uid: &str) -> Option<&Shard> {
        let hash = usize::try_from(self.hasher.hash_one(uid) % SHARDS as u64).unwrap_or(0);
        self.shards.get(hash)
    }

    /// The container serves from now on, in place of its life before.
    pub(crate) fn add(&self, uid: &str, serving: Serving) {
        let Some(shard) = self.shard(uid) else { return };
        let mut pods = shard.write();
        let containers = &mut pods.entry(uid.to_owned()).or_default().containers;
        containers.retain(|other| other.name != serving.name);
        containers.push(Arc::new(serving));
    }

    /// The container serves no more.
    pub(crate) fn remove(&self, uid: &str, name: &str) {
        let Some(shard) = self.shard(uid) else { return };
        let mut pods = shard.write();
        if let Some(ports) = pods.get_mut(uid) {
            ports.containers.retain(|other| other.name != name);
            if ports.containers.is_empty() && ports.network.is_none() {
                pods.remove(uid);
            }
        }
    }

    /// The network that a pod's containers share, made with the first of them.
    pub(crate) fn network(&self, uid: &str, make: impl FnOnce() -> Arc<Network>) -> Arc<Network> {
        let Some(shard) = self.shard(uid) else {
            return make();
        };
        let mut pods = shard.write();
        let network = &mut pods.entry(uid.to_owned()).or_default().network;
        Arc::clone(network.get_or_insert_with(make))
    }

    /// The pod is gone.
    pub(crate) fn leave(&self, uid: &str) {
        if let Some(shard) = self.shard(uid) {
            shard.write().remove(uid);
        }
    }

    /// Lets all requests end, for at most `grace`; new ones are refused.
    pub(crate) async fn stop(&self, grace: Duration) {
        let all: Vec<Arc<Serving>> = self
            .shards
            .iter()
            .flat_map(|shard| {
                let pods = shard.read();
                let containers = pods.values().flat_map(|ports| &ports.containers);
                containers.cloned().collect::<Vec<_>>()
            })
            .collect();
        futures::future::join_all(all.iter().map(|serving| serving.container.stop(grace))).await;
    }

    fn find(&self, uid: &str, port: u16, within: bool) -> Option<Taker> {
        self.shard(uid)?.read().get(uid)?.taker(port, within)
    }

    fn networked(&self, uid: &str) -> Option<Arc<Network>> {
        self.shard(uid)?.read().get(uid)?.network.clone()
    }

    /// The calls of a pod's programs, counted from now on.
    pub(crate) fn count(&self, uid: &str) -> Arc<Calls> {
        let fresh = Arc::<Calls>::default();
        let mut pods = self.shard(uid).map(|shard| shard.write());
        if let Some(ports) = pods.as_mut().and_then(|pods| pods.get_mut(uid)) {
            ports.calls = Arc::clone(&fresh);
        }
        fresh
    }

    fn calls(&self, uid: &str) -> Arc<Calls> {
        let ports = self.shard(uid).map(|shard| shard.read());
        let calls = ports.and_then(|pods| Some(Arc::clone(&pods.get(uid)?.calls)));
        calls.unwrap_or_default()
    }

    /// Whether the pod takes requests or connections on the port, from within.
    pub(crate) fn listens(&self, uid: &str, port: u16) -> bool {
        self.find(uid, port, true).is_some()
    }

    /// Whether a container of the pod answers requests to the port.
    pub(crate) fn answers(&self, uid: &str, port: u16) -> bool {
        matches!(self.find(uid, port, true), Some(Taker::Container(_)))
    }

    /// Sends a request to a pod's port from within.
    pub(crate) fn send(
        &self,
        uid: &str,
        port: u16,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        match self.find(uid, port, true) {
            None => Box::pin(std::future::ready(Err(PodError::NotHere))),
            Some(Taker::Container(serving)) => Box::pin(async move { serving.call(request).await }),
            Some(Taker::Program(network)) => Box::pin(async move {
                let stream = network.open(port, WITHIN).map_err(unreachable)?;
                osier_egress::ask(stream, request, network.tasks()).await
            }),
        }
    }
}

impl Serving {
    async fn call(&self, request: Request<Body>) -> Result<Response<Body>, PodError> {
        let answer = self.container.call(request).await;
        answer.map_err(|error| {
            (self.failed)(&error);
            refusal(error)
        })
    }
}

impl Pods for Served {
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        let taker = self.find(&endpoint.workload.uid, endpoint.port, false);
        let Some(Taker::Container(serving)) = taker else {
            return Box::pin(std::future::ready(Err(PodError::NotHere)));
        };
        let under_way = serving.calls.enter();
        Box::pin(async move {
            let answer = serving.call(request).await?;
            Ok(answer.map(|body| body::boxed(Holding::new(body, under_way))))
        })
    }

    fn takes(&self, endpoint: &Arc<Endpoint>) -> Takes {
        let (uid, port) = (&endpoint.workload.uid, endpoint.port);
        let taker = self.find(uid, port, false);
        match taker.or_else(|| self.find(uid, port, true)) {
            Some(Taker::Container(_)) => Takes::Requests,
            Some(Taker::Program(_)) => Takes::Connections,
            None => Takes::Nothing,
        }
    }

    fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        wants: Wants,
    ) -> Boxed<'static, Result<Box<dyn Stream>, PodError>> {
        let (uid, port) = (&endpoint.workload.uid, endpoint.port);
        let opened = match wants.datagrams {
            true => self
                .networked(uid)
                .map(|network| network.open_datagrams(port, caller(wants.client))),
            false => match self.find(uid, port, true) {
                Some(Taker::Program(network)) => Some(network.open(port, caller(wants.client))),
                _ => None,
            },
        };
        let Some(opened) = opened else {
            return Box::pin(std::future::ready(Err(PodError::NotHere)));
        };
        let opened = opened.map(|stream| Box::new(stream) as Box<dyn Stream>);
        Box::pin(std::future::ready(opened.map_err(unreachable)))
    }

    fn begin(&self, endpoint: &Arc<Endpoint>) -> Box<dyn Send> {
        Box::new(self.calls(&endpoint.workload.uid).enter())
    }
}

/// Who is at the other end of a connection from the door.
fn caller(client: Option<SocketAddr>) -> Caller {
    match client {
        Some(address) if address.ip().is_loopback() && address.port() == 0 => WITHIN,
        Some(address) => Caller::Elsewhere(address),
        None => Caller::Elsewhere(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
    }
}

fn unreachable(fault: Fault) -> PodError {
    let reason = fault.to_string();
    PodError::Unreachable { reason }
}

fn refusal(error: CallError) -> PodError {
    match error {
        CallError::Overloaded => PodError::Overloaded,
        CallError::Stopped => PodError::NotHere,
        CallError::Deadline { .. } => PodError::Timeout,
        error @ (CallError::Trap { .. }
        | CallError::OutOfMemory { .. }
        | CallError::NoResponse
        | CallError::Refused { .. }) => PodError::Failed {
            reason: error.to_string(),
        },
    }
}
