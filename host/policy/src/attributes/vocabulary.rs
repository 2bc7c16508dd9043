//! Names, types and meanings of attributes: Mixer's list, complete, and what manifests add.

use std::collections::BTreeMap;

use super::read::{
    CalledSlot as D, ConnectionSlot as N, ContextSlot as X, PeerSlot as P, RequestSlot as R,
    ResponseSlot as A, Slot,
};
use crate::expression::{Type, nearest};

/// One attribute of the vocabulary.
#[derive(Clone, Debug)]
pub struct AttributeInfo {
    /// Dotted name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// False: the attribute may be absent from a call.
    pub always: bool,
    /// What it says.
    pub meaning: String,
    pub(crate) slot: Slot,
}

/// Every attribute that expressions may name.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    by_name: BTreeMap<String, AttributeInfo>,
    extra: u16,
}

type Row = (&'static str, Slot, Type, bool, &'static str);

impl Default for Vocabulary {
    fn default() -> Self {
        let mut rows = peers();
        rows.extend(called());
        rows.extend(request());
        rows.extend(response());
        rows.extend(connection());
        rows.extend(context());
        let by_name = rows
            .into_iter()
            .map(|(name, slot, ty, always, meaning)| {
                let info = AttributeInfo {
                    name: name.to_owned(),
                    ty,
                    always,
                    meaning: meaning.to_owned(),
                    slot,
                };
                (info.name.clone(), info)
            })
            .collect();
        Self { by_name, extra: 0 }
    }
}

impl Vocabulary {
    /// The attribute of that name.
    pub fn get(&self, name: &str) -> Option<&AttributeInfo> {
        self.by_name.get(name)
    }

    /// All attributes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &AttributeInfo> {
        self.by_name.values()
    }

    /// Adds an attribute of a manifest; its value stands at the same place in `Attributes::extra`. False if the name is taken.
    pub fn extend(&mut self, name: &str, ty: Type, meaning: &str) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        let info = AttributeInfo {
            name: name.to_owned(),
            ty,
            always: false,
            meaning: meaning.to_owned(),
            slot: Slot::Extra(self.extra),
        };
        self.extra += 1;
        self.by_name.insert(name.to_owned(), info);
        true
    }

    /// What to say about a name that is not there.
    pub(crate) fn hint(&self, name: &str) -> String {
        let prefix = format!("{name}.");
        let below: Vec<&str> = self
            .by_name
            .keys()
            .filter(|known| known.starts_with(&prefix))
            .map(String::as_str)
            .collect();
        if !below.is_empty() {
            return format!("; it has {}", below.join(", "));
        }
        nearest(name, self.by_name.keys().map(String::as_str)).map_or_else(
            || "; attributes are request.*, source.*, destination.*, connection.*, context.*, response.*, api.*, origin.ip".to_owned(),
            |known| format!("; did you mean `{known}`?"),
        )
    }
}

const S: fn(P) -> Slot = Slot::Source;
const T: fn(P) -> Slot = Slot::Destination;

fn peers() -> Vec<Row> {
    let mut rows = vec![
        ("source.uid", S(P::Uid), Type::Text, false, "kubernetes://POD.NAMESPACE of the caller"),
        ("source.name", S(P::Name), Type::Text, false, "pod name of the caller"),
        ("source.namespace", S(P::Namespace), Type::Text, false, "namespace of the caller"),
        ("source.principal", S(P::Principal), Type::Text, false, "verified identity of the caller"),
        ("source.owner", S(P::Owner), Type::Text, false, "controller of the caller's pod"),
        ("source.workload.uid", S(P::WorkloadUid), Type::Text, false, "istio://NAMESPACE/workloads/NAME of the caller"),
        ("source.workload.name", S(P::WorkloadName), Type::Text, false, "workload of the caller"),
        ("source.workload.namespace", S(P::WorkloadNamespace), Type::Text, false, "namespace of the caller's workload"),
        ("source.ip", S(P::Ip), Type::Ip, false, "address of the caller"),
        ("source.labels", S(P::Labels), Type::texts(), true, "labels of the caller's pod"),
    ];
    rows.extend([
        ("destination.uid", T(P::Uid), Type::Text, false, "kubernetes://POD.NAMESPACE of the called pod"),
        ("destination.name", T(P::Name), Type::Text, false, "name of the called pod"),
        ("destination.namespace", T(P::Namespace), Type::Text, false, "namespace of the called pod"),
        ("destination.principal", T(P::Principal), Type::Text, false, "identity of the called pod"),
        ("destination.owner", T(P::Owner), Type::Text, false, "controller of the called pod"),
        ("destination.workload.uid", T(P::WorkloadUid), Type::Text, false, "istio://NAMESPACE/workloads/NAME of the called pod"),
        ("destination.workload.name", T(P::WorkloadName), Type::Text, false, "workload of the called pod"),
        ("destination.workload.namespace", T(P::WorkloadNamespace), Type::Text, false, "namespace of the called workload"),
        ("destination.ip", T(P::Ip), Type::Ip, false, "address of the called pod"),
        ("destination.labels", T(P::Labels), Type::texts(), true, "labels of the called pod"),
    ]);
    rows
}

