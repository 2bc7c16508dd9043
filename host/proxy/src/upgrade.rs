//! Requests after whose answer the connection speaks another protocol, as WebSocket: a request asks, an endpoint agrees, and bytes
//! follow.
//!
//! Clients ask by `Upgrade` in HTTP/1.1 (RFC 9110, 7.8) or by extended CONNECT in HTTP/2 (RFC 8441), nodes ask each other by the latter,
//! and endpoints are asked by the former: hosts outside, workloads beside a companion, and pods whose programs take connections
//! (`wasi:sockets`). A component of `wasi:http` takes requests and gives answers only; an upgrade to one is refused, as is one to an
//! endpoint that is spoken to over HTTP/2.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use http::request::Parts;
use http::{HeaderName, Method, Request, Response, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_snapshot::{Cluster, Endpoint, Place, Speaks};

use crate::answer::Refusal;
use crate::flags::Flag;
use crate::source::Source;
use crate::trace::Trace;
use crate::ways::Ways;
use osier_process::carry::{Bounds, End, Passed, carry};

/// Time without a byte in either direction, as Istio's proxies have it for raw connections.
const IDLE: Duration = Duration::from_secs(3_600);
/// Time from the answer until both sides have changed over.
const CHANGE: Duration = Duration::from_secs(10);
/// Between nodes, on the refusal to change: the status that the endpoint gave, which in the form of HTTP/2 would mean that it agreed.
const STATUS: HeaderName = HeaderName::from_static("x-osier-mesh-status");

/// Why nothing comes of a wish, and what to do.
const ANSWERS_ONLY: &str = "the pod is a component of wasi:http, which takes no upgrade of a connection: \
    for WebSocket run a program of wasi:cli that listens by wasi:sockets";
const OVER_HTTP2: &str = "the endpoint is spoken to over HTTP/2, which has no upgrades: \
    name the Service's port http, or set its appProtocol to http";

/// The protocol that a request wishes for, which stays with its head from try to try.
#[derive(Clone)]
struct Wanted(HeaderValue);

/// The client's side of an upgrade.
pub(crate) struct Client {
    stream: OnUpgrade,
    form: Form,
    protocol: HeaderValue,
}

/// How a client asks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `Upgrade`, answered with 101.
    Switch,
    /// Extended CONNECT, answered with 200.
    Connect,
    /// The same, of a client that has no key because HTTP/2 needs none; the endpoint's answer to ours is not told.
    ConnectWithoutKey,
}

/// Takes the client's side of an upgrade out of a request that asks for one, and marks the request, which is a GET in any case.
/// Boxed: each request has room for it, and few ask.
pub(crate) fn asked(head: &mut Parts) -> Option<Box<Client>> {
    let stream = head.extensions.remove::<OnUpgrade>()?;
    let (form, protocol) = match head.version {
        Version::HTTP_11 => (Form::Switch, switching(&head.headers)?),
        _ => connecting(head)?,
    };
    head.extensions.insert(Wanted(protocol.clone()));
    Some(Box::new(Client {
        stream,
        form,
        protocol,
    }))
}

/// The one protocol that a request of HTTP/1.1 asks for.
fn switching(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (all.next(), all.next()) else {
        return None;
    };
    (names_upgrade(headers) && may_follow(protocol)).then(|| protocol.clone())
}

/// Turns an extended CONNECT into the request that it stands for.
fn connecting(head: &mut Parts) -> Option<(Form, HeaderValue)> {
    let protocol = head.extensions.remove::<Protocol>()?;
    let protocol = HeaderValue::from_bytes(protocol.as_ref()).ok()?;
    if head.method != Method::CONNECT || !may_follow(&protocol) {
        return None;
    }
    head.method = Method::GET;
    if !is_websocket(&protocol) || head.headers.contains_key(SEC_WEBSOCKET_KEY) {
        return Some((Form::Connect, protocol));
    }
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let key = HeaderValue::try_from(key).ok()?;
    head.headers.insert(SEC_WEBSOCKET_KEY, key);
    Some((Form::ConnectWithoutKey, protocol))
}

fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// Whether bytes of this protocol may follow: requests inside another HTTP, or inside TLS, would pass by the one door.
fn may_follow(protocol: &HeaderValue) -> bool {
    let Ok(text) = protocol.to_str() else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let once_more = ["http", "h2", "h3", "tls"];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte);
    !text.is_empty()
        && text.bytes().all(is_token)
        && !once_more.iter().any(|name| text.starts_with(name))
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
    (cluster, endpoint): (&Cluster, &Arc<Endpoint>),
    ways: &Ways,
) -> Result<(), Refusal> {
    let Some(Wanted(protocol)) = head.extensions.get::<Wanted>().cloned() else {
        return Ok(());
    };
    let reason = match (&endpoint.place, cluster.upstream.speaks) {
        (Place::Pod, _) if ways.elsewhere(endpoint).is_some() => {
            // Its node writes it.
            head.headers.remove(CONNECTION);
            head.headers.remove(UPGRADE);
            return Ok(());
        }
        (Place::Pod, _) if !ways.takes_bytes_here(endpoint, false) => ANSWERS_ONLY,
        (_, Speaks::Http1) => {
            write(&mut head.headers, protocol);
            return Ok(());
        }
        _ => OVER_HTTP2,
    };
    let status = StatusCode::NOT_IMPLEMENTED;
    Err(Refusal::new(status, Flag::BadRequest, reason))
}

fn write(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Gives a request that wishes for an upgrade the form that nodes send each other; says whether it does.
pub(crate) fn between_nodes(request: &mut Request<Body>) -> bool {
    let Some(Wanted(protocol)) = request.extensions_mut().remove() else {
        return false;
    };
    let Ok(protocol) = protocol.to_str() else {
        return false;
    };
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from(protocol));
    true
}

/// What the other node's answer to such a request says.
pub(crate) fn answered(mut response: Response<Body>) -> Response<Body> {
    let told = response.headers_mut().remove(STATUS);
    let told = told.and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
    *response.status_mut() = match told {
        Some(status) => status,
        None if response.status() == StatusCode::OK => StatusCode::SWITCHING_PROTOCOLS,
        None => response.status(),
    };
    response
}

/// The answer to a client that asked for an upgrade which did not come to be. In the form of HTTP/2 a success would say that it did.
pub(crate) fn unchanged(
    client: &Client,
    source: &Source,
    mut response: Response<Body>,
) -> Response<Body> {
    response.headers_mut().remove(STATUS);
    let status = response.status();
    if client.form == Form::Switch || !status.is_success() {
        return response;
    }
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    if source.arrival().is_some() {
        let told = HeaderValue::from(status.as_u16());
        response.headers_mut().insert(STATUS, told);
    }
    response
}

/// Lets both sides change over behind the answer; the report comes when they are done.
pub(crate) fn carried(
    client: Box<Client>,
    mut response: Response<Body>,
    mut trace: Box<Trace>,
    tasks: &Tasks,
) -> Response<Body> {
    let upstream = hyper::upgrade::on(&mut response);
    trace.status = response.status().as_u16();
    agree(&client, &mut response);
    let (head, answer) = response.into_parts();
    let stream = client.stream;
    let bounds = Bounds {
        idle: IDLE,
        stopping: tasks.stopping(),
    };
    tasks.spawn("upgraded", async move {
        // Empty as it is, it says that a call is under way.
        let _under_way = answer;
        let both = async { tokio::try_join!(stream, upstream) };
        let Ok(Ok(both)) = tokio::time::timeout(CHANGE, both).await else {
            return;
        };
        joined(both, trace, bounds).await;
    });
    Response::from_parts(head, body::empty())
}

/// Says to the client in its own form that the protocol changes.
fn agree(client: &Client, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.remove(STATUS);
    match client.form {
        Form::Switch => return write(headers, client.protocol.clone()),
        Form::ConnectWithoutKey => drop(headers.remove(SEC_WEBSOCKET_ACCEPT)),
        Form::Connect => {}
    }
    *response.status_mut() = StatusCode::OK;
}

async fn joined((client, upstream): (Upgraded, Upgraded), mut trace: Box<Trace>, bounds: Bounds) {
    let passed = Passed::default();
    let streams = (TokioIo::new(client), TokioIo::new(upstream));
    let end = carry(streams, &passed, &bounds).await;
    let [received, sent] = passed.all();
    trace.response_bytes = sent;
    let meter = trace.request_meter.get_or_insert_default();
    meter.bytes.store(received, Ordering::Relaxed);
    trace.complete = true;
    trace.flag = match end {
        End::Done => Flag::None,
        End::Broken(_) => Flag::Reset,
        End::Cut => Flag::Timeout,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_http_once_more_does_not_follow() {
        for taken in ["websocket", "WebSocket", "irc/6.9", "spdy/3.1"] {
            assert!(may_follow(&HeaderValue::from_static(taken)), "{taken}");
        }
        for refused in ["h2c", "HTTP/2.0", "TLS/1.3", "", "websocket, h2c", "a b"] {
            assert!(!may_follow(&HeaderValue::from_static(refused)), "{refused}");
        }
    }
}
