//! Where policy stands: owned here, implemented by the node. Asked once on the caller's side and once on the called one's.

mod authenticated;
mod carry;
mod connected;
mod filter;

pub use authenticated::Authenticated;
pub use carry::{Carried, Passage};
pub use connected::{Connected, Moment};
pub use filter::{BodyVerdict, Change, ChunkVerdict, Exchange, Filter, HeadVerdict, Reply};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use osier_snapshot::{Endpoint, HeaderOperation, ServiceRef, Weighted, Workload};

/// Decides about calls and takes their reports.
pub trait Gate: Send + Sync {
    /// May this call pass? Runs on the caller's thread; must be short.
    fn check(&self, call: &Call<'_>) -> Verdict;

    /// Who is behind a call by the tokens that it brings. Asked before its route is looked for, and where a pod is called before
    /// anything else.
    ///
    /// # Errors
    /// A token is there that is not believed.
    fn authenticate(&self, _call: &Call<'_>) -> Result<Option<Authenticated>, Box<Denial>> {
        Ok(None)
    }

    /// True if anybody chooses among the destinations of routes; otherwise [`Gate::route`] is not asked.
    fn chooses_routes(&self) -> bool {
        false
    }

    /// Which of a route's destinations gets this call; without a choice the weights say. The call's service is that of the first destination.
    ///
    /// # Errors
    /// There was no answer, and the call may not pass without.
    fn route(&self, _call: &Call<'_>, _among: &[Weighted]) -> Result<Chosen<Choice>, Box<Denial>> {
        Ok(Chosen::default())
    }

    /// Which of a service's endpoints gets this call; without a choice the service's balancer says.
    ///
    /// # Errors
    /// There was no answer, and the call may not pass without.
    fn balance(
        &self,
        _call: &Call<'_>,
        _among: &[Arc<Endpoint>],
    ) -> Result<Chosen<usize>, Box<Denial>> {
        Ok(Chosen::default())
    }

    /// The filters that stand around this call, in the order in which its request meets them. Asked before [`Gate::check`].
    ///
    /// # Errors
    /// Which filters concern the call could not be told.
    fn filters(&self, _call: &Call<'_>) -> Result<Chosen<Filters>, Box<Denial>> {
        Ok(Chosen::default())
    }

    /// What the node of the called pod is told of who was found to be behind a call.
    fn forwarded(&self, _before: &[Decision]) -> Option<HeaderValue> {
        None
    }

    /// What another node tells in this way, as if it had been decided here.
    fn believed(&self, _told: &HeaderValue) -> Option<Decision> {
        None
    }

    /// One call has ended, or a raw connection has come to a moment of its life. Runs where the last byte passed; must not block.
    fn report(&self, record: &Record<'_>);

    /// Whether reports are worth the heads of a call: a copy of the request's and the response's is kept until it ends.
    fn wants_heads(&self) -> bool {
        false
    }
}

/// Filters around a call, in the order in which its request meets them.
pub type Filters = Vec<Arc<dyn Filter>>;

/// What one policy decided about a call.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Which side asked.
    pub direction: Direction,
    /// The policy.
    pub policy: Arc<str>,
    /// The plugin; empty if none was reached.
    pub plugin: Arc<str>,
    /// The template that it answered.
    pub template: Arc<str>,
    /// Place of the action among the policy's actions with a template.
    pub place: usize,
    /// What came of it, in a word.
    pub outcome: &'static str,
    /// Why the call was refused or not answered; empty otherwise.
    pub reason: String,
    /// The answer was known from before.
    pub cached: bool,
    /// When the plugin was called.
    pub began: Option<std::time::Instant>,
    /// How long it took.
    pub took: Duration,
    /// What the gate wants to find again in [`Call::before`] and [`Record::decisions`]. The proxy does not look at it.
    pub memo: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

/// Copies of the heads of a call, for reports.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    /// Headers of the request, as the caller sent them.
    pub request: &'a HeaderMap,
    /// Headers of the response; none if there was no response.
    pub response: Option<&'a HeaderMap>,
    /// Trailers of the response, where they came.
    pub trailers: Option<&'a HeaderMap>,
}

/// What was chosen among several.
#[derive(Clone, Debug)]
pub struct Chosen<T> {
    /// The choice; none if nobody cares.
    pub choice: Option<T>,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
}

impl<T> Default for Chosen<T> {
    /// Nobody was asked.
    fn default() -> Self {
        Self {
            choice: None,
            decisions: Vec::new(),
        }
    }
}

/// A chosen destination of a route.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its place among them.
    pub place: usize,
    /// Changes to the response's headers.
    pub response_headers: Vec<HeaderOperation>,
}

/// Which side of a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// At the destination, before the pod sees the request.
    Inbound,
    /// At the source, before an endpoint is chosen.
    Outbound,
}

