//! What is known about a call, as policies name it: the same words before it passes and after it has ended.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, Method, StatusCode, Uri, Version};
use osier_authentication::Verified;
use osier_decisions::Forwarded;
use osier_policy::{
    Api, Attributes, Authentication, Checked, Connection, Context, Destination, Generated, Output,
    Peer, Request, Response, Scope, Texts,
};
use osier_proxy::{Call, Connected, Decision, Direction, Moment, Record};
use osier_snapshot::{ServiceRef, Workload};

/// A raw connection that wants to pass.
const OPENING: Connected = Connected {
    event: Moment::Open,
    received: None,
    sent: None,
};

/// A call from one of its two sides.
pub(super) struct Facts<'a> {
    direction: Direction,
    source: Option<&'a Workload>,
    destination: Option<&'a Workload>,
    port: Option<u16>,
    service: Option<&'a ServiceRef>,
    gateway: Option<&'a str>,
    gateways: &'a [Arc<str>],
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    request_id: &'a str,
    peer: Option<SocketAddr>,
    proven: bool,
    server_name: Option<&'a str>,
    received: SystemTime,
    version: Version,
    decided: &'a [Decision],
    /// A raw connection, and what happens to it.
    connected: Option<Connected>,
}

impl<'a> Facts<'a> {
    /// Of a call that wants to pass.
    pub(super) fn of_call(call: &Call<'a>) -> Self {
        Self {
            direction: call.direction,
            source: call.source,
            destination: call.destination,
            port: call.port,
            service: call.service,
            gateway: call.gateway,
            gateways: call.gateways,
            method: &call.head.method,
            uri: &call.head.uri,
            headers: &call.head.headers,
            request_id: call.request_id,
            peer: call.peer,
            proven: call.proven,
            server_name: call.server_name,
            received: call.received,
            version: call.head.version,
            decided: call.before,
            // No request of this method gets so far: it stands for a raw connection.
            connected: (call.head.method == Method::CONNECT).then_some(OPENING),
        }
    }

    /// Of a call that has ended; `nothing` stands for headers that nobody kept.
    pub(super) fn of_record(
        record: &Record<'a>,
        direction: Direction,
        nothing: &'a HeaderMap,
    ) -> Self {
        Self {
            direction,
            source: record.source,
            destination: record.destination,
            port: record.endpoint.map(|endpoint| endpoint.port()),
            service: record.service,
            gateway: record.gateway,
            gateways: record.gateways,
            method: record.method,
            uri: record.uri,
            headers: record.heads.map_or(nothing, |heads| heads.request),
            request_id: record.request_id,
            peer: record.peer,
            proven: record.proven,
            server_name: record.server_name,
            received: record.received,
            version: record.version,
            decided: record.decisions,
            connected: record.connected,
        }
    }

    /// Whose policies concern the call.
    pub(super) fn scope(&self) -> Scope<'a> {
        let service = self.service;
        let (side, namespace) = match self.direction {
            Direction::Inbound => (self.destination, service.map(|service| &*service.namespace)),
            Direction::Outbound => (self.source, self.source.map(|source| &*source.namespace)),
        };
        // Behind a gateway the caller has no namespace: the called service's is as near as it gets.
        let namespace = namespace
            .or_else(|| side.map(|side| &*side.namespace))
            .or_else(|| service.map(|service| &*service.namespace));
        let namespace = namespace.unwrap_or_default();
        Scope {
            direction: direction(self.direction),
            namespace,
            service: service
                .filter(|service| *service.namespace == *namespace)
                .map(|service| &*service.name),
            gateway: self.gateway,
            gateways: self.gateways,
            labels: side.map_or(Texts::Empty, |side| Texts::Tree(&side.labels)),
            generated: generated(self.decided, self.direction),
        }
    }

    /// What is known before the call passes.
    pub(super) fn attributes(&self) -> Attributes<'a> {
        let peer_ip = self.peer.map(|peer| peer.ip());
        let source = self.source.map_or_else(
            || Peer {
                ip: peer_ip,
                ..Peer::default()
            },
            peer,
        );
        let container = self.destination.zip(self.port);
        let container = container.and_then(|(pod, port)| pod.container(port));
        let inbound = self.direction == Direction::Inbound;
        let reporter = if inbound {
            self.destination
        } else {
            self.source
        };
        Attributes {
            source,
            destination: Destination {
                peer: self.destination.map_or_else(Peer::default, peer),
                port: self.port,
                service_name: self.service.map(|service| &*service.name),
                service_namespace: self.service.map(|service| &*service.namespace),
                service_host: self.service.map(|service| &*service.host),
                container_name: container.map(|one| &*one.name),
                container_image: container.map(|one| &*one.image),
            },
            origin_ip: peer_ip.or(source.ip),
            request: self.request(),
            connection: self.connection(),
            api: self.api(),
            context: Context {
                protocol: self.protocol(),
                http_version: http_version(self.version).filter(|_| self.connected.is_none()),
                reporter_kind: if inbound { "inbound" } else { "outbound" },
                reporter: reporter.map(|workload| [&*workload.name, &*workload.namespace]),
                time: Some(self.received),
                ..Context::default()
            },
            ..Attributes::default()
        }
    }

    fn request(&self) -> Request<'a> {
        let host = self
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| text(self.headers, "host"));
        Request {
            id: self.request_id,
            path: self
                .uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str),
            host: host.unwrap_or_default(),
            method: self.method.as_str(),
            scheme: self.uri.scheme_str().unwrap_or("http"),
            headers: Texts::Headers(self.headers),
            size: text(self.headers, "content-length").and_then(|length| length.parse().ok()),
            time: Some(self.received),
            auth: self.authentication(),
            ..Request::default()
        }
    }
}

