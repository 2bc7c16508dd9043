//! From a slot, fixed when an expression is compiled, to the value in a call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Attributes, Destination, Extra, Peer, Request};
use crate::value::{Texts, Value};

/// The place of one attribute; resolved once from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Source(PeerSlot),
    Destination(PeerSlot),
    Called(CalledSlot),
    Request(RequestSlot),
    Response(ResponseSlot),
    Connection(ConnectionSlot),
    Context(ContextSlot),
    Extra(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PeerSlot {
    Uid,
    Name,
    Namespace,
    Principal,
    Owner,
    WorkloadUid,
    WorkloadName,
    WorkloadNamespace,
    Ip,
    Labels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CalledSlot {
    Port,
    ContainerName,
    ContainerImage,
    ServiceHost,
    ServiceUid,
    ServiceName,
    ServiceNamespace,
    OriginIp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RequestSlot {
    Id,
    Path,
    UrlPath,
    Host,
    Method,
    Reason,
    Referer,
    Scheme,
    Useragent,
    ApiKey,
    Headers,
    QueryParams,
    Size,
    TotalSize,
    Time,
    AuthPrincipal,
    AuthAudiences,
    AuthPresenter,
    AuthClaims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ResponseSlot {
    Headers,
    Size,
    TotalSize,
    Code,
    Time,
    Duration,
    GrpcStatus,
    GrpcMessage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConnectionSlot {
    Id,
    Event,
    RequestedServerName,
    ReceivedBytes,
    ReceivedBytesTotal,
    SentBytes,
    SentBytesTotal,
    Duration,
    Mtls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ContextSlot {
    Protocol,
    ReporterKind,
    ReporterUid,
    ProxyErrorCode,
    Time,
    ApiService,
    ApiVersion,
    ApiOperation,
    ApiProtocol,
    CheckErrorCode,
    CheckErrorMessage,
    CheckCacheHit,
    QuotaCacheHit,
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Absent, Value::Text)
}

fn count<'a>(value: Option<u64>) -> Value<'a> {
    value.map_or(Value::Absent, |value| {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    })
}

fn span<'a>(value: Option<Duration>) -> Value<'a> {
    value.map_or(Value::Absent, |value| {
        Value::Span(i64::try_from(value.as_nanos()).unwrap_or(i64::MAX))
    })
}

fn time<'a>(value: Option<SystemTime>) -> Value<'a> {
    value.map_or(Value::Absent, |value| {
        let since = match value.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()),
            Err(before) => i64::try_from(before.duration().as_nanos()).map(|nanos| -nanos),
        };
        Value::Time(since.unwrap_or(i64::MAX))
    })
}

fn composed<'a>(prefix: &str, parts: [Option<&str>; 2], between: &str) -> Value<'a> {
    match parts {
        [Some(first), Some(second)] => {
            Value::Owned(format!("{prefix}{first}{between}{second}").into())
        }
        _ => Value::Absent,
    }
}

impl<'a> Attributes<'a> {
    /// The value in a slot.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Value<'a> {
        match slot {
            Slot::Request(slot) => self.request(slot),
            Slot::Source(slot) => peer(&self.source, slot),
            Slot::Destination(slot) => peer(&self.destination.peer, slot),
            Slot::Called(CalledSlot::OriginIp) => self.origin_ip.map_or(Value::Absent, Value::Ip),
            Slot::Called(slot) => called(&self.destination, slot),
            Slot::Context(slot) => self.context(slot),
            Slot::Connection(slot) => self.connection(slot),
            Slot::Response(slot) => self.response(slot),
            Slot::Extra(index) => extra(self.extra.get(usize::from(index))),
        }
    }

    fn request(&self, slot: RequestSlot) -> Value<'a> {
        let request = &self.request;
        match slot {
            RequestSlot::Method => Value::Text(request.method),
            RequestSlot::Path => Value::Text(request.path),
            RequestSlot::UrlPath => {
                Value::Text(request.path.split('?').next().unwrap_or(request.path))
            }
            RequestSlot::Host => Value::Text(request.host),
            RequestSlot::Headers => Value::Map(request.headers),
            RequestSlot::QueryParams => Value::Map(request.query()),
            RequestSlot::Id => Value::Text(request.id),
            RequestSlot::Scheme => Value::Text(request.scheme),
            RequestSlot::Referer => request.headers.get("referer"),
            RequestSlot::Useragent => request.headers.get("user-agent"),
            RequestSlot::Reason => text(request.reason),
            RequestSlot::ApiKey => request.api_key(),
            RequestSlot::Size => count(request.size),
            RequestSlot::TotalSize => count(request.total_size),
            RequestSlot::Time => time(Some(request.time.unwrap_or_else(SystemTime::now))),
            RequestSlot::AuthPrincipal => text(request.auth.principal),
            RequestSlot::AuthAudiences => text(request.auth.audiences),
            RequestSlot::AuthPresenter => text(request.auth.presenter),
            RequestSlot::AuthClaims => Value::Map(request.auth.claims),
        }
    }

    fn response(&self, slot: ResponseSlot) -> Value<'a> {
        let response = &self.response;
        match slot {
            ResponseSlot::Headers => response.headers.map_or(Value::Absent, Value::Map),
            ResponseSlot::Size => count(response.size),
            ResponseSlot::TotalSize => count(response.total_size),
            ResponseSlot::Code => count(response.code.map(u64::from)),
            ResponseSlot::Time => time(response.time),
            ResponseSlot::Duration => span(response.duration),
            ResponseSlot::GrpcStatus => text(response.grpc_status),
            ResponseSlot::GrpcMessage => text(response.grpc_message),
        }
    }

    fn connection(&self, slot: ConnectionSlot) -> Value<'a> {
        let connection = &self.connection;
        match slot {
            ConnectionSlot::Id => text(connection.id),
            ConnectionSlot::Event => text(connection.event),
            ConnectionSlot::RequestedServerName => text(connection.requested_server_name),
            ConnectionSlot::ReceivedBytes => count(connection.received.map(|bytes| bytes.0)),
            ConnectionSlot::ReceivedBytesTotal => count(connection.received.map(|bytes| bytes.1)),
            ConnectionSlot::SentBytes => count(connection.sent.map(|bytes| bytes.0)),
            ConnectionSlot::SentBytesTotal => count(connection.sent.map(|bytes| bytes.1)),
            ConnectionSlot::Duration => span(connection.duration),
            ConnectionSlot::Mtls => Value::Bool(connection.mtls),
        }
    }

    fn context(&self, slot: ContextSlot) -> Value<'a> {
        let checked = &self.checked;
        match slot {
            ContextSlot::Protocol => Value::Text(self.context.protocol),
            ContextSlot::ReporterKind => Value::Text(self.context.reporter_kind),
            ContextSlot::ReporterUid => match self.context.reporter {
                Some(reporter) => composed("kubernetes://", reporter.map(Some), "."),
                None => Value::Absent,
            },
            ContextSlot::ProxyErrorCode => text(self.context.proxy_error_code),
            ContextSlot::Time => time(Some(self.context.time.unwrap_or_else(SystemTime::now))),
            ContextSlot::ApiService => text(self.api.service),
            ContextSlot::ApiVersion => text(self.api.version),
            ContextSlot::ApiOperation => text(self.api.operation),
            ContextSlot::ApiProtocol => text(self.api.protocol),
            ContextSlot::CheckErrorCode => checked.error_code.map_or(Value::Absent, Value::Int),
            ContextSlot::CheckErrorMessage => text(checked.error_message),
            ContextSlot::CheckCacheHit => checked.cache_hit.map_or(Value::Absent, Value::Bool),
            ContextSlot::QuotaCacheHit => {
                checked.quota_cache_hit.map_or(Value::Absent, Value::Bool)
            }
        }
    }
}

