//! HTTP/1.1 upgrades to WebSocket (RFC 9110, 7.8; RFC 6455): a request asks, an endpoint outside agrees, and bytes follow.
//!
//! A pod takes requests and answers only; an upgrade to one is refused, as is one to an endpoint that is spoken to over HTTP/2.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_snapshot::{Cluster, Endpoint, Place, Speaks};

use crate::answer::Refusal;
use crate::carry::{Bounds, Count, End, carry};
use crate::flags::Flag;
use crate::trace::Trace;

/// Time without a byte in either direction, as Istio's proxies have it for raw connections.
const IDLE: Duration = Duration::from_secs(3_600);
/// Time from the answer until both sides have changed over.
const CHANGE: Duration = Duration::from_secs(10);

/// A request's wish, which stays with its head from try to try.
#[derive(Clone)]
struct Wanted;

/// Takes the client's side of an upgrade out of a request that asks for one, and marks the request.
pub(crate) fn asked(head: &mut Parts) -> Option<OnUpgrade> {
    let client = head.extensions.remove::<OnUpgrade>()?;
    let websocket = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"websocket");
    let asks = head.version == Version::HTTP_11
        && head.headers.get(UPGRADE).is_some_and(websocket)
        && names_upgrade(&head.headers);
    asks.then(|| {
        head.extensions.insert(Wanted);
        client
    })
}

fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
}

/// Writes the wish for an endpoint, if it can be fulfilled there.
pub(crate) fn prepare(
    head: &mut Parts,
    cluster: &Cluster,
    endpoint: &Endpoint,
) -> Result<(), Refusal> {
    if head.extensions.get::<Wanted>().is_none() {
        return Ok(());
    }
    let reason = match (&endpoint.place, cluster.upstream.speaks) {
        (Place::Pod, _) => "a pod answers requests; it takes no upgrade of the connection",
        (_, Speaks::Http1) => {
            write(&mut head.headers);
            return Ok(());
        }
        _ => "the endpoint is spoken to over HTTP/2, which has no upgrades",
    };
    let status = StatusCode::NOT_IMPLEMENTED;
    Err(Refusal::new(status, Flag::BadRequest, reason))
}

fn write(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Lets both sides change over behind the answer; the report comes when they are done.
pub(crate) fn carried(
    client: OnUpgrade,
    mut response: Response<Body>,
    mut trace: Box<Trace>,
    tasks: &Tasks,
) -> Response<Body> {
    let upstream = hyper::upgrade::on(&mut response);
    write(response.headers_mut());
    trace.status = response.status().as_u16();
    let bounds = Bounds {
        idle: IDLE,
        stopping: tasks.stopping(),
    };
    tasks.spawn("upgraded", async move {
        let both = async { tokio::try_join!(client, upstream) };
        let Ok(Ok(both)) = tokio::time::timeout(CHANGE, both).await else {
            return;
        };
        joined(both, trace, bounds).await;
    });
    response.map(|_| body::empty())
}

async fn joined((client, upstream): (Upgraded, Upgraded), mut trace: Box<Trace>, bounds: Bounds) {
    let counted = Counted::default();
    let streams = (TokioIo::new(client), TokioIo::new(upstream));
    let end = carry(streams, &counted, &bounds).await;
    trace.response_bytes = counted.sent.into_inner();
    let meter = trace.request_meter.get_or_insert_default();
    meter
        .bytes
        .store(counted.received.into_inner(), Ordering::Relaxed);
    trace.complete = true;
    trace.flag = match end {
        End::Done => Flag::None,
        End::Broken(_) => Flag::Reset,
        End::Cut => Flag::Timeout,
    };
}

#[derive(Default)]
struct Counted {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Count for Counted {
    fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}