impl<'a> Facts<'a> {
    fn connection(&self) -> Connection<'a> {
        let raw = self.connected;
        Connection {
            // The host is both ends' sidecar: it knows who calls.
            mtls: self.source.is_some() || self.proven,
            requested_server_name: self.server_name,
            id: raw.map(|_| self.request_id),
            event: raw.map(|raw| raw.event.word()),
            received: raw.and_then(|raw| raw.received),
            sent: raw.and_then(|raw| raw.sent),
            duration: None,
        }
    }

    fn protocol(&self) -> &'static str {
        let kind = self.headers.get("content-type");
        let kind = kind.map_or(&[][..], http::HeaderValue::as_bytes);
        match self.connected {
            Some(_) => "tcp",
            None if kind.starts_with(b"application/grpc") => "grpc",
            None => "http",
        }
    }

    /// Of gRPC the path names the API; of other calls nothing but the protocol is known.
    fn api(&self) -> Api<'a> {
        let protocol = match (self.protocol(), self.uri.scheme_str()) {
            ("tcp", _) => return Api::default(),
            ("http", Some("https")) => "https",
            (protocol, _) => protocol,
        };
        let uri: &'a Uri = self.uri;
        let named = uri.path().strip_prefix('/').filter(|_| protocol == "grpc");
        let (service, operation) = named.and_then(|name| name.rsplit_once('/')).unzip();
        Api {
            service,
            operation,
            protocol: Some(protocol),
            version: None,
        }
    }

    fn authentication(&self) -> Authentication<'a> {
        authentication(self.decided)
    }
}

/// Who was found to be behind the call, by what was asked about it before.
fn authentication(decided: &[Decision]) -> Authentication<'_> {
    let memos = decided.iter().rev().filter_map(|one| one.memo.as_deref());
    let mut identities = memos.filter_map(|memo| {
        let by_plugin = memo.downcast_ref().map(Output::authentication);
        let here = by_plugin.or_else(|| memo.downcast_ref().map(verified));
        here.or_else(|| memo.downcast_ref().map(told))
    });
    identities.next().unwrap_or_default()
}

/// What another node said.
fn told(identity: &Forwarded) -> Authentication<'_> {
    Authentication {
        principal: identity.principal.as_deref(),
        audiences: identity.audiences.as_deref(),
        presenter: identity.presenter.as_deref(),
        claims: Texts::Pairs(&identity.claims),
    }
}

/// Who was found to be behind the call, for another node.
pub(super) fn identity(decided: &[Decision]) -> Forwarded {
    let known = authentication(decided);
    let text = |known: Option<&str>| known.map(str::to_owned);
    let mut claims = Vec::new();
    known
        .claims
        .each(&mut |name, claim| claims.push((name.to_owned(), claim.to_owned())));
    Forwarded {
        principal: text(known.principal),
        audiences: text(known.audiences),
        presenter: text(known.presenter),
        claims,
    }
}

/// What a token says that was verified without a plugin.
fn verified(token: &Verified) -> Authentication<'_> {
    Authentication {
        principal: token.principal(),
        audiences: Some(token.audiences()).filter(|audiences| !audiences.is_empty()),
        presenter: token.presenter(),
        claims: Texts::Pairs(token.texts()),
    }
}

/// What generating plugins told on one side of the call. What the other side was told is not believed here: its policies are others'.
fn generated(decided: &[Decision], side: Direction) -> Option<&Arc<Generated>> {
    let own = decided.iter().rev().filter(|one| one.direction == side);
    let mut memos = own.filter_map(|one| one.memo.as_deref());
    memos.find_map(|memo| memo.downcast_ref::<Arc<Generated>>())
}

/// The side, as policy calls it.
pub(super) fn direction(direction: Direction) -> osier_policy::Direction {
    match direction {
        Direction::Inbound => osier_policy::Direction::Inbound,
        Direction::Outbound => osier_policy::Direction::Outbound,
    }
}

