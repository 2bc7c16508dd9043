//! Envoy's messages, as far as they are read or written here: fields by their tags in `envoy/service/{auth,ratelimit,accesslog}/v3`,
//! `envoy/data/accesslog/v3` and `envoy/config/core/v3` (<https://github.com/envoyproxy/data-plane-api>). Others are skipped, as protobuf has it.

use std::collections::HashMap;

use prost::{Enumeration, Message};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Duration {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

/// `google.protobuf.UInt32Value` and `UInt64Value`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(uint64, tag = "1")]
    pub(crate) value: u64,
}

/// `google.protobuf.BoolValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Truth {
    #[prost(bool, tag = "1")]
    pub(crate) value: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Address {
    #[prost(message, optional, tag = "1")]
    pub(crate) socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketAddress {
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    #[prost(uint32, tag = "3")]
    pub(crate) port_value: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<HeaderValue>,
    #[prost(message, optional, tag = "2")]
    pub(crate) append: Option<Truth>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    pub(crate) source: Option<Peer>,
    #[prost(message, optional, tag = "2")]
    pub(crate) destination: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub(crate) request: Option<CheckedRequest>,
    #[prost(map = "string, string", tag = "10")]
    pub(crate) context_extensions: HashMap<String, String>,
    #[prost(message, optional, tag = "12")]
    pub(crate) tls_session: Option<TlsSession>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Peer {
    #[prost(message, optional, tag = "1")]
    pub(crate) address: Option<Address>,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) labels: HashMap<String, String>,
    #[prost(string, tag = "4")]
    pub(crate) principal: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckedRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) time: Option<Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(crate) http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) headers: HashMap<String, String>,
    #[prost(string, tag = "4")]
    pub(crate) path: String,
    #[prost(string, tag = "5")]
    pub(crate) host: String,
    #[prost(string, tag = "6")]
    pub(crate) scheme: String,
    #[prost(int64, tag = "9")]
    pub(crate) size: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TlsSession {
    #[prost(string, tag = "1")]
    pub(crate) sni: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    pub(crate) denied_response: Option<DeniedHttpResponse>,
    #[prost(message, optional, tag = "3")]
    pub(crate) ok_response: Option<OkHttpResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) headers: Vec<HeaderValueOption>,
    #[prost(string, tag = "3")]
    pub(crate) body: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) headers: Vec<HeaderValueOption>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) headers_to_remove: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) response_headers_to_add: Vec<HeaderValueOption>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RateLimitRequest {
    #[prost(string, tag = "1")]
    pub(crate) domain: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) descriptors: Vec<RateLimitDescriptor>,
    #[prost(uint32, tag = "3")]
    pub(crate) hits_addend: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RateLimitDescriptor {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
    #[prost(message, optional, tag = "3")]
    pub(crate) hits_addend: Option<Number>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum Code {
    Unknown = 0,
    Ok = 1,
    OverLimit = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RateLimitResponse {
    #[prost(enumeration = "Code", tag = "1")]
    pub(crate) overall_code: i32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) statuses: Vec<DescriptorStatus>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) response_headers_to_add: Vec<HeaderValue>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) request_headers_to_add: Vec<HeaderValue>,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) raw_body: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DescriptorStatus {
    #[prost(enumeration = "Code", tag = "1")]
    pub(crate) code: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAccessLogsMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) identifier: Option<Identifier>,
    #[prost(message, optional, tag = "2")]
    pub(crate) http_logs: Option<HttpEntries>,
    #[prost(message, optional, tag = "3")]
    pub(crate) tcp_logs: Option<TcpEntries>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAccessLogsResponse {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Identifier {
    #[prost(string, tag = "2")]
    pub(crate) log_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpEntries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) log_entry: Vec<HttpEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TcpEntries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) log_entry: Vec<TcpEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpEntry {
    #[prost(message, optional, tag = "1")]
    pub(crate) common_properties: Option<Common>,
    #[prost(message, optional, tag = "3")]
    pub(crate) request: Option<RequestProperties>,
    #[prost(message, optional, tag = "4")]
    pub(crate) response: Option<ResponseProperties>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TcpEntry {
    #[prost(message, optional, tag = "1")]
    pub(crate) common_properties: Option<Common>,
    #[prost(message, optional, tag = "2")]
    pub(crate) connection_properties: Option<ConnectionProperties>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConnectionProperties {
    #[prost(uint64, tag = "1")]
    pub(crate) received_bytes: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) sent_bytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Common {
    #[prost(message, optional, tag = "2")]
    pub(crate) downstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "4")]
    pub(crate) tls_properties: Option<TlsProperties>,
    #[prost(message, optional, tag = "5")]
    pub(crate) start_time: Option<Timestamp>,
    #[prost(message, optional, tag = "12")]
    pub(crate) time_to_last_downstream_tx_byte: Option<Duration>,
    #[prost(message, optional, tag = "13")]
    pub(crate) upstream_remote_address: Option<Address>,
    #[prost(message, optional, tag = "16")]
    pub(crate) response_flags: Option<ResponseFlags>,
    #[prost(message, optional, tag = "23")]
    pub(crate) duration: Option<Duration>,
    #[prost(string, tag = "26")]
    pub(crate) stream_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TlsProperties {
    #[prost(string, tag = "3")]
    pub(crate) tls_sni_hostname: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) peer_certificate_properties: Option<CertificateProperties>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CertificateProperties {
    #[prost(message, repeated, tag = "1")]
    pub(crate) subject_alt_name: Vec<SubjectAltName>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SubjectAltName {
    #[prost(string, tag = "1")]
    pub(crate) uri: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestProperties {
    #[prost(int32, tag = "1")]
    pub(crate) request_method: i32,
    #[prost(string, tag = "2")]
    pub(crate) scheme: String,
    #[prost(string, tag = "3")]
    pub(crate) authority: String,
    #[prost(string, tag = "5")]
    pub(crate) path: String,
    #[prost(string, tag = "6")]
    pub(crate) user_agent: String,
    #[prost(string, tag = "7")]
    pub(crate) referer: String,
    #[prost(string, tag = "9")]
    pub(crate) request_id: String,
    #[prost(string, tag = "10")]
    pub(crate) original_path: String,
    #[prost(uint64, tag = "11")]
    pub(crate) request_headers_bytes: u64,
    #[prost(uint64, tag = "12")]
    pub(crate) request_body_bytes: u64,
    #[prost(map = "string, string", tag = "13")]
    pub(crate) request_headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseProperties {
    #[prost(message, optional, tag = "1")]
    pub(crate) response_code: Option<Number>,
    #[prost(uint64, tag = "2")]
    pub(crate) response_headers_bytes: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) response_body_bytes: u64,
    #[prost(map = "string, string", tag = "4")]
    pub(crate) response_headers: HashMap<String, String>,
    #[prost(map = "string, string", tag = "5")]
    pub(crate) response_trailers: HashMap<String, String>,
}

macro_rules! flags {
    ($($field:ident = $tag:literal $word:literal,)*) => {
        #[derive(Clone, PartialEq, Message)]
        pub(crate) struct ResponseFlags {
            $(#[prost(bool, tag = $tag)]
            pub(crate) $field: bool,)*
        }

        impl ResponseFlags {
            /// Envoy's short words of those that are set, in the order of its fields.
            pub(crate) fn words(&self) -> Vec<&'static str> {
                let all = [$((self.$field, $word)),*];
                all.into_iter().filter(|(set, _)| *set).map(|(_, word)| word).collect()
            }
        }
    };
}

flags! {
    failed_local_healthcheck = "1" "LH",
    no_healthy_upstream = "2" "UH",
    upstream_request_timeout = "3" "UT",
    local_reset = "4" "LR",
    upstream_remote_reset = "5" "UR",
    upstream_connection_failure = "6" "UF",
    upstream_connection_termination = "7" "UC",
    upstream_overflow = "8" "UO",
    no_route_found = "9" "NR",
    delay_injected = "10" "DI",
    fault_injected = "11" "FI",
    rate_limited = "12" "RL",
    rate_limit_service_error = "14" "RLSE",
    downstream_connection_termination = "15" "DC",
    upstream_retry_limit_exceeded = "16" "URX",
    stream_idle_timeout = "17" "SI",
    invalid_envoy_request_headers = "18" "IH",
    downstream_protocol_error = "19" "DPE",
    upstream_max_stream_duration_reached = "20" "UMSDR",
    response_from_cache_filter = "21" "RFCF",
    no_filter_config_found = "22" "NFCF",
    duration_timeout = "23" "DT",
    upstream_protocol_error = "24" "UPE",
    no_cluster_found = "25" "NC",
    overload_manager = "26" "OM",
    dns_resolution_failure = "27" "DF",
    downstream_remote_reset = "28" "DR",
}
