//! Bringing a request into the one form that routes, policies and pods read: absolute URI, no hop-by-hop header, a request id.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use osier_process::serve::Peer;
use osier_snapshot::rewrite;
use rand::RngCore;
use rustls::pki_types::CertificateDer;

use crate::answer::Refusal;
use crate::flags::Flag;

/// Name of the header that follows a request through the mesh.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a caller.
const REQUEST_ID_LENGTH: usize = 128;

/// Headers that speak about one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

/// Makes the URI absolute, with its path normalized; `Host` moves into it. A caller from outside has the scheme of its connection,
/// whatever the request says of itself.
pub(crate) fn target(head: &mut Parts, caller: Option<&Peer>) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        return Err(bad(
            StatusCode::NOT_IMPLEMENTED,
            "CONNECT is not served here",
        ));
    }
    framing(head)?;
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next().cloned();
    if hosts.next().is_some() {
        return Err(bad(
            StatusCode::BAD_REQUEST,
            "the request has more than one Host header",
        ));
    }
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    if parts.scheme.is_none() && parts.authority.is_some() && parts.path_and_query.is_none() {
        let reason = "the request's target must begin with a slash or be a whole URI";
        return Err(bad(StatusCode::BAD_REQUEST, reason));
    }
    if parts.authority.is_none() {
        parts.authority = Some(authority(host.as_ref())?);
    }
    if parts
        .authority
        .as_ref()
        .is_some_and(|host| host.as_str().contains('@'))
    {
        let reason = "the request's host must not name a user (RFC 9110, 4.2.4)";
        return Err(bad(StatusCode::BAD_REQUEST, reason));
    }
    match caller {
        Some(peer) => parts.scheme = Some(scheme(peer)),
        None => drop(parts.scheme.get_or_insert(Scheme::HTTP)),
    }
    let path = path(parts.path_and_query)?;
    if path.path() == "*" && head.method != Method::OPTIONS {
        let reason = "the request's target is *, which is for OPTIONS alone (RFC 9112, 3.2.4)";
        return Err(bad(StatusCode::BAD_REQUEST, reason));
    }
    parts.path_and_query = Some(path);
    head.uri = Uri::from_parts(parts).map_err(|_| {
        bad(
            StatusCode::BAD_REQUEST,
            "the request's target is not a valid URI",
        )
    })?;
    head.headers.remove(header::HOST);
    Ok(())
}

/// What is left open by the parser of how a body is delimited (RFC 9112, 6.1 and 6.3): a request that another server could read
/// with another length is refused.
fn framing(head: &Parts) -> Result<(), Refusal> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok(());
    };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        let reason = "the only transfer coding that is taken is chunked, once";
        return Err(bad(StatusCode::NOT_IMPLEMENTED, reason));
    }
    Ok(())
}

fn authority(host: Option<&HeaderValue>) -> Result<Authority, Refusal> {
    let host = host
        .filter(|host| !host.is_empty())
        .ok_or_else(|| bad(StatusCode::BAD_REQUEST, "the request names no host"))?;
    Authority::try_from(host.as_bytes()).map_err(|_| {
        bad(
            StatusCode::BAD_REQUEST,
            "the Host header is not a host name",
        )
    })
}

fn path(given: Option<PathAndQuery>) -> Result<PathAndQuery, Refusal> {
    let Some(given) = given else {
        return Ok(PathAndQuery::from_static("/"));
    };
    let Some(mut clean) = rewrite::normalized(given.path()) else {
        return Ok(given);
    };
    if let Some(query) = given.query() {
        clean.push('?');
        clean.push_str(query);
    }
    PathAndQuery::try_from(clean)
        .map_err(|_| bad(StatusCode::BAD_REQUEST, "the request's path is not valid"))
}

/// Refuses a head or an announced body over the limits.
pub(crate) fn limits(head: &Parts, head_bytes: usize, body_bytes: u64) -> Result<(), Refusal> {
    let size: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if size > head_bytes {
        let text = "the request's headers are larger than this proxy takes";
        return Err(bad(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
    }
    let length = head
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > body_bytes) {
        return Err(too_large());
    }
    Ok(())
}

/// The refusal of a body that is too large, announced or not.
pub(crate) fn too_large() -> Refusal {
    bad(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the request's body is larger than this proxy takes",
    )
}

/// The refusal of a request whose sender stopped in the middle.
pub(crate) fn broken() -> Refusal {
    bad(StatusCode::BAD_REQUEST, "the request's body ended early")
}

fn bad(status: StatusCode, reason: &'static str) -> Refusal {
    Refusal::new(status, Flag::BadRequest, reason)
}

/// Removes headers that speak about one connection, and those that `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named.iter().filter(|name| !is_end_to_end(name)) {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    if headers
        .get(header::TE)
        .is_some_and(|value| value != "trailers")
    {
        headers.remove(header::TE);
    }
}

/// Headers that a caller may not make disappear by naming them in `Connection`.
fn is_end_to_end(name: &HeaderName) -> bool {
    *name == header::HOST
        || *name == header::CONTENT_LENGTH
        || *name == header::AUTHORIZATION
        || *name == header::COOKIE
        || *name == REQUEST_ID
        || name.as_str().starts_with("x-forwarded-")
}

/// Keeps a usable request id, or makes one.
pub(crate) fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(&REQUEST_ID).filter(|value| usable_id(value)) {
        return given.clone();
    }
    let id = new_id();
    headers.insert(REQUEST_ID, id.clone());
    id
}

fn usable_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=REQUEST_ID_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// A random UUID (version 4).
pub(crate) fn new_id() -> HeaderValue {
    let mut bytes = [0u8; 16];
    rand::rng().fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("unknown"))
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn scheme(peer: &Peer) -> Scheme {
    match peer.handshake {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Says to the pods who called from outside, and how.
pub(crate) fn forwarded(head: &mut Parts, peer: &Peer) {
    let headers = &mut head.headers;
    let address = peer.named.get_or_init(|| named(peer));
    let before = headers.get(&FORWARDED_FOR);
    let chain = match before.and_then(|value| value.to_str().ok()) {
        None => Some(address.clone()),
        Some(before) => address
            .to_str()
            .ok()
            .and_then(|address| HeaderValue::try_from(format!("{before}, {address}")).ok()),
    };
    if let Some(chain) = chain {
        headers.insert(FORWARDED_FOR, chain);
    }
    // Envoy's SANITIZE_SET: what a client says of its own certificate is nothing, what it proved is told.
    headers.remove(&CLIENT_CERT);
    if let Some(certificate) = &peer.certificate {
        let written = peer.described.get_or_init(|| described(certificate));
        if let Some(written) = written {
            headers.insert(CLIENT_CERT, written.clone());
        }
    }
    let secure = peer.handshake.is_some();
    headers.insert(
        FORWARDED_PROTO,
        HeaderValue::from_static(if secure { "https" } else { "http" }),
    );
    if let Some(host) = head
        .uri
        .authority()
        .and_then(|host| HeaderValue::from_str(host.as_str()).ok())
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

fn named(peer: &Peer) -> HeaderValue {
    let address = peer.address.ip().to_canonical().to_string();
    HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("unknown"))
}

fn described(certificate: &CertificateDer<'_>) -> Option<HeaderValue> {
    let text = osier_identity::forwarded_client_cert(certificate).ok()?;
    HeaderValue::try_from(text).ok()
}
