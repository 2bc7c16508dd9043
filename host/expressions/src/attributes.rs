//! What is known about a call: Mixer's standard vocabulary as a borrowed view. Building one copies references and allocates nothing;
//! composed attributes (`source.uid`) are formatted only when an expression reads them.

mod generated;
mod manifest;
mod read;
mod standard;
mod vocabulary;

use std::net::IpAddr;
use std::time::SystemTime;

use crate::value::Texts;
pub use generated::Generated;
pub use manifest::Places;
pub(crate) use read::Slot;
pub use vocabulary::{AttributeInfo, Vocabulary};

/// One end of a call. Unknown facts are `None`; an empty peer is a caller from outside the mesh.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Pod name.
    pub name: Option<&'a str>,
    /// Namespace.
    pub namespace: Option<&'a str>,
    /// The verified identity (`cluster.local/ns/NS/sa/SA`), or none.
    pub principal: Option<&'a str>,
    /// What controls the pod, as `kubernetes://apis/apps/v1/namespaces/NAMESPACE/deployments/NAME`; none: made of the kind and the workload.
    pub owner: Option<&'a str>,
    /// The kind of what controls the pod, as the API's paths name it: `apps/v1/deployments`.
    pub controller: Option<&'a str>,
    /// Name of the workload (application) that the pod belongs to.
    pub workload: Option<&'a str>,
    /// Pod address.
    pub ip: Option<IpAddr>,
    /// Pod labels.
    pub labels: Texts<'a>,
}

/// The called end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Destination<'a> {
    /// The pod, when it is known.
    pub peer: Peer<'a>,
    /// Port.
    pub port: Option<u16>,
    /// Container name.
    pub container_name: Option<&'a str>,
    /// Container image.
    pub container_image: Option<&'a str>,
    /// Service name.
    pub service_name: Option<&'a str>,
    /// Service namespace.
    pub service_namespace: Option<&'a str>,
    /// Service host; none: `NAME.NAMESPACE.svc.cluster.local`.
    pub service_host: Option<&'a str>,
}

/// What a token or certificate says about the person or program behind a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Authentication<'a> {
    /// `issuer/subject`.
    pub principal: Option<&'a str>,
    /// Intended audiences.
    pub audiences: Option<&'a str>,
    /// Authorized presenter.
    pub presenter: Option<&'a str>,
    /// All claims.
    pub claims: Texts<'a>,
}

/// The request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Request id.
    pub id: &'a str,
    /// Path with query.
    pub path: &'a str,
    /// Host of the request.
    pub host: &'a str,
    /// Method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Headers.
    pub headers: Texts<'a>,
    /// Body size so far known.
    pub size: Option<u64>,
    /// Body, headers and trailers.
    pub total_size: Option<u64>,
    /// When it was received.
    pub time: Option<SystemTime>,
    /// Why it is made, for auditing.
    pub reason: Option<&'a str>,
    /// API key; none: as Mixer's clients found it, in the query's `key` or `api_key` or the header `x-api-key`.
    pub api_key: Option<&'a str>,
    /// Verified authentication.
    pub auth: Authentication<'a>,
}

/// The response; all absent while a check runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Response<'a> {
    /// Headers.
    pub headers: Option<Texts<'a>>,
    /// Body size.
    pub size: Option<u64>,
    /// Body, headers and trailers.
    pub total_size: Option<u64>,
    /// Status.
    pub code: Option<u16>,
    /// When it was sent.
    pub time: Option<SystemTime>,
    /// From request to the end of the response.
    pub duration: Option<std::time::Duration>,
    /// gRPC status.
    pub grpc_status: Option<&'a str>,
    /// gRPC message.
    pub grpc_message: Option<&'a str>,
}

/// The connection under the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection<'a> {
    /// Id.
    pub id: Option<&'a str>,
    /// `open`, `continue` or `close`.
    pub event: Option<&'a str>,
    /// Server name of the TLS handshake.
    pub requested_server_name: Option<&'a str>,
    /// Bytes received since the last event, and in all.
    pub received: Option<(u64, u64)>,
    /// Bytes sent since the last event, and in all.
    pub sent: Option<(u64, u64)>,
    /// Age.
    pub duration: Option<std::time::Duration>,
    /// Both ends proved who they are.
    pub mtls: bool,
}

impl Connection<'_> {
    /// True while a raw connection stands: it will be told of again.
    pub fn lives(&self) -> bool {
        self.event.is_some_and(|event| event != "close")
    }
}

/// Where and by whom the call is seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// `http`, `grpc` or `tcp`.
    pub protocol: &'a str,
    /// Version of HTTP that the caller spoke, `HTTP/1.1`.
    pub http_version: Option<&'a str>,
    /// `inbound` or `outbound`.
    pub reporter_kind: &'a str,
    /// Name and namespace of the pod at whose side the call is seen.
    pub reporter: Option<[&'a str; 2]>,
    /// Envoy's response flags.
    pub proxy_error_code: Option<&'a str>,
    /// Time of the check.
    pub time: Option<SystemTime>,
}

/// The API that the call belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Api<'a> {
    /// Public name.
    pub service: Option<&'a str>,
    /// Version.
    pub version: Option<&'a str>,
    /// Operation.
    pub operation: Option<&'a str>,
    /// Protocol.
    pub protocol: Option<&'a str>,
}

/// How the check itself went; for reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked<'a> {
    /// Error code.
    pub error_code: Option<i64>,
    /// Error message.
    pub error_message: Option<&'a str>,
    /// The check was answered from the cache.
    pub cache_hit: Option<bool>,
    /// The quota was answered from the cache.
    pub quota_cache_hit: Option<bool>,
}

/// A value of an attribute outside the standard vocabulary.
#[derive(Clone, Copy, Debug, Default)]
pub enum Extra<'a> {
    /// Not known for this call.
    #[default]
    Absent,
    /// Text.
    Text(&'a str),
    /// Whole number.
    Int(i64),
    /// Real number.
    Double(f64),
    /// Truth value.
    Bool(bool),
    /// Address.
    Ip(IpAddr),
    /// Moment.
    Time(SystemTime),
    /// Length of time.
    Span(std::time::Duration),
    /// Map of texts.
    Texts(Texts<'a>),
}

/// Everything that is known about one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// The caller.
    pub source: Peer<'a>,
    /// The called.
    pub destination: Destination<'a>,
    /// Address of the original client.
    pub origin_ip: Option<IpAddr>,
    /// The request.
    pub request: Request<'a>,
    /// The response.
    pub response: Response<'a>,
    /// The connection.
    pub connection: Connection<'a>,
    /// The observer.
    pub context: Context<'a>,
    /// The API.
    pub api: Api<'a>,
    /// The check.
    pub checked: Checked<'a>,
    /// Attributes outside the standard vocabulary, each at its [`AttributeInfo::place`].
    pub extra: &'a [Extra<'a>],
}
