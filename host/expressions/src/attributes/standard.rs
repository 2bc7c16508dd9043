//! Mixer's standard vocabulary, complete: name, place, type, whether it is there in every call, meaning.

use super::AttributeInfo;
use super::read::{
    CalledSlot, ConnectionSlot, ContextSlot, PeerSlot, RequestSlot, ResponseSlot, Slot,
};
use crate::value::Type;

macro_rules! ty {
    (Texts) => {
        Type::texts()
    };
    ($ty:ident) => {
        Type::$ty
    };
}

macro_rules! table {
    ($($name:literal: $side:ident($slot:path) $ty:ident $presence:ident, $meaning:literal;)*) => {
        /// Every attribute of the standard vocabulary.
        pub(super) fn standard() -> Vec<AttributeInfo> {
            vec![$(AttributeInfo {
                name: $name.to_owned(),
                ty: ty!($ty),
                always: stringify!($presence) == "always",
                meaning: $meaning.to_owned(),
                slot: Slot::$side($slot),
            }),*]
        }
    };
}

table! {
    "source.uid": Source(PeerSlot::Uid) Text maybe, "kubernetes://POD.NAMESPACE of the caller";
    "source.name": Source(PeerSlot::Name) Text maybe, "pod name of the caller";
    "source.namespace": Source(PeerSlot::Namespace) Text maybe, "namespace of the caller";
    "source.principal": Source(PeerSlot::Principal) Text maybe, "verified identity of the caller";
    "source.owner": Source(PeerSlot::Owner) Text maybe, "kubernetes://apis/VERSION/namespaces/NAMESPACE/KIND/NAME of what controls the caller's pod";
    "source.workload.uid": Source(PeerSlot::WorkloadUid) Text maybe, "istio://NAMESPACE/workloads/NAME of the caller";
    "source.workload.name": Source(PeerSlot::WorkloadName) Text maybe, "workload of the caller";
    "source.workload.namespace": Source(PeerSlot::WorkloadNamespace) Text maybe, "namespace of the caller's workload";
    "source.ip": Source(PeerSlot::Ip) Ip maybe, "address of the caller";
    "source.labels": Source(PeerSlot::Labels) Texts always, "labels of the caller's pod";
    "destination.uid": Destination(PeerSlot::Uid) Text maybe, "kubernetes://POD.NAMESPACE of the called pod";
    "destination.name": Destination(PeerSlot::Name) Text maybe, "name of the called pod";
    "destination.namespace": Destination(PeerSlot::Namespace) Text maybe, "namespace of the called pod";
    "destination.principal": Destination(PeerSlot::Principal) Text maybe, "identity of the called pod";
    "destination.owner": Destination(PeerSlot::Owner) Text maybe, "the same of the called pod";
    "destination.workload.uid": Destination(PeerSlot::WorkloadUid) Text maybe, "istio://NAMESPACE/workloads/NAME of the called pod";
    "destination.workload.name": Destination(PeerSlot::WorkloadName) Text maybe, "workload of the called pod";
    "destination.workload.namespace": Destination(PeerSlot::WorkloadNamespace) Text maybe, "namespace of the called workload";
    "destination.ip": Destination(PeerSlot::Ip) Ip maybe, "address of the called pod";
    "destination.labels": Destination(PeerSlot::Labels) Texts always, "labels of the called pod";
    "destination.port": Called(CalledSlot::Port) Int maybe, "called port";
    "destination.container.name": Called(CalledSlot::ContainerName) Text maybe, "container that has the called port";
    "destination.container.image": Called(CalledSlot::ContainerImage) Text maybe, "image of that container";
    "destination.service.host": Called(CalledSlot::ServiceHost) Text maybe, "host of the called service";
    "destination.service.uid": Called(CalledSlot::ServiceUid) Text maybe, "istio://NAMESPACE/services/NAME";
    "destination.service.name": Called(CalledSlot::ServiceName) Text maybe, "name of the called service";
    "destination.service.namespace": Called(CalledSlot::ServiceNamespace) Text maybe, "namespace of the called service";
    "origin.ip": Called(CalledSlot::OriginIp) Ip maybe, "address of the original client";
    "request.id": Request(RequestSlot::Id) Text always, "id of the request";
    "request.path": Request(RequestSlot::Path) Text always, "path with query";
    "request.url_path": Request(RequestSlot::UrlPath) Text always, "path without query";
    "request.host": Request(RequestSlot::Host) Text always, "host of the request";
    "request.method": Request(RequestSlot::Method) Text always, "method";
    "request.scheme": Request(RequestSlot::Scheme) Text always, "http or https";
    "request.headers": Request(RequestSlot::Headers) Texts always, "headers, keys in lower case";
    "request.query_params": Request(RequestSlot::QueryParams) Texts always, "decoded query parameters";
    "request.time": Request(RequestSlot::Time) Time always, "when the request was received";
    "request.referer": Request(RequestSlot::Referer) Text maybe, "header referer";
    "request.useragent": Request(RequestSlot::Useragent) Text maybe, "header user-agent";
    "request.reason": Request(RequestSlot::Reason) Text maybe, "why, for auditing; where it is stated";
    "request.api_key": Request(RequestSlot::ApiKey) Text maybe, "API key: parameter key or api_key, or header x-api-key";
    "request.size": Request(RequestSlot::Size) Int maybe, "bytes of the body";
    "request.total_size": Request(RequestSlot::TotalSize) Int maybe, "bytes of head, body and trailers";
    "request.auth.principal": Request(RequestSlot::AuthPrincipal) Text maybe, "authenticated ISSUER/SUBJECT";
    "request.auth.audiences": Request(RequestSlot::AuthAudiences) Text maybe, "intended audiences";
    "request.auth.presenter": Request(RequestSlot::AuthPresenter) Text maybe, "authorized presenter";
    "request.auth.claims": Request(RequestSlot::AuthClaims) Texts always, "claims of the token";
    "response.headers": Response(ResponseSlot::Headers) Texts maybe, "headers of the response";
    "response.size": Response(ResponseSlot::Size) Int maybe, "bytes of the body";
    "response.total_size": Response(ResponseSlot::TotalSize) Int maybe, "bytes of head, body and trailers";
    "response.code": Response(ResponseSlot::Code) Int maybe, "status";
    "response.time": Response(ResponseSlot::Time) Time maybe, "when the response was sent";
    "response.duration": Response(ResponseSlot::Duration) Span maybe, "from request to response";
    "response.grpc_status": Response(ResponseSlot::GrpcStatus) Text maybe, "gRPC status";
    "response.grpc_message": Response(ResponseSlot::GrpcMessage) Text maybe, "gRPC message";
    "connection.id": Connection(ConnectionSlot::Id) Text maybe, "id of the raw connection";
    "connection.event": Connection(ConnectionSlot::Event) Text maybe, "open, continue or close";
    "connection.requested_server_name": Connection(ConnectionSlot::RequestedServerName) Text maybe, "TLS server name";
    "connection.received.bytes": Connection(ConnectionSlot::ReceivedBytes) Int maybe, "bytes from the client since the last event";
    "connection.received.bytes_total": Connection(ConnectionSlot::ReceivedBytesTotal) Int maybe, "bytes from the client";
    "connection.sent.bytes": Connection(ConnectionSlot::SentBytes) Int maybe, "bytes to the client since the last event";
    "connection.sent.bytes_total": Connection(ConnectionSlot::SentBytesTotal) Int maybe, "bytes to the client";
    "connection.duration": Connection(ConnectionSlot::Duration) Span maybe, "age of the raw connection";
    "connection.mtls": Connection(ConnectionSlot::Mtls) Bool always, "both ends proved who they are";
    "context.protocol": Context(ContextSlot::Protocol) Text always, "http, grpc or tcp";
    "context.reporter.kind": Context(ContextSlot::ReporterKind) Text always, "inbound or outbound";
    "context.reporter.uid": Context(ContextSlot::ReporterUid) Text maybe, "kubernetes://POD.NAMESPACE of the observer";
    "context.proxy_error_code": Context(ContextSlot::ProxyErrorCode) Text maybe, "response flags";
    "context.time": Context(ContextSlot::Time) Time always, "time of the check";
    "api.service": Context(ContextSlot::ApiService) Text maybe, "of gRPC, PACKAGE.SERVICE";
    "api.version": Context(ContextSlot::ApiVersion) Text maybe, "version of the API; where it is stated";
    "api.operation": Context(ContextSlot::ApiOperation) Text maybe, "of gRPC, the method";
    "api.protocol": Context(ContextSlot::ApiProtocol) Text maybe, "http, https or grpc";
    "check.error_code": Context(ContextSlot::CheckErrorCode) Int maybe, "error code of the check";
    "check.error_message": Context(ContextSlot::CheckErrorMessage) Text maybe, "error message of the check";
    "check.cache_hit": Context(ContextSlot::CheckCacheHit) Bool maybe, "the check came from the cache";
    "quota.cache_hit": Context(ContextSlot::QuotaCacheHit) Bool maybe, "the quota came from the cache";
}
