//! The way out: one connection to each node for each identity that calls there, made when first needed. It lasts as long as the node
//! stands where it was reached; what leaves the mesh is cut off, with whatever flows there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use osier_process::body::{self, Body};
use osier_process::serve::Stream;
use osier_process::{CancellationToken, Tasks};
use osier_snapshot::{Cluster, Endpoint, Place, Snapshot};
use parking_lot::RwLock;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::identities::{Certify, Identities, Identity};
use super::wire;
use crate::prepare::REQUEST_ID;
use crate::source::Source;
use crate::upgrade;
use osier_upstream::{Failure, Shown};

/// A connection must stand after this long: another node may have the pod too.
const CONNECT: Duration = Duration::from_secs(2);
/// A cable that was cut is found by pings.
const PING_EVERY: Duration = Duration::from_secs(5);
const PONG_WITHIN: Duration = Duration::from_secs(3);
/// Bytes under way on one stream and on one connection before the other side must say that it read them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// A tunnel must stand after this long: the other node connects to its workload meanwhile.
const TUNNEL: Duration = Duration::from_secs(15);
/// Behind a node's name, what its certificate calls it.
const DOMAIN: &str = "nodes.osier.internal";

/// What the certificate of a node's mesh listener calls it.
pub fn server_name(node: &str) -> String {
    format!("{node}.{DOMAIN}")
}

/// The connections of one node by the identity that calls.
type ByIdentity = HashMap<Arc<str>, Arc<Slot>>;

/// This node's way to the others.
pub(crate) struct Mesh {
    node: Arc<str>,
    /// Who calls when a client outside does.
    gateway: Arc<str>,
    identities: Identities,
    published: watch::Receiver<Arc<Snapshot>>,
    slots: RwLock<HashMap<Arc<str>, ByIdentity>>,
    tasks: Tasks,
}

#[derive(Default)]
struct Slot {
    line: ArcSwapOption<Line>,
    connecting: tokio::sync::Mutex<()>,
}

struct Line {
    sender: SendRequest<Body>,
    edition: Instant,
}

impl Mesh {
    pub(crate) fn new(
        (node, domain): (&str, &str),
        certify: Arc<dyn Certify>,
        published: watch::Receiver<Arc<Snapshot>>,
        tasks: Tasks,
    ) -> Self {
        Self {
            node: node.into(),
            gateway: super::gateway(domain).into(),
            identities: Identities::new(certify),
            published,
            slots: RwLock::default(),
            tasks,
        }
    }

    /// Whether an endpoint is a pod of another node.
    pub(crate) fn leads_to(&self, endpoint: &Endpoint) -> bool {
        let node = &endpoint.workload.node;
        matches!(endpoint.place, Place::Pod) && !node.is_empty() && **node != *self.node
    }

    /// Whose identity counts for a call.
    fn principal<'a>(&'a self, source: &'a Source) -> &'a Arc<str> {
        let caller = wire::certified(source).map(|workload| &workload.principal);
        caller.unwrap_or(&self.gateway)
    }

    /// What who calls shows to hosts outside that know identities of the mesh.
    pub(crate) async fn shown(&self, source: &Source) -> Result<Shown, Failure> {
        Ok(self.identities.get(self.principal(source)).await?.shown)
    }

    /// Sends one request to a pod of another node.
    pub(crate) async fn call(
        &self,
        source: &Source,
        (cluster, endpoint): (&Cluster, &Endpoint),
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        let caller = self.principal(source);
        let identity = self.identities.get(caller).await?;
        let slot = self.slot(&endpoint.workload.node, caller);
        wire::write(request.headers_mut(), source, (cluster, endpoint));
        wire::identify(&mut request);
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(HOST);
        let upgrades = upgrade::between_nodes(&mut request);
        let node = &endpoint.workload.node;
        // A connection that ended while nobody used it is found out by the first request, which has then not left.
        for _ in 0..2 {
            let line = self.line(&slot, node, &identity).await?;
            match line.sender.clone().try_send_request(request).await {
                Ok(response) => {
                    let response = answered(response.map(body::from_incoming))?;
                    return Ok(match upgrades {
                        true => upgrade::answered(response),
                        false => response,
                    });
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => {
                        slot.forget(&line);
                        request = unsent;
                    }
                    None => {
                        let reason = format!("node {node} broke off: {}", error.error());
                        return Err(Failure::Reset(reason.into()));
                    }
                },
            }
        }
        Err(Failure::Unreachable(
            format!("node {node} takes no requests").into(),
        ))
    }

    /// Opens a raw connection to a pod of another node: a stream that begins with CONNECT (RFC 9113, 8.5).
    pub(crate) async fn tunnel(
        &self,
        source: &Source,
        (cluster, endpoint): (&Cluster, &Endpoint),
        (datagrams, id): (bool, Option<&HeaderValue>),
    ) -> Result<Box<dyn Stream>, Failure> {
        let mut request = Request::new(body::empty());
        if let Some(id) = id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        if datagrams {
            wire::mark_datagrams(request.headers_mut());
        }
        *request.method_mut() = Method::CONNECT;
        let authority = format!("{}:{}", cluster.service.host, endpoint.port);
        let authority = authority.parse::<Uri>();
        *request.uri_mut() = authority.map_err(|error| {
            Failure::Unreachable(
                format!("{} is no authority: {error}", cluster.service.host).into(),
            )
        })?;
        let opened = tokio::time::timeout(TUNNEL, self.call(source, (cluster, endpoint), request));
        let late = |_| Failure::Unreachable("its node opened no tunnel in time".into());
        let response = opened.await.map_err(late)??;
        if response.status() != StatusCode::OK {
            let reason = format!("its node refused the tunnel with {}", response.status());
            return Err(Failure::Unreachable(reason.into()));
        }
        let stream = hyper::upgrade::on(response).await;
        let stream = stream.map_err(|error| {
            Failure::Unreachable(format!("its node broke the tunnel off: {error}").into())
        })?;
        Ok(Box::new(TokioIo::new(stream)))
    }

