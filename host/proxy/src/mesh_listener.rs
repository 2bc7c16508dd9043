//! The way in: who calls is proved by its certificate, whom it calls must be a pod of this node, and then the one door decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::ext::Protocol;
use osier_identity::{Hello, subject};
use osier_process::body::{self, Body};
use osier_process::serve::{Choice, Choose, Handle, Limits, Opening, Peer, Security, Then, serve};
use osier_process::{Boxed, CancellationToken, Tasks};
use osier_snapshot::{Cluster, Endpoint, ListenerKey, Snapshot, Workload};
use rustls::ServerConfig;
use tokio::net::TcpListener;

use crate::flags::Flag;
use crate::mesh::{
    Belonging, Certify, Said, UNSTARTED, Wanted, gateway, identity, lifetime, said, strip, wanted,
};
use crate::proxy::Proxy;
use crate::source::{Arrival, Source};
use crate::tunnel::{self, Refused};

/// A listener without a certificate asks again after this long.
const AGAIN: Duration = Duration::from_secs(2);
/// No wait is longer: clocks are set, machines sleep.
const LOOK: Duration = Duration::from_secs(3600);
/// What names of nodes end with.
const SUFFIX: &str = ".nodes.osier.internal";

/// The node agent's own API. Only the API server reaches it, which is known by its certificate.
pub trait Agent: Send + Sync {
    /// Answers one question.
    fn call(&self, question: Request<Body>) -> Boxed<'static, Response<Body>>;
}

/// The listener for other nodes, and for the API server.
#[derive(Clone)]
pub struct MeshListener {
    proxy: Arc<Proxy>,
    agent: Arc<dyn Agent>,
    stopping: CancellationToken,
    gateway: Arc<str>,
    belonging: Belonging,
    config: Arc<ArcSwapOption<ServerConfig>>,
}

impl MeshListener {
    /// Serves `listener` until the tasks stop. Until there is a certificate, connections are refused.
    pub fn serve(
        proxy: &Arc<Proxy>,
        listener: TcpListener,
        (certify, domain): (Arc<dyn Certify>, &str),
        agent: Arc<dyn Agent>,
        tasks: &Tasks,
    ) {
        let gateway = Arc::<str>::from(gateway(domain));
        let this = Self {
            proxy: Arc::clone(proxy),
            agent,
            stopping: tasks.stopping(),
            belonging: Belonging::new(Arc::clone(&gateway)),
            gateway,
            config: Arc::default(),
        };
        let (belonging, stopping) = (this.belonging.clone(), tasks.stopping());
        let published = proxy.published();
        tasks.spawn("mesh-belonging", async move {
            tokio::select! {
                () = belonging.keep(published) => {}
                () = stopping.cancelled() => {}
            }
        });
        let (config, stopping) = (Arc::clone(&this.config), tasks.stopping());
        tasks.spawn("mesh-certificate", async move {
            tokio::select! {
                () = keep_certified(&config, &*certify) => {}
                () = stopping.cancelled() => {}
            }
        });
        let security = Security::Chosen(Arc::new(this.clone()));
        let serving = serve(listener, security, this, tasks.clone(), Limits::default());
        tasks.spawn("mesh", serving);
    }
}

