//! Istio's virtual services, destination rules and gateways. Durations are texts for [`crate::duration::parse`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::views;

views! {
    /// `spec` of a VirtualService.
    pub struct VirtualServiceSpec {
        /// Hosts whose traffic it routes.
        hosts: Vec<String>,
        /// Gateways it is attached to; `mesh` is the inside. Empty means `mesh`.
        gateways: Vec<String>,
        /// HTTP routes, the first that matches wins.
        http: Vec<HttpRoute>,
        /// TLS routes, as JSON.
        tls: Vec<Value>,
        /// TCP routes, as JSON.
        tcp: Vec<Value>,
        /// Namespaces that see it.
        export_to: Vec<String>,
    }

    /// One HTTP route.
    pub struct HttpRoute {
        /// Name, for logs.
        name: String,
        /// Alternatives; none matches everything.
        r#match: Vec<HttpMatch>,
        /// Weighted destinations.
        route: Vec<HttpRouteDestination>,
        /// Answers with a redirect instead.
        redirect: Option<HttpRedirect>,
        /// Answers with a fixed response instead.
        direct_response: Option<DirectResponse>,
        /// Changes path and host.
        rewrite: Option<HttpRewrite>,
        /// Time for the whole call with its retries.
        timeout: Option<String>,
        /// Retries.
        retries: Option<HttpRetry>,
        /// Faults to inject.
        fault: Option<HttpFault>,
        /// Where copies go.
        mirror: Option<Destination>,
        /// How many are copied.
        mirror_percentage: Option<Percent>,
        /// Where copies go, several.
        mirrors: Vec<HttpMirror>,
        /// Cross-origin rules.
        cors_policy: Option<CorsPolicy>,
        /// Header operations.
        headers: Option<Headers>,
        /// Another VirtualService that decides.
        delegate: Option<Delegate>,
    }

    /// Another VirtualService.
    pub struct Delegate {
        /// Name.
        name: String,
        /// Namespace.
        namespace: String,
    }

    /// One copy's destination.
    pub struct HttpMirror {
        /// Where.
        destination: Destination,
        /// How many.
        percentage: Option<Percent>,
    }

    /// Conditions that all must hold.
    pub struct HttpMatch {
        /// Name, for logs.
        name: String,
        /// Path.
        uri: Option<StringMatch>,
        /// Scheme.
        scheme: Option<StringMatch>,
        /// Method.
        method: Option<StringMatch>,
        /// Authority.
        authority: Option<StringMatch>,
        /// Headers; an empty condition asks for presence.
        headers: BTreeMap<String, StringMatch>,
        /// Headers that must not match.
        without_headers: BTreeMap<String, StringMatch>,
        /// Query parameters.
        query_params: BTreeMap<String, StringMatch>,
        /// Port on which the call came in.
        port: Option<u32>,
        /// Labels of the caller.
        source_labels: BTreeMap<String, String>,
        /// Namespace of the caller.
        source_namespace: String,
        /// Gateways.
        gateways: Vec<String>,
        /// Whether the path's case is ignored.
        ignore_uri_case: bool,
    }

    /// A condition on a text; one is set, none asks for presence.
    pub struct StringMatch {
        /// The whole text.
        exact: Option<String>,
        /// Its beginning.
        prefix: Option<String>,
        /// RE2 over the whole text.
        regex: Option<String>,
    }

    /// A weighted destination.
    pub struct HttpRouteDestination {
        /// Where.
        destination: Destination,
        /// Share; they need not add up to 100. A single destination may leave it out.
        weight: Option<i32>,
        /// Header operations.
        headers: Option<Headers>,
    }

    /// A service, or a part of one.
    pub struct Destination {
        /// Service name.
        host: String,
        /// Subset of a DestinationRule.
        subset: String,
        /// Port.
        port: Option<PortSelector>,
    }

    /// A port by number.
    pub struct PortSelector {
        /// Number.
        number: u32,
    }

    /// A redirect.
    pub struct HttpRedirect {
        /// New path.
        uri: Option<String>,
        /// New authority.
        authority: Option<String>,
        /// New port.
        port: Option<u32>,
        /// `FROM_PROTOCOL_DEFAULT` or `FROM_REQUEST_PORT`.
        derive_port: Option<String>,
        /// New scheme.
        scheme: Option<String>,
        /// 301 if not said.
        redirect_code: Option<u32>,
    }

    /// A fixed response.
    pub struct DirectResponse {
        /// Status code.
        status: u32,
        /// Body.
        body: Option<DirectBody>,
    }

    /// Body of a fixed response; one is set.
    pub struct DirectBody {
        /// Text.
        string: Option<String>,
        /// Base64.
        bytes: Option<String>,
    }

    /// Changes path and host before the call goes on.
    pub struct HttpRewrite {
        /// Replaces the matched prefix, or the path.
        uri: Option<String>,
        /// Replaces the authority.
        authority: Option<String>,
        /// Replaces by expression.
        uri_regex_rewrite: Option<RegexRewrite>,
    }

    /// Replacement by expression.
    pub struct RegexRewrite {
        /// RE2.
        r#match: String,
        /// Replacement with `\1`.
        rewrite: String,
    }

    /// Retries.
    pub struct HttpRetry {
        /// How often.
        attempts: i32,
        /// Time for one attempt.
        per_try_timeout: Option<String>,
        /// `5xx,connect-failure,...`.
        retry_on: String,
        /// Whether other localities are tried.
        retry_remote_localities: Option<bool>,
        /// Whether endpoints that failed before may be tried again.
        retry_ignore_previous_hosts: Option<bool>,
        /// Pause between attempts.
        backoff: Option<String>,
    }

    /// Faults to inject.
    pub struct HttpFault {
        /// Wait first.
        delay: Option<FaultDelay>,
        /// Answer with an error.
        abort: Option<FaultAbort>,
    }

    /// A delay.
    pub struct FaultDelay {
        /// How long.
        fixed_delay: String,
        /// For how many.
        percentage: Option<Percent>,
    }

    /// An error.
    pub struct FaultAbort {
        /// HTTP status.
        http_status: Option<u32>,
        /// gRPC status.
        grpc_status: Option<String>,
        /// For how many.
        percentage: Option<Percent>,
    }

    /// A percentage from 0 to 100.
    pub struct Percent {
        /// The value.
        value: f64,
    }

    /// Cross-origin rules.
    pub struct CorsPolicy {
        /// Allowed origins.
        allow_origins: Vec<StringMatch>,
        /// Allowed methods.
        allow_methods: Vec<String>,
        /// Allowed request headers.
        allow_headers: Vec<String>,
        /// Headers that scripts may read.
        expose_headers: Vec<String>,
        /// How long a preflight answer holds.
        max_age: Option<String>,
        /// Whether credentials may be sent.
        allow_credentials: Option<bool>,
        /// `FORWARD` or `IGNORE`.
        unmatched_preflights: Option<String>,
    }

    /// Header operations on request and response.
    pub struct Headers {
        /// Request.
        request: Option<HeaderOperations>,
        /// Response.
        response: Option<HeaderOperations>,
    }

    /// Header operations.
    pub struct HeaderOperations {
        /// Overwrite.
        set: BTreeMap<String, String>,
        /// Append.
        add: BTreeMap<String, String>,
        /// Remove.
        remove: Vec<String>,
    }

    /// `spec` of a DestinationRule.
    pub struct DestinationRuleSpec {
        /// Service name.
        host: String,
        /// Policy for all of it.
        traffic_policy: Option<TrafficPolicy>,
        /// Named parts.
        subsets: Vec<Subset>,
        /// Namespaces that see it.
        export_to: Vec<String>,
        /// Callers it concerns.
        workload_selector: Option<WorkloadSelector>,
    }

    /// Workloads by labels.
    pub struct WorkloadSelector {
        /// Labels.
        match_labels: BTreeMap<String, String>,
    }

    /// A named part of a service.
    pub struct Subset {
        /// Name.
        name: String,
        /// Labels of its pods.
        labels: BTreeMap<String, String>,
        /// Policy for this part.
        traffic_policy: Option<TrafficPolicy>,
    }

    /// How calls to a service are made.
    pub struct TrafficPolicy {
        /// Which endpoint.
        load_balancer: Option<LoadBalancer>,
        /// How many at once.
        connection_pool: Option<ConnectionPool>,
        /// Which endpoints to leave out.
        outlier_detection: Option<OutlierDetection>,
        /// Encryption, as JSON.
        tls: Option<Value>,
        /// Other policies per port.
        port_level_settings: Vec<PortTrafficPolicy>,
    }

    /// Policy for one port.
    pub struct PortTrafficPolicy {
        /// The port.
        port: Option<PortSelector>,
        /// Which endpoint.
        load_balancer: Option<LoadBalancer>,
        /// How many at once.
        connection_pool: Option<ConnectionPool>,
        /// Which endpoints to leave out.
        outlier_detection: Option<OutlierDetection>,
        /// Encryption, as JSON.
        tls: Option<Value>,
    }

    /// Which endpoint gets a call.
    pub struct LoadBalancer {
        /// `ROUND_ROBIN`, `LEAST_REQUEST`, `RANDOM`, `PASSTHROUGH`, `UNSPECIFIED`, `LEAST_CONN`.
        simple: Option<String>,
        /// By hash, as JSON.
        consistent_hash: Option<Value>,
        /// By place, as JSON.
        locality_lb_setting: Option<Value>,
        /// Slow start.
        warmup_duration_secs: Option<String>,
    }

    /// How many connections and requests at once.
    pub struct ConnectionPool {
        /// TCP.
        tcp: Option<TcpPool>,
        /// HTTP.
        http: Option<HttpPool>,
    }

    /// TCP part of a [`ConnectionPool`].
    pub struct TcpPool {
        /// Connections at once.
        max_connections: Option<i32>,
        /// Time to connect.
        connect_timeout: Option<String>,
        /// Time without traffic.
        idle_timeout: Option<String>,
        /// Life of a connection.
        max_connection_duration: Option<String>,
    }

    /// HTTP part of a [`ConnectionPool`].
    pub struct HttpPool {
        /// Requests that may wait.
        http1_max_pending_requests: Option<i32>,
        /// Requests at once.
        http2_max_requests: Option<i32>,
        /// Requests per connection.
        max_requests_per_connection: Option<i32>,
        /// Retries at once.
        max_retries: Option<i32>,
        /// Time without requests.
        idle_timeout: Option<String>,
        /// Streams per connection.
        max_concurrent_streams: Option<i32>,
    }

    /// Which endpoints to leave out for a while.
    pub struct OutlierDetection {
        /// Server errors in a row.
        #[serde(rename = "consecutive5xxErrors")]
        consecutive_5xx_errors: Option<u32>,
        /// Gateway errors in a row.
        consecutive_gateway_errors: Option<u32>,
        /// Local failures in a row.
        consecutive_local_origin_failures: Option<u32>,
        /// Whether local failures count apart.
        split_external_local_origin_errors: Option<bool>,
        /// How often endpoints are looked at.
        interval: Option<String>,
        /// For how long, times the number of ejections.
        base_ejection_time: Option<String>,
        /// How many at most.
        max_ejection_percent: Option<i32>,
        /// Below this share of healthy ones nothing is left out.
        min_health_percent: Option<i32>,
    }

    /// `spec` of a Gateway.
    pub struct GatewaySpec {
        /// Listeners.
        servers: Vec<GatewayServer>,
        /// Which gateway workloads carry them.
        selector: BTreeMap<String, String>,
    }

    /// One listener.
    pub struct GatewayServer {
        /// Name.
        name: String,
        /// Port.
        port: GatewayPort,
        /// Address to bind.
        bind: String,
        /// Hosts, `*.example.com` or `namespace/host`.
        hosts: Vec<String>,
        /// Encryption.
        tls: Option<GatewayTls>,
        /// Deprecated in Istio, kept as text.
        default_endpoint: String,
    }

    /// Port of a listener.
    pub struct GatewayPort {
        /// Number.
        number: u32,
        /// `HTTP`, `HTTPS`, `HTTP2`, `GRPC`, `TCP`, `TLS`.
        protocol: String,
        /// Name.
        name: String,
        /// Port of the workload.
        target_port: Option<u32>,
    }

    /// Encryption of a listener.
    pub struct GatewayTls {
        /// Redirect plain HTTP.
        https_redirect: bool,
        /// `PASSTHROUGH`, `SIMPLE`, `MUTUAL`, ...
        mode: String,
        /// Secret with the certificate.
        credential_name: String,
        /// Secrets with certificates.
        credential_names: Vec<String>,
        /// File of the certificate.
        server_certificate: String,
        /// File of the key.
        private_key: String,
        /// File of the certificates that clients are checked against.
        ca_certificates: String,
        /// Least version.
        min_protocol_version: String,
        /// Greatest version.
        max_protocol_version: String,
    }
}