/// What is known only when a call has ended; the same on both sides.
pub(super) struct Ended<'a> {
    record: &'a Record<'a>,
    checked: Checked<'a>,
}

impl<'a> Ended<'a> {
    pub(super) fn new(record: &'a Record<'a>) -> Self {
        Self {
            record,
            checked: checked(record),
        }
    }

    /// Everything that there is to know.
    pub(super) fn attributes(&self, facts: &Facts<'a>) -> Attributes<'a> {
        let record = self.record;
        let mut attributes = facts.attributes();
        let heads = record.heads;
        if record.connected.is_some() {
            attributes.connection.duration = Some(record.duration);
        } else {
            attributes.request.size = Some(record.request_bytes);
        }
        attributes.request.total_size = heads.map(|heads| {
            let line = record.method.as_str().len() + record.uri.path().len();
            record.request_bytes + line as u64 + weight(heads.request)
        });
        attributes.response = self.response();
        attributes.context.proxy_error_code = Some(record.flags).filter(|flags| *flags != "-");
        attributes.context.time = Some(record.received + record.duration);
        attributes.checked = self.checked;
        attributes
    }

    fn response(&self) -> Response<'a> {
        let record = self.record;
        let head = record.heads.and_then(|heads| heads.response);
        let trailers = record.heads.and_then(|heads| heads.trailers);
        // gRPC says how it went in the trailers, or in the head if there is nothing else to say.
        let grpc = |name| {
            let last = trailers.and_then(|trailers| text(trailers, name));
            last.or_else(|| head.and_then(|head| text(head, name)))
        };
        Response {
            headers: head.map(Texts::Headers),
            size: record.answered.map(|_| record.response_bytes),
            total_size: head
                .map(|head| record.response_bytes + weight(head) + trailers.map_or(0, weight)),
            code: Some(record.status).filter(|status| *status != 0),
            time: record.answered.map(|after| record.received + after),
            duration: record.answered.map(|_| record.duration),
            grpc_status: grpc("grpc-status"),
            grpc_message: grpc("grpc-message"),
        }
    }
}

/// How the checks of a call went. Nothing is known of a call about which nobody was asked.
fn checked<'a>(record: &Record<'a>) -> Checked<'a> {
    let mut checked = Checked::default();
    for decision in record.decisions {
        // What chooses or filters checks nothing.
        if !matches!(
            decision.outcome,
            "allow" | "deny" | "fail" | "ignore" | "shadow-deny"
        ) {
            continue;
        }
        let refused = matches!(decision.outcome, "deny" | "fail");
        checked.error_code = Some(match (refused, decision.outcome, record.connected) {
            (false, ..) => 0,
            // A raw connection is answered by no status.
            (true, "fail", Some(_)) => 13,
            (true, _, Some(_)) => 7,
            (true, _, None) => grpc_status(record).unwrap_or_else(|| code(record.status)),
        });
        checked.error_message = Some(decision.reason.as_str()).filter(|_| refused);
        let hit = if *decision.template == *"quota" {
            &mut checked.quota_cache_hit
        } else {
            &mut checked.cache_hit
        };
        *hit = Some(hit.unwrap_or(true) && decision.cached);
    }
    checked
}

/// What a gRPC caller was answered, whatever the status of HTTP.
fn grpc_status(record: &Record<'_>) -> Option<i64> {
    let head = record.heads?.response?;
    text(head, "grpc-status")?.parse().ok()
}

/// The gRPC code of a refusal (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>), which Mixer's checks answered with.
fn code(status: u16) -> i64 {
    match StatusCode::from_u16(status).unwrap_or_default() {
        StatusCode::BAD_REQUEST => 3,
        StatusCode::NOT_FOUND => 5,
        StatusCode::FORBIDDEN => 7,
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::UNAUTHORIZED => 16,
        _ => 2,
    }
}

/// Bytes of headers as HTTP/1 writes them.
fn weight(headers: &HeaderMap) -> u64 {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64)
        .sum()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// As Envoy writes it.
fn http_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("HTTP/1.0"),
        Version::HTTP_11 => Some("HTTP/1.1"),
        Version::HTTP_2 => Some("HTTP/2"),
        Version::HTTP_3 => Some("HTTP/3"),
        _ => None,
    }
}

fn peer(workload: &Workload) -> Peer<'_> {
    let principal = &*workload.principal;
    Peer {
        name: Some(&workload.name),
        namespace: Some(&workload.namespace),
        principal: Some(principal.strip_prefix("spiffe://").unwrap_or(principal)),
        owner: None,
        controller: Some(&*workload.controller).filter(|kind| !kind.is_empty()),
        workload: Some(&workload.workload),
        ip: Some(workload.address).filter(|ip: &IpAddr| !ip.is_unspecified()),
        labels: Texts::Tree(&workload.labels),
    }
}