fn peer<'a>(peer: &Peer<'a>, slot: PeerSlot) -> Value<'a> {
    match slot {
        PeerSlot::Namespace | PeerSlot::WorkloadNamespace => text(peer.namespace),
        PeerSlot::Principal => text(peer.principal),
        PeerSlot::Name => text(peer.name),
        PeerSlot::WorkloadName => text(peer.workload),
        PeerSlot::Labels => Value::Map(peer.labels),
        PeerSlot::Ip => peer.ip.map_or(Value::Absent, Value::Ip),
        PeerSlot::Owner => owner(peer),
        PeerSlot::Uid => composed("kubernetes://", [peer.name, peer.namespace], "."),
        PeerSlot::WorkloadUid => {
            composed("istio://", [peer.namespace, peer.workload], "/workloads/")
        }
    }
}

/// What controls a pod, as Mixer wrote it.
fn owner<'a>(peer: &Peer<'a>) -> Value<'a> {
    let parts = (peer.owner, peer.controller, peer.namespace, peer.workload);
    let (None, Some(kind), Some(namespace), Some(name)) = parts else {
        return text(peer.owner);
    };
    let Some((version, kind)) = kind.rsplit_once('/') else {
        return Value::Absent;
    };
    let owner = format!("kubernetes://apis/{version}/namespaces/{namespace}/{kind}/{name}");
    Value::Owned(owner.into())
}