/// A call that wants to pass.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which side asks.
    pub direction: Direction,
    /// The calling pod; `None` behind a gateway.
    pub source: Option<&'a Workload>,
    /// The called pod; `None` on the source side, where it is not chosen yet.
    pub destination: Option<&'a Workload>,
    /// The called port: the endpoint's where there is one, else what the request says, if it does.
    pub port: Option<u16>,
    /// The called service; `None` if the request has no route.
    pub service: Option<&'a ServiceRef>,
    /// The gateway listener that the request came through.
    pub gateway: Option<&'a str>,
    /// The Gateways that asked for what it came through, as `NAMESPACE/NAME`.
    pub gateways: &'a [Arc<str>],
    /// The request's head: as the caller sent it on the source side, as the pod will see it on the other. Its URI is absolute.
    pub head: &'a Parts,
    /// The value of `x-request-id`, or the id of a raw connection.
    pub request_id: &'a str,
    /// The address of the client outside, behind a gateway.
    pub peer: Option<SocketAddr>,
    /// The client outside proved who it is with a certificate.
    pub proven: bool,
    /// The server name that the client outside asked for in its TLS handshake.
    pub server_name: Option<&'a str>,
    /// When the request arrived.
    pub received: SystemTime,
    /// What was decided about this request before, also on earlier tries.
    pub before: &'a [Decision],
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It may pass.
    Allow(Approval),
    /// It may not.
    Deny(Denial),
}

/// A call may pass, perhaps changed. The default changes nothing and allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    /// Changes to the request's headers.
    pub request_headers: Vec<HeaderOperation>,
    /// Changes to the response's headers.
    pub response_headers: Vec<HeaderOperation>,
    /// The policy that decided, if one did.
    pub policy: Option<Arc<str>>,
    /// The plugin that it asked.
    pub plugin: Option<Arc<str>>,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
}

/// A call may not pass.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The answer's status.
    pub status: StatusCode,
    /// Headers of the answer.
    pub headers: HeaderMap,
    /// Body of the answer; if empty, it says the status in words.
    pub body: Bytes,
    /// The policy that decided.
    pub policy: Arc<str>,
    /// The plugin that it asked.
    pub plugin: Arc<str>,
    /// Why, for logs; the caller is not told.
    pub reason: String,
    /// There was no answer, and the failure policy refused the call. The caller is told only how to find out more.
    pub failed: bool,
    /// What was decided, in order; the last one refused the call.
    pub decisions: Vec<Decision>,
}

/// Which sides of a call this node saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sides {
    /// The caller's: false for a call that came from another node.
    pub outbound: bool,
    /// The called pod's: false where it was not reached, or is on another node.
    pub inbound: bool,
}

/// A call that has ended, or a raw connection at a moment of its life, in the form of a CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The calling pod; `None` behind a gateway.
    pub source: Option<&'a Workload>,
    /// The called pod; `None` if the call did not come so far.
    pub destination: Option<&'a Workload>,
    /// The called service; `None` if the request had no route.
    pub service: Option<&'a ServiceRef>,
    /// The gateway listener that the request came through.
    pub gateway: Option<&'a str>,
    /// The Gateways that asked for what it came through, as `NAMESPACE/NAME`.
    pub gateways: &'a [Arc<str>],
    /// The request's method.
    pub method: &'a Method,
    /// The request's absolute URI, as the caller sent it.
    pub uri: &'a Uri,
    /// The caller's HTTP version.
    pub version: Version,
    /// The request's `user-agent`.
    pub user_agent: Option<&'a HeaderValue>,
    /// The value of `x-request-id`, or the id of a raw connection.
    pub request_id: &'a str,
    /// The address of the client outside, behind a gateway.
    pub peer: Option<SocketAddr>,
    /// The client outside proved who it is with a certificate.
    pub proven: bool,
    /// The server name of the client's TLS handshake.
    pub server_name: Option<&'a str>,
    /// When the request arrived.
    pub received: SystemTime,
    /// When the request arrived, on the clock that decisions use.
    pub began: std::time::Instant,
    /// From arrival to the last byte.
    pub duration: Duration,
    /// From arrival to the head of the response; none if there was no response.
    pub answered: Option<Duration>,
    /// The status that the caller got; 0 if it went away before there was one.
    pub status: u16,
    /// What went wrong in Envoy's letters, e.g. `UH`; `-` if nothing did.
    pub flags: &'static str,
    /// Why the proxy refused the request; empty if it did not.
    pub reason: &'a str,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// The route's name, empty if there was none.
    pub route: &'a str,
    /// The cluster's name, empty if there was none.
    pub cluster: &'a str,
    /// `allow`, `deny`, or `error` where a policy had no answer and its failure policy refused the call.
    pub verdict: &'static str,
    /// The policy that decided, empty if none did.
    pub policy: &'a str,
    /// The plugin that it asked, empty if none was.
    pub plugin: &'a str,
    /// The called endpoint's address; none if none was chosen.
    pub endpoint: Option<SocketAddr>,
    /// Which sides were seen here: each is reported by the node that saw it.
    pub sides: Sides,
    /// Everything that policies decided, in order.
    pub decisions: &'a [Decision],
    /// The heads, if the gate wanted them when the call began.
    pub heads: Option<Heads<'a>>,
    /// Of a raw connection: the moment. None: a request.
    pub connected: Option<Connected>,
}
