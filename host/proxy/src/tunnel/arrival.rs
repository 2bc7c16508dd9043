//! Raw connections that another node brings: a CONNECT on a stream of its HTTP/2, whose sides then exchange bytes.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use osier_process::CancellationToken;
use osier_process::body::{self, Body};
use osier_process::serve::Stream;

use super::question::{Question, connecting};
use super::{Counted, IDLE, Line, Refused, ended, line};
use crate::access::{self, Tunnelled};
use crate::flags::Flag;
use crate::forwarded;
use crate::gate::Direction;
use crate::mesh::carries_datagrams;
use crate::proxy::Proxy;
use crate::source::{Arrival, Source};
use osier_process::carry::{Bounds, carry};

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
    let arrival = Arc::new(arrival);
    let authority = request.uri().authority().map(|name| name.as_str());
    let datagrams = carries_datagrams(request.headers());
    let line = opened(proxy, &arrival, (authority, datagrams)).await?;
    let (tasks, proxy) = (proxy.tasks(), Arc::clone(proxy));
    tasks.spawn("tunnel", async move {
        let Ok(Ok(stream)) = tokio::time::timeout(CHANGE, client).await else {
            return;
        };
        let stream = Box::new(TokioIo::new(stream));
        carried(&proxy, (arrival, line), stream, stopping).await;
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
    let line = opened(proxy, &arrival, (None, false)).await?;
    carried(proxy, (arrival, line), stream, stopping).await;
    Ok(())
}

/// The way to the workload, if its policies let the caller through.
async fn opened(
    proxy: &Proxy,
    arrival: &Arc<Arrival>,
    (authority, datagrams): (Option<&str>, bool),
) -> Result<Line, Refused> {
    let source = Source::Mesh(Arc::clone(arrival));
    let head = connecting(authority.unwrap_or(&arrival.cluster.service.host));
    let head = head.ok_or_else(|| Refused::new(Flag::BadRequest, "its name is no host"))?;
    let question = Question {
        direction: Direction::Inbound,
        source: &source,
        service: &arrival.cluster.service,
        endpoint: Some(&arrival.endpoint),
        head: &head,
        server_name: None,
        datagrams,
    };
    let called = (&*arrival.cluster, &arrival.endpoint);
    let opened = line::open(proxy, called, &question).await?;
    opened.map_err(|failure| Refused::new(Flag::Unreachable, failure.to_string()))
}

async fn carried(
    proxy: &Arc<Proxy>,
    (arrival, line): (Arc<Arrival>, Line),
    stream: Box<dyn Stream>,
    stopping: CancellationToken,
) {
    let upstream = match line {
        Line::Requests => return forwarded::requests(proxy, arrival, stream).await,
        Line::Bytes(upstream) => upstream,
    };
    let began = std::time::Instant::now();
    let _load = arrival.endpoint.enter();
    let source = Source::Mesh(Arc::clone(&arrival));
    let (service, workload) = (&arrival.cluster.service, &arrival.endpoint.workload);
    let counted = Counted::new(proxy.tcp.arrived(&source.name(), service, workload));
    let bounds = Bounds {
        idle: IDLE,
        stopping,
    };
    let end = carry((stream, upstream), &counted, &bounds).await;
    let mut log = Tunnelled {
        route: Arc::from("inbound"),
        cluster: Arc::clone(&arrival.cluster.name),
        duration: began.elapsed(),
        ..Tunnelled::new(&source)
    };
    counted.told(&mut log);
    if let Err(refused) = ended(end) {
        log.flags = refused.flag.letters();
        log.reason = refused.reason;
    }
    access::tunnelled(&log);
}