    fn slot(&self, node: &Arc<str>, identity: &Arc<str>) -> Arc<Slot> {
        let known = self.slots.read();
        if let Some(slot) = known.get(node).and_then(|slots| slots.get(identity)) {
            return Arc::clone(slot);
        }
        drop(known);
        let mut slots = self.slots.write();
        // What is bounded by the nodes and accounts of the cluster may still hold some that are gone.
        for of_node in slots.values_mut() {
            of_node.retain(|_, slot| slot.is_open() || Arc::strong_count(slot) > 1);
        }
        slots.retain(|_, of_node| !of_node.is_empty());
        let of_node = slots.entry(Arc::clone(node)).or_default();
        Arc::clone(of_node.entry(Arc::clone(identity)).or_default())
    }

    /// The standing connection, or a new one.
    async fn line(
        &self,
        slot: &Slot,
        node: &str,
        identity: &Identity,
    ) -> Result<Arc<Line>, Failure> {
        if let Some(line) = slot.usable(identity) {
            return Ok(line);
        }
        let _turn = slot.connecting.lock().await;
        if let Some(line) = slot.usable(identity) {
            return Ok(line);
        }
        let address = self.published.borrow().mesh_address(node);
        let unreachable = |reason: &dyn std::fmt::Display| {
            Failure::Unreachable(format!("node {node} cannot be reached: {reason}").into())
        };
        let address = address.ok_or_else(|| unreachable(&"it has no mesh address"))?;
        let connected = tokio::time::timeout(CONNECT, self.connect(address, node, identity)).await;
        let sender = connected
            .map_err(|_| unreachable(&"no answer within 2 s"))?
            .map_err(|reason| unreachable(&reason))?;
        let line = Arc::new(Line {
            sender,
            edition: identity.edition,
        });
        slot.line.store(Some(Arc::clone(&line)));
        Ok(line)
    }

    async fn connect(
        &self,
        address: SocketAddr,
        node: &str,
        identity: &Identity,
    ) -> Result<SendRequest<Body>, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|error| words(&error))?;
        tcp.set_nodelay(true).map_err(|error| words(&error))?;
        let name = ServerName::try_from(server_name(node)).map_err(|error| words(&error))?;
        let tls = TlsConnector::from(Arc::clone(&identity.config));
        let tls = tls
            .connect(name, tcp)
            .await
            .map_err(|error| words(&error))?;
        let way = UntilCut {
            tasks: self.tasks.clone(),
            cut: CancellationToken::new(),
        };
        let (sender, connection) = http2::Builder::new(way.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|error| words(&error))?;
        let (stopping, node) = (self.tasks.stopping(), node.to_owned());
        let published = self.published.clone();
        self.tasks.spawn("mesh-connection", async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, node, "a connection to another node ended");
                },
                () = left(published, &node, address) => {
                    tracing::info!(node, %address, "a connection to a node that left the mesh is cut off");
                    way.cut.cancel();
                }
                () = stopping.cancelled() => {}
            }
        });
        Ok(sender)
    }
}

/// Ends when a node does not stand at this address any more.
async fn left(mut published: watch::Receiver<Arc<Snapshot>>, node: &str, address: SocketAddr) {
    let gone = |snapshot: &Arc<Snapshot>| snapshot.mesh_address(node) != Some(address);
    if published.wait_for(gone).await.is_err() {
        // Nothing is published any more: the process ends, and requests under way may.
        std::future::pending::<()>().await;
    }
}

/// Runs what belongs to one connection. The connection itself and the streams on it are tasks that would go on until the last stream
/// has ended; here they end when it is cut.
#[derive(Clone)]
struct UntilCut {
    tasks: Tasks,
    cut: CancellationToken,
}

impl<F> Executor<F> for UntilCut
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let cut = self.cut.clone();
        self.tasks.execute(async move {
            tokio::select! {
                () = future => {}
                () = cut.cancelled() => {}
            }
        });
    }
}

impl Slot {
    fn is_open(&self) -> bool {
        let line = self.line.load();
        line.as_ref().is_some_and(|line| !line.sender.is_closed())
    }

    fn usable(&self, identity: &Identity) -> Option<Arc<Line>> {
        let line = self.line.load_full()?;
        (!line.sender.is_closed() && line.edition == identity.edition).then_some(line)
    }

    fn forget(&self, line: &Arc<Line>) {
        let known = self.line.load();
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, line)) {
            self.line.store(None);
        }
    }
}

/// The answer, or that the pod never saw the request.
fn answered(mut response: Response<Body>) -> Result<Response<Body>, Failure> {
    let unstarted = response.headers_mut().remove(wire::UNSTARTED);
    wire::strip(response.headers_mut());
    match unstarted {
        None => Ok(response),
        Some(reason) => {
            let words = reason.to_str().unwrap_or_default().to_owned();
            Err(match response.status() {
                StatusCode::TOO_MANY_REQUESTS => Failure::Overloaded(words.into()),
                _ => Failure::Unreachable(words.into()),
            })
        }
    }
}