fn called() -> Vec<Row> {
    let slot = Slot::Called;
    vec![
        ("destination.port", slot(D::Port), Type::Int, false, "called port"),
        ("destination.container.name", slot(D::ContainerName), Type::Text, false, "called container"),
        ("destination.container.image", slot(D::ContainerImage), Type::Text, false, "image of the called container"),
        ("destination.service.host", slot(D::ServiceHost), Type::Text, false, "host of the called service"),
        ("destination.service.uid", slot(D::ServiceUid), Type::Text, false, "istio://NAMESPACE/services/NAME"),
        ("destination.service.name", slot(D::ServiceName), Type::Text, false, "name of the called service"),
        ("destination.service.namespace", slot(D::ServiceNamespace), Type::Text, false, "namespace of the called service"),
        ("origin.ip", slot(D::OriginIp), Type::Ip, false, "address of the original client"),
    ]
}

fn request() -> Vec<Row> {
    let slot = Slot::Request;
    vec![
        ("request.id", slot(R::Id), Type::Text, true, "id of the request"),
        ("request.path", slot(R::Path), Type::Text, true, "path with query"),
        ("request.url_path", slot(R::UrlPath), Type::Text, true, "path without query"),
        ("request.host", slot(R::Host), Type::Text, true, "host of the request"),
        ("request.method", slot(R::Method), Type::Text, true, "method"),
        ("request.scheme", slot(R::Scheme), Type::Text, true, "http or https"),
        ("request.headers", slot(R::Headers), Type::texts(), true, "headers, keys in lower case"),
        ("request.query_params", slot(R::QueryParams), Type::texts(), true, "decoded query parameters"),
        ("request.time", slot(R::Time), Type::Time, true, "when the request was received"),
        ("request.referer", slot(R::Referer), Type::Text, false, "header referer"),
        ("request.useragent", slot(R::Useragent), Type::Text, false, "header user-agent"),
        ("request.reason", slot(R::Reason), Type::Text, false, "why, for auditing"),
        ("request.api_key", slot(R::ApiKey), Type::Text, false, "API key"),
        ("request.size", slot(R::Size), Type::Int, false, "bytes of the body"),
        ("request.total_size", slot(R::TotalSize), Type::Int, false, "bytes of head, body and trailers"),
        ("request.auth.principal", slot(R::AuthPrincipal), Type::Text, false, "authenticated ISSUER/SUBJECT"),
        ("request.auth.audiences", slot(R::AuthAudiences), Type::Text, false, "intended audiences"),
        ("request.auth.presenter", slot(R::AuthPresenter), Type::Text, false, "authorized presenter"),
        ("request.auth.claims", slot(R::AuthClaims), Type::texts(), true, "claims of the token"),
    ]
}

fn response() -> Vec<Row> {
    let slot = Slot::Response;
    vec![
        ("response.headers", slot(A::Headers), Type::texts(), false, "headers of the response"),
        ("response.size", slot(A::Size), Type::Int, false, "bytes of the body"),
        ("response.total_size", slot(A::TotalSize), Type::Int, false, "bytes of head, body and trailers"),
        ("response.code", slot(A::Code), Type::Int, false, "status"),
        ("response.time", slot(A::Time), Type::Time, false, "when the response was sent"),
        ("response.duration", slot(A::Duration), Type::Span, false, "from request to response"),
        ("response.grpc_status", slot(A::GrpcStatus), Type::Text, false, "gRPC status"),
        ("response.grpc_message", slot(A::GrpcMessage), Type::Text, false, "gRPC message"),
    ]
}

fn connection() -> Vec<Row> {
    let slot = Slot::Connection;
    vec![
        ("connection.id", slot(N::Id), Type::Text, false, "id of the connection"),
        ("connection.event", slot(N::Event), Type::Text, false, "open, continue or close"),
        ("connection.requested_server_name", slot(N::RequestedServerName), Type::Text, false, "TLS server name"),
        ("connection.received.bytes", slot(N::ReceivedBytes), Type::Int, false, "bytes received since the last event"),
        ("connection.received.bytes_total", slot(N::ReceivedBytesTotal), Type::Int, false, "bytes received"),
        ("connection.sent.bytes", slot(N::SentBytes), Type::Int, false, "bytes sent since the last event"),
        ("connection.sent.bytes_total", slot(N::SentBytesTotal), Type::Int, false, "bytes sent"),
        ("connection.duration", slot(N::Duration), Type::Span, false, "age of the connection"),
        ("connection.mtls", slot(N::Mtls), Type::Bool, true, "both ends proved who they are"),
    ]
}

fn context() -> Vec<Row> {
    let slot = Slot::Context;
    vec![
        ("context.protocol", slot(X::Protocol), Type::Text, true, "http, grpc or tcp"),
        ("context.reporter.kind", slot(X::ReporterKind), Type::Text, true, "inbound or outbound"),
        ("context.reporter.uid", slot(X::ReporterUid), Type::Text, false, "uid of the observer"),
        ("context.proxy_error_code", slot(X::ProxyErrorCode), Type::Text, false, "response flags"),
        ("context.time", slot(X::Time), Type::Time, true, "time of the check"),
        ("api.service", slot(X::ApiService), Type::Text, false, "public name of the API"),
        ("api.version", slot(X::ApiVersion), Type::Text, false, "version of the API"),
        ("api.operation", slot(X::ApiOperation), Type::Text, false, "operation of the API"),
        ("api.protocol", slot(X::ApiProtocol), Type::Text, false, "protocol of the API"),
        ("check.error_code", slot(X::CheckErrorCode), Type::Int, false, "error code of the check"),
        ("check.error_message", slot(X::CheckErrorMessage), Type::Text, false, "error message of the check"),
        ("check.cache_hit", slot(X::CheckCacheHit), Type::Bool, false, "the check came from the cache"),
        ("quota.cache_hit", slot(X::QuotaCacheHit), Type::Bool, false, "the quota came from the cache"),
    ]
}
