//! Raw connections that another node brings: a CONNECT on a stream of its HTTP/2, whose sides then exchange bytes.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use osier_process::CancellationToken;
use osier_process::body::{self, Body};
use osier_process::serve::Stream;

use super::life::Life;
use super::{IDLE, Line, Refused, connecting, line};
use crate::flags::Flag;
use crate::forwarded;
use crate::mesh::carries_datagrams;
use crate::prepare::{new_id, request_id};
use crate::proxy::Proxy;
use crate::source::{Arrival, Source};
use osier_process::carry::Bounds;

/// Time from the answer until the stream has changed over.
const CHANGE: Duration = Duration::from_secs(10);

/// Takes a connection to a workload here, or says why not.
pub(crate) async fn arrived(
    proxy: &Arc<Proxy>,
    arrival: Arrival,
    mut request: Request<Body>,
    stopping: CancellationToken,
) -> Result<Response<Body>, Refused> {
    let client = request.extensions_mut().remove::<OnUpgrade>();
    let client = client.ok_or_else(|| {
        let reason = "a tunnel needs a stream of HTTP/2 that can change over";
        Refused::new(Flag::BadRequest, reason)
    })?;
    let (arrival, id) = (Arc::new(arrival), request_id(request.headers_mut()));
    let authority = request.uri().authority().map(|name| name.as_str());
    let datagrams = carries_datagrams(request.headers());
    let (life, line) = opened(proxy, &arrival, (authority, datagrams), id).await?;
    let (tasks, proxy) = (proxy.tasks(), Arc::clone(proxy));
    tasks.spawn("tunnel", async move {
        let Ok(Ok(stream)) = tokio::time::timeout(CHANGE, client).await else {
            let reason = "its stream did not change over";
            life.end(Err(Refused::new(Flag::Reset, reason)));
            return;
        };
        let stream = Box::new(TokioIo::new(stream));
        carried(&proxy, (arrival, life, line), stream, stopping).await;
    });
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

/// Takes a connection to a workload here as it is, until it ends.
pub(crate) async fn taken(
    proxy: &Arc<Proxy>,
    arrival: Arrival,
    stream: Box<dyn Stream>,
    stopping: CancellationToken,
) -> Result<(), Refused> {
    let arrival = Arc::new(arrival);
    let (life, line) = opened(proxy, &arrival, (None, false), new_id()).await?;
    carried(proxy, (arrival, life, line), stream, stopping).await;
    Ok(())
}

/// The way to the workload, if its policies let the caller through.
async fn opened(
    proxy: &Arc<Proxy>,
    arrival: &Arc<Arrival>,
    (authority, datagrams): (Option<&str>, bool),
    id: HeaderValue,
) -> Result<(Life, Line), Refused> {
    let source = Source::Mesh(Arc::clone(arrival));
    let head = connecting(authority.unwrap_or(&arrival.cluster.service.host));
    let mut life = Life::begin(proxy, (source, id), head, datagrams);
    life.route = Arc::from("inbound");
    life.cluster = Some(Arc::clone(&arrival.cluster));
    let called = (&*arrival.cluster, &arrival.endpoint);
    let opened = match line::open(proxy, called, &mut life).await {
        Ok(opened) => {
            opened.map_err(|failure| Refused::new(Flag::Unreachable, failure.to_string()))
        }
        Err(refused) => Err(refused),
    };
    match opened {
        Ok(line) => Ok((life, line)),
        Err(refused) => {
            life.end(Err(refused.clone()));
            Err(refused)
        }
    }
}

async fn carried(
    proxy: &Arc<Proxy>,
    (arrival, life, line): (Arc<Arrival>, Life, Line),
    stream: Box<dyn Stream>,
    stopping: CancellationToken,
) {
    let upstream = match line {
        // Each request is told by itself.
        Line::Requests => return forwarded::requests(proxy, arrival, stream).await,
        Line::Bytes(upstream) => upstream,
    };
    let _load = arrival.endpoint.enter();
    let (service, workload) = (&arrival.cluster.service, &arrival.endpoint.workload);
    let counted = proxy.tcp.arrived(&life.source.name(), service, workload);
    let bounds = Bounds {
        idle: IDLE,
        stopping,
    };
    life.carried((stream, upstream), counted, &bounds).await;
}