/// Gets the listener's certificate, and the next one in time.
async fn keep_certified(config: &ArcSwapOption<ServerConfig>, certify: &dyn Certify) {
    loop {
        let certified = certify.certify(None).await;
        let made = certified.and_then(|certified| {
            let (renew, _) = lifetime(&certified).ok_or("the certificate has ended")?;
            let made =
                osier_identity::mutual_config(&certified.authority_pem, &certified.credential);
            Ok((made.map_err(|error| error.to_string())?, renew))
        });
        let renew = match made {
            Ok((made, renew)) => {
                config.store(Some(made));
                renew
            }
            Err(reason) => {
                tracing::warn!(
                    reason,
                    "the mesh listener has no new certificate; it will be asked for again"
                );
                Instant::now() + AGAIN
            }
        };
        loop {
            let left = renew.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

impl Choose for MeshListener {
    fn opening(&self) -> Opening {
        Opening {
            proxy_protocol: false,
            then: Then::Tls,
        }
    }

    fn choose(&self, so_far: &[u8]) -> Choice {
        match osier_identity::hello(so_far) {
            Hello::Incomplete => Choice::More,
            Hello::Wrong(reason) => Choice::Refused(reason),
            Hello::Complete(_) => match self.config.load_full() {
                Some(config) => Choice::Http(config),
                None => Choice::Refused("the node has no certificate yet".to_owned()),
            },
        }
    }
}

impl Handle for MeshListener {
    async fn handle(&self, peer: &Arc<Peer>, mut request: Request<Body>) -> Response<Body> {
        peer.described.get_or_init(|| self.described(peer));
        if is_api_server(peer) {
            return self.asked(request).await;
        }
        let snapshot = self.proxy.snapshot();
        let arrival = match self.arrival(&snapshot, peer, &request) {
            Ok(arrival) => arrival,
            Err(answer) => return *answer,
        };
        strip(request.headers_mut());
        let upgrades = request.extensions().get::<Protocol>().is_some();
        if request.method() == Method::CONNECT && !upgrades {
            return self.connected(arrival, request).await;
        }
        let source = Source::Mesh(Arc::new(arrival));
        self.proxy.handle(source, request).await
    }
}

impl MeshListener {
    /// Identity and node of a connection's certificate; from then on it is one of theirs.
    fn described(&self, peer: &Arc<Peer>) -> Option<HeaderValue> {
        let (spiffe, node) = shown(peer)?;
        self.belonging.add((&spiffe, &node), peer);
        HeaderValue::try_from(format!("{spiffe} {node}")).ok()
    }

    /// Answers the API server. What flows, such as a log that is followed, ends when the node stops.
    async fn asked(&self, question: Request<Body>) -> Response<Body> {
        let stopped = self.stopping.clone().cancelled_owned();
        let answer = self.agent.call(question).await;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        answer.map(|body| body::stream(body.into_data_stream().take_until(stopped)))
    }

    /// Answers a CONNECT, behind which bytes follow.
    async fn connected(&self, arrival: Arrival, request: Request<Body>) -> Response<Body> {
        let answer = tunnel::arrived(&self.proxy, arrival, request, self.stopping.clone()).await;
        answer.unwrap_or_else(|Refused { flag, reason }| match flag {
            Flag::Denied => *refused(StatusCode::FORBIDDEN, &reason, None),
            Flag::BadRequest => *refused(StatusCode::BAD_REQUEST, &reason, None),
            _ => *refused(
                StatusCode::SERVICE_UNAVAILABLE,
                &reason,
                Some(reason.as_str()),
            ),
        })
    }

    fn arrival(
        &self,
        snapshot: &Snapshot,
        peer: &Arc<Peer>,
        request: &Request<Body>,
    ) -> Result<Arrival, Box<Response<Body>>> {
        let told = said(request.headers());
        let caller = self
            .caller(snapshot, peer, told)
            .map_err(|reason| refused(StatusCode::FORBIDDEN, &reason, None))?;
        let called = wanted(request.headers())
            .ok_or_else(|| refused(StatusCode::BAD_REQUEST, "the request names no pod", None))?;
        let (cluster, endpoint) = find(snapshot, &called).ok_or_else(|| {
            let reason = "the pod is not known on this node, or not ready";
            refused(StatusCode::SERVICE_UNAVAILABLE, reason, Some(reason))
        })?;
        // Of a workload that is no pod only its own identity is proven: what stands beside it is no node of the mesh.
        let by_node = caller.workload().is_none_or(Workload::is_pod);
        let identity = identity(request.headers()).filter(|_| by_node);
        Ok(Arrival {
            caller,
            cluster,
            endpoint,
            identity,
        })
    }

    /// Who calls: what its node says, if the certificate proves it.
    fn caller(
        &self,
        snapshot: &Snapshot,
        peer: &Arc<Peer>,
        told: Option<Said<'_>>,
    ) -> Result<Source, String> {
        let shown = peer.described.get().and_then(Option::as_ref);
        let shown = shown.and_then(|shown| shown.to_str().ok());
        let (spiffe, node) = shown
            .and_then(|shown| shown.split_once(' '))
            .ok_or("the certificate names no workload and node")?;
        if snapshot.mesh_address(node).is_none() {
            return Err(format!("node {node} is not in the cluster"));
        }
        match told.ok_or("the request names no caller")? {
            Said::Pod(uid) => {
                let pod = snapshot.workload_by_uid(uid);
                let pod = pod.filter(|pod| *pod.principal == *spiffe && *pod.node == *node);
                let pod = pod.ok_or_else(|| {
                    format!("{spiffe} on node {node} is not the identity of pod {uid}")
                })?;
                Ok(Source::Pod(Arc::clone(pod)))
            }
            Said::Gateway(_) if *spiffe != *self.gateway => {
                Err(format!("{spiffe} is not the identity of a gateway"))
            }
            Said::Gateway(address) => Ok(Source::Gateway {
                name: self.proxy.gateway_name(),
                listener: ListenerKey::Main,
                peer: Arc::new(Peer::plain(address.unwrap_or(peer.address))),
            }),
        }
    }
}

/// Certificates of workloads are read once for a connection, others where there is no such.
fn is_api_server(peer: &Peer) -> bool {
    if matches!(peer.described.get(), Some(Some(_))) {
        return false;
    }
    let certificate = peer.certificate.as_ref();
    let subject = certificate.and_then(|certificate| subject(certificate).ok());
    subject.is_some_and(|subject| subject.is_kubelet_client())
}

/// Identity and node of a certificate.
fn shown(peer: &Peer) -> Option<(String, String)> {
    let subject = subject(peer.certificate.as_ref()?).ok()?;
    let [name] = subject.names.as_slice() else {
        return None;
    };
    let node = name.strip_suffix(SUFFIX)?.to_owned();
    Some((subject.spiffe?, node))
}

/// The endpoint, in the service through which it was called.
fn find(snapshot: &Snapshot, wanted: &Wanted<'_>) -> Option<(Arc<Cluster>, Arc<Endpoint>)> {
    // outbound|PORT|SUBSET|HOST
    let mut parts = wanted.cluster.split('|').skip(1);
    let (port, host) = (parts.next()?.parse::<u16>().ok()?, parts.nth(1)?);
    let Some(service) = snapshot.service(host, None) else {
        // A pod that no service has is called by its own address.
        let pod = snapshot.workload_by_uid(wanted.uid)?;
        let by_address = wanted.cluster.starts_with("inbound|");
        return by_address.then(|| Cluster::of_pod(pod, wanted.port));
    };
    let mut ports = service.ports.iter().chain(&service.datagrams);
    let cluster = &ports.find(|one| one.port == port)?.cluster;
    let mut all = cluster.endpoints.iter();
    let known = all.find(|one| *one.workload.uid == *wanted.uid && one.port == wanted.port);
    // The caller's node may know earlier than this one that the pod is ready; whether it runs here is seen when it is called.
    let found = known.cloned().or_else(|| {
        let workload = snapshot.workload_by_uid(wanted.uid)?;
        Some(Arc::new(Endpoint::new(Arc::clone(workload), wanted.port)))
    });
    Some((Arc::clone(cluster), found?))
}

fn refused(status: StatusCode, reason: &str, unstarted: Option<&str>) -> Box<Response<Body>> {
    if unstarted.is_none() {
        tracing::warn!(reason, "a call from another node was refused");
    }
    let mut response = Response::new(body::full(format!("{reason}\n")));
    *response.status_mut() = status;
    let unstarted = unstarted.and_then(|reason| HeaderValue::try_from(reason).ok());
    if let Some(reason) = unstarted {
        response.headers_mut().insert(UNSTARTED, reason);
    }
    Box::new(response)
}
