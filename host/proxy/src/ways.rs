//! The ways of a request to an endpoint: in memory to a pod here, over mutual TLS to a pod of another node, over the network to a
//! host outside.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use osier_process::body::{self, Body};
use osier_process::clock::Uptime;
use osier_process::{Holding, Tasks};
use osier_snapshot::{Cluster, Endpoint, Place, Trust};
use tokio::net::TcpStream;

use crate::mesh::Mesh;
use crate::source::Source;
use crate::tunnel::Line;
use osier_upstream::Failure;
use osier_upstream::{Client, Pods, Raw, Takes, Upstreams, Wants};

/// How endpoints are reached.
#[derive(Clone)]
pub(crate) struct Ways {
    pods: Arc<dyn Pods>,
    upstreams: Upstreams,
    uptime: Uptime,
    /// Joined once the node is in a mesh; a node alone calls its own pods only.
    mesh: Arc<OnceLock<Mesh>>,
}

impl Ways {
    pub(crate) fn new(pods: Arc<dyn Pods>, tasks: Tasks, uptime: Uptime) -> Self {
        let upstreams = Upstreams::with_pods(Arc::clone(&pods), tasks);
        Self {
            pods,
            upstreams,
            uptime,
            mesh: Arc::default(),
        }
    }

    /// The time, in milliseconds since this proxy began.
    pub(crate) fn now(&self) -> u64 {
        self.uptime.millis()
    }

    /// What tells that time.
    pub(crate) fn uptime(&self) -> Uptime {
        self.uptime
    }

    /// From now on pods of other nodes are called there. A second call changes nothing.
    pub(crate) fn join(&self, mesh: Mesh) {
        let _first_wins = self.mesh.set(mesh);
    }

    /// The way to other nodes, if this endpoint is on one.
    pub(crate) fn elsewhere(&self, endpoint: &Endpoint) -> Option<&Mesh> {
        self.mesh.get().filter(|mesh| mesh.leads_to(endpoint))
    }

    /// Sends one request to one endpoint; resolves with the response head, while the body streams behind it.
    pub(crate) async fn call(
        &self,
        cluster: &Cluster,
        endpoint: &Arc<Endpoint>,
        (source, request): (&Source, Request<Body>),
    ) -> Result<Response<Body>, Failure> {
        if let Some(mesh) = self.elsewhere(endpoint) {
            return Box::pin(mesh.call(source, (cluster, endpoint), request)).await;
        }
        let here = endpoint.place == Place::Pod;
        if here && self.pods.takes(endpoint) != Takes::Connections {
            return Ok(self.pods.call(endpoint, request).await?);
        }
        let counted = here.then(|| self.pods.begin(endpoint));
        let mut request = told(cluster, source, request);
        if let Some(mesh) = self.mesh.get().filter(|_| is_known(cluster)) {
            let shown = Box::pin(mesh.shown(source)).await?;
            request.extensions_mut().insert(shown);
        }
        // Boxed: connecting needs much room, and a call in memory should not carry it along.
        let answer = Box::pin(self.upstreams.call(cluster, endpoint, request)).await?;
        Ok(match counted {
            Some(counted) => answer.map(|body| body::boxed(Holding::new(body, counted))),
            None => answer,
        })
    }

    /// A connection to a port of an endpoint's place, to see whether it takes one.
    pub(crate) async fn probe(
        &self,
        endpoint: &Endpoint,
        port: u16,
        time: Duration,
    ) -> Result<TcpStream, Failure> {
        self.upstreams.probe(endpoint, port, time).await
    }

    /// Whether an endpoint is here and takes connections, not only requests.
    pub(crate) fn takes_bytes_here(&self, endpoint: &Arc<Endpoint>, datagrams: bool) -> bool {
        endpoint.place == Place::Pod
            && self.elsewhere(endpoint).is_none()
            && (datagrams || self.pods.takes(endpoint).connections())
    }

    /// A raw connection to an endpoint. `asked` is the host that the client named, if any.
    pub(crate) async fn connect(
        &self,
        cluster: &Cluster,
        endpoint: &Arc<Endpoint>,
        (source, asked): (&Source, &Raw<'_>),
    ) -> Result<Line, Failure> {
        if let Some(mesh) = self.elsewhere(endpoint) {
            let how = (asked.datagrams, asked.id);
            let tunnel = mesh.tunnel(source, (cluster, endpoint), how).await?;
            return Ok(Line::Bytes(tunnel));
        }
        match &endpoint.place {
            Place::Pod if asked.datagrams || self.pods.takes(endpoint).connections() => {
                let wants = Wants {
                    client: asked.client,
                    datagrams: asked.datagrams,
                };
                let opened = self.pods.connect(endpoint, wants).await?;
                let counted = Holding::new(opened, self.pods.begin(endpoint));
                Ok(Line::Bytes(Box::new(counted)))
            }
            Place::Pod if self.pods.takes(endpoint) == Takes::Nothing => {
                let reason = format!("nobody listens on port {} of the pod", endpoint.port);
                Err(Failure::Unreachable(reason.into()))
            }
            Place::Pod => Ok(Line::Requests),
            _ => {
                let stream = self.upstreams.connect(cluster, endpoint, asked).await?;
                Ok(Line::Bytes(stream))
            }
        }
    }
}

/// Whether a host knows who calls by its identity in the mesh.
fn is_known(cluster: &Cluster) -> bool {
    let tls = cluster.upstream.tls.as_ref();
    tls.is_some_and(|tls| tls.trust == Trust::Mesh)
}

/// The request with the client beside it, if the host is told who that is.
fn told(cluster: &Cluster, source: &Source, mut request: Request<Body>) -> Request<Body> {
    let wanted = cluster.upstream.proxy_protocol;
    if let Some(client) = wanted.and_then(|_| source.client()) {
        request.extensions_mut().insert(Client(client));
    }
    request
}
