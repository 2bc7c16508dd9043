//! The process that a companion stands beside, in the place of pods: it is called over the network of its own machine.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Request, Response, Version};
use osier_process::body::Body;
use osier_process::serve::Stream;
use osier_process::{Boxed, Tasks};
use osier_snapshot::{Cluster, Endpoint, Speaks, Upstream, Workload};
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::pods::{PodError, Pods, Takes, Wants};
use crate::upstreams::{Raw, Upstreams};

/// Ports that are remembered; a workload has a few.
const MOST_PORTS: usize = 256;

type Way = (Arc<Cluster>, Arc<Endpoint>);

/// One process and its ports.
pub struct Beside {
    address: IpAddr,
    upstreams: Upstreams,
    /// By port, and whether HTTP/2 is spoken from the start.
    ways: Mutex<HashMap<(u16, bool), Way>>,
}

impl Beside {
    /// The process that listens on ports of this address.
    pub fn new(address: IpAddr, tasks: Tasks) -> Self {
        Self {
            address,
            upstreams: Upstreams::new(tasks),
            ways: Mutex::default(),
        }
    }

    fn way(&self, workload: &Arc<Workload>, port: u16, second: bool) -> Way {
        let mut ways = self.ways.lock();
        if ways.len() >= MOST_PORTS {
            ways.clear();
        }
        let make = || {
            let speaks = match second {
                true => Speaks::Http2,
                false => Speaks::Http1,
            };
            let upstream = Upstream {
                speaks,
                ..Upstream::default()
            };
            Cluster::of_address(workload, (self.address, port), upstream)
        };
        let way = ways.entry((port, second)).or_insert_with(make);
        way.clone()
    }
}

impl Pods for Beside {
    fn call(
        &self,
        endpoint: &Arc<Endpoint>,
        mut request: Request<Body>,
    ) -> Boxed<'static, Result<Response<Body>, PodError>> {
        let way = self.way(&endpoint.workload, endpoint.port, is_grpc(&request));
        *request.version_mut() = Version::HTTP_11;
        let upstreams = self.upstreams.clone();
        Box::pin(async move {
            let (cluster, endpoint) = way;
            let answer = upstreams.call(&cluster, &endpoint, request).await;
            answer.map_err(refusal)
        })
    }

    fn takes(&self, _: &Arc<Endpoint>) -> Takes {
        Takes::Both
    }

    fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        wants: Wants,
    ) -> Boxed<'static, Result<Box<dyn Stream>, PodError>> {
        if wants.datagrams {
            let reason = "datagrams to a process outside are not carried".to_owned();
            return Box::pin(std::future::ready(Err(PodError::Unreachable { reason })));
        }
        let (cluster, endpoint) = self.way(&endpoint.workload, endpoint.port, false);
        let upstreams = self.upstreams.clone();
        Box::pin(async move {
            let stream = upstreams
                .connect(&cluster, &endpoint, &Raw::default())
                .await;
            stream.map_err(refusal)
        })
    }
}

/// gRPC is HTTP/2 wherever it goes.
fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn refusal(failure: Failure) -> PodError {
    let reason = failure.to_string();
    match failure {
        Failure::Unreachable(_) => PodError::Unreachable { reason },
        Failure::Overloaded(_) => PodError::Overloaded,
        Failure::Timeout(_) => PodError::Timeout,
        Failure::Reset(_) | Failure::Protocol(_) => PodError::Failed { reason },
    }
}
