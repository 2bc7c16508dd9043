//! What stands in the heads of requests between nodes, beside the request itself. It never comes from outside and never leaves the
//! mesh: a node takes these headers off whatever it hands on.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use osier_snapshot::{Cluster, Endpoint, Workload};

use crate::source::Source;

const DESTINATION: HeaderName = HeaderName::from_static("x-osier-mesh-destination");
const CLUSTER: HeaderName = HeaderName::from_static("x-osier-mesh-cluster");
const SOURCE: HeaderName = HeaderName::from_static("x-osier-mesh-source");
const IDENTITY: HeaderName = HeaderName::from_static("x-osier-mesh-identity");
const DATAGRAMS: HeaderName = HeaderName::from_static("x-osier-mesh-datagrams");
/// On an answer: the pod never saw the request, it may be sent to another.
pub(crate) const UNSTARTED: HeaderName = HeaderName::from_static("x-osier-mesh-unstarted");
/// What a gateway calls itself in place of a pod's uid.
const GATEWAY: &str = "gateway";

/// Who is called, as the caller's node chose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    pub(crate) uid: &'a str,
    pub(crate) port: u16,
    pub(crate) cluster: &'a str,
}

/// Who calls, as its node says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// A pod, by its uid.
    Pod(&'a str),
    /// A client outside, through a gateway.
    Gateway(Option<SocketAddr>),
}

/// Writes who calls whom.
pub(crate) fn write(
    headers: &mut HeaderMap,
    source: &Source,
    (cluster, endpoint): (&Cluster, &Endpoint),
) {
    let said = match certified(source) {
        Some(workload) => workload.uid.to_string(),
        None => source.address().map_or_else(
            || GATEWAY.to_owned(),
            |address| format!("{GATEWAY} {address}"),
        ),
    };
    let destination = format!("{} {}", endpoint.workload.uid, endpoint.port);
    let cluster = cluster.name.to_string();
    for (name, text) in [
        (SOURCE, said),
        (DESTINATION, destination),
        (CLUSTER, cluster),
    ] {
        // Uids, addresses and hosts are plain text.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}

/// The workload of whose name there are certificates. A plugin has none: its calls are those of the node's gateway.
pub(crate) fn certified(source: &Source) -> Option<&Workload> {
    source
        .workload()
        .filter(|workload| !workload.uid.starts_with("plugin:"))
}

/// Reads who is called.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Wanted<'_>> {
    let (uid, port) = text(headers, &DESTINATION)?.split_once(' ')?;
    Some(Wanted {
        uid,
        port: port.parse().ok()?,
        cluster: text(headers, &CLUSTER)?,
    })
}

/// Reads who calls.
pub(crate) fn said(headers: &HeaderMap) -> Option<Said<'_>> {
    let text = text(headers, &SOURCE)?;
    Some(match text.strip_prefix(GATEWAY) {
        Some(address) => Said::Gateway(address.trim().parse().ok()),
        None => Said::Pod(text),
    })
}

/// Who was found to be behind a request, among its extensions.
#[derive(Clone)]
pub(crate) struct Identity(pub(crate) HeaderValue);

/// Writes who was found to be behind a request, over whatever it says itself.
pub(crate) fn identify<B>(request: &mut http::Request<B>) {
    match request.extensions_mut().remove() {
        Some(Identity(value)) => request.headers_mut().insert(IDENTITY, value),
        None => request.headers_mut().remove(IDENTITY),
    };
}

/// Reads who was found to be behind a request.
pub(crate) fn identity(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(IDENTITY).cloned()
}

/// Says of a CONNECT that datagrams follow.
pub(crate) fn mark_datagrams(headers: &mut HeaderMap) {
    headers.insert(DATAGRAMS, HeaderValue::from_static("1"));
}

/// Whether datagrams follow a CONNECT, whose head goes no further.
pub(crate) fn carries_datagrams(headers: &HeaderMap) -> bool {
    headers.contains_key(DATAGRAMS)
}

/// Takes these headers off.
pub(crate) fn strip(headers: &mut HeaderMap) {
    for name in [&SOURCE, &DESTINATION, &CLUSTER, &IDENTITY, &UNSTARTED] {
        headers.remove(name);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_said_is_read_and_taken_off() {
        let mut headers = HeaderMap::new();
        headers.insert("x-kept", HeaderValue::from_static("y"));
        assert_eq!((wanted(&headers), said(&headers)), (None, None));
        headers.insert(DESTINATION, HeaderValue::from_static("uid-1 8080"));
        headers.insert(
            CLUSTER,
            HeaderValue::from_static("outbound|80||echo.default.svc.cluster.local"),
        );
        headers.insert(SOURCE, HeaderValue::from_static("uid-2"));
        let found = wanted(&headers).unwrap();
        assert_eq!((found.uid, found.port), ("uid-1", 8080));
        assert_eq!(said(&headers), Some(Said::Pod("uid-2")));
        headers.insert(SOURCE, HeaderValue::from_static("gateway 192.0.2.1:5"));
        let address = "192.0.2.1:5".parse().ok();
        assert_eq!(said(&headers), Some(Said::Gateway(address)));
        headers.insert(IDENTITY, HeaderValue::from_static("{}"));
        assert!(identity(&headers).is_some());
        headers.insert(DESTINATION, HeaderValue::from_static("uid-1 80800"));
        assert_eq!(wanted(&headers), None);
        strip(&mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn who_is_behind_a_request_is_said_by_the_node_alone() {
        let mut request = http::Request::new(());
        request
            .headers_mut()
            .insert(IDENTITY, HeaderValue::from_static("forged"));
        identify(&mut request);
        assert_eq!(identity(request.headers()), None);
        let found = HeaderValue::from_static("found");
        request
            .headers_mut()
            .insert(IDENTITY, HeaderValue::from_static("forged"));
        request.extensions_mut().insert(Identity(found.clone()));
        identify(&mut request);
        assert_eq!(identity(request.headers()), Some(found));
    }
}
