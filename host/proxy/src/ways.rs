//! The two ways of a request to an endpoint: in memory to a pod, over the network to a host outside.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use osier_process::Tasks;
use osier_process::body::Body;
use osier_snapshot::{Cluster, Endpoint, Place};
use tokio::net::TcpStream;

use crate::failure::Failure;
use crate::pods::Pods;
use crate::upstream::Upstreams;
use crate::uptime::Uptime;

/// How endpoints are reached.
#[derive(Clone)]
pub(crate) struct Ways {
    pods: Arc<dyn Pods>,
    upstreams: Upstreams,
    uptime: Uptime,
}

impl Ways {
    pub(crate) fn new(pods: Arc<dyn Pods>, tasks: Tasks, uptime: Uptime) -> Self {
        let upstreams = Upstreams::new(tasks);
        Self {
            pods,
            upstreams,
            uptime,
        }
    }

    /// The time, in milliseconds since this proxy began.
    pub(crate) fn now(&self) -> u64 {
        self.uptime.millis()
    }

    /// Sends one request to one endpoint; resolves with the response head, while the body streams behind it.
    pub(crate) async fn call(
        &self,
        cluster: &Cluster,
        endpoint: &Arc<Endpoint>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        match &endpoint.place {
            Place::Pod => Ok(self.pods.call(endpoint, request).await?),
            // Boxed: connecting needs much room, and a call in memory should not carry it along.
            _ => Box::pin(self.upstreams.call(cluster, endpoint, request)).await,
        }
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

    /// A raw connection to an endpoint outside. `asked` is the host that the client named, if any.
    pub(crate) async fn connect(
        &self,
        cluster: &Cluster,
        endpoint: &Endpoint,
        asked: &str,
    ) -> Result<TcpStream, Failure> {
        self.upstreams.connect(cluster, endpoint, asked).await
    }
}