impl<'a> Request<'a> {
    fn query(&self) -> Texts<'a> {
        let query = self.path.split_once('?');
        query.map_or(Texts::Empty, |(_, query)| Texts::Query(query))
    }

    /// Stated, or where Mixer's clients looked for it.
    fn api_key(&self) -> Value<'a> {
        let query = self.query();
        let mut places = [
            (query, "key"),
            (query, "api_key"),
            (self.headers, "x-api-key"),
        ]
        .into_iter()
        .map(|(texts, name)| texts.get(name));
        match self.api_key {
            Some(key) => Value::Text(key),
            None => places
                .find(|found| !found.is_absent())
                .unwrap_or(Value::Absent),
        }
    }
}

fn called<'a>(called: &Destination<'a>, slot: CalledSlot) -> Value<'a> {
    let names = [called.service_namespace, called.service_name];
    match slot {
        CalledSlot::Port => count(called.port.map(u64::from)),
        CalledSlot::ContainerName => text(called.container_name),
        CalledSlot::ContainerImage => text(called.container_image),
        CalledSlot::ServiceName => text(called.service_name),
        CalledSlot::ServiceNamespace => text(called.service_namespace),
        CalledSlot::ServiceUid => composed("istio://", names, "/services/"),
        CalledSlot::ServiceHost => match (called.service_host, names) {
            (Some(host), _) => Value::Text(host),
            (None, [Some(namespace), Some(name)]) => {
                Value::Owned(format!("{name}.{namespace}.svc.cluster.local").into())
            }
            _ => Value::Absent,
        },
        CalledSlot::OriginIp => Value::Absent,
    }
}

fn extra<'a>(value: Option<&Extra<'a>>) -> Value<'a> {
    match value {
        None | Some(Extra::Absent) => Value::Absent,
        Some(Extra::Text(text)) => Value::Text(text),
        Some(Extra::Int(value)) => Value::Int(*value),
        Some(Extra::Double(value)) => Value::Double(*value),
        Some(Extra::Bool(value)) => Value::Bool(*value),
        Some(Extra::Ip(value)) => Value::Ip(*value),
        Some(Extra::Time(value)) => time(Some(*value)),
        Some(Extra::Span(value)) => span(Some(*value)),
        Some(Extra::Texts(texts)) => Value::Map(*texts),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use super::*;

    #[test]
    fn a_key_is_looked_for_where_mixers_clients_did() {
        let pairs = [("x-api-key".to_owned(), "header".to_owned())];
        let found = |path: &'static str, headers: Texts<'static>, stated| {
            let request = Request {
                path,
                headers,
                api_key: stated,
                ..Request::default()
            };
            request.api_key().text().map(str::to_owned).ok()
        };
        let (none, headers) = (Texts::Empty, Texts::Pairs(Box::leak(Box::new(pairs))));
        for (path, headers, stated, wanted) in [
            ("/", none, None, None),
            ("/", headers, None, Some("header")),
            ("/?api_key=a%20b", headers, None, Some("a b")),
            ("/?api_key=a&key=b", headers, None, Some("b")),
            ("/?key=b", headers, Some("stated"), Some("stated")),
        ] {
            assert_eq!(found(path, headers, stated).as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn an_owner_is_written_as_mixer_wrote_it() {
        let peer = Peer {
            namespace: Some("shop"),
            workload: Some("web"),
            controller: Some("apps/v1/deployments"),
            ..Peer::default()
        };
        let attributes = Attributes {
            source: peer,
            context: Context::default(),
            ..Attributes::default()
        };
        let owner = attributes.get(Slot::Source(PeerSlot::Owner));
        let wanted = "kubernetes://apis/apps/v1/namespaces/shop/deployments/web";
        assert_eq!(owner.text(), Ok(wanted));
        let stated = Peer {
            owner: Some("me"),
            ..peer
        };
        assert_eq!(super::owner(&stated).text(), Ok("me"));
        assert!(super::owner(&Peer::default()).is_absent());
    }
}
