//! The internal route model: what to do with a request once its rule is known. Front ends compile to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderName, StatusCode};
use regex::Regex;

use crate::cors::CorsPolicy;
use crate::headers::HeaderEdits;
use crate::session::Session;

/// What happens to the requests of one rule.
#[derive(Clone, Debug)]
pub struct Route {
    /// For logs: `namespace/object/rule`, or the rule's own name behind the object's.
    pub name: Arc<str>,
    /// Where the request goes.
    pub action: Action,
    /// Header changes.
    pub headers: HeaderEdits,
    /// Changes of path and authority before forwarding.
    pub rewrite: Rewrite,
    /// Time until the last byte of the response; `None` is unlimited.
    pub timeout: Option<Duration>,
    /// How often to try again, and when.
    pub retries: Retries,
    /// Faults to inject.
    pub fault: Fault,
    /// Which pages of other origins may call.
    pub cors: Option<Box<CorsPolicy>>,
    /// Copies to send along, whose answers nobody sees.
    pub mirrors: Vec<Mirror>,
    /// How callers are kept with the endpoint that answered them, if they are.
    pub session: Option<Arc<Session>>,
}

impl Route {
    /// The plain route to one destination.
    pub fn to(name: Arc<str>, destination: Destination) -> Self {
        let headers = HeaderEdits::default();
        let only = Weighted {
            destination,
            weight: 1,
            headers,
            own: None,
        };
        let action = Action::Forward(Forward {
            destinations: vec![only],
            total: 1,
        });
        Self::doing(name, action)
    }

    /// The route of a request that another node has routed: it is delivered, and that node keeps its time.
    pub fn inbound() -> Self {
        let nowhere = Action::Forward(Forward {
            destinations: Vec::new(),
            total: 0,
        });
        let mut route = Self::doing("inbound".into(), nowhere);
        route.retries.attempts = 0;
        route
    }

    /// The route that does this and nothing more.
    pub fn doing(name: Arc<str>, action: Action) -> Self {
        Self {
            name,
            action,
            headers: HeaderEdits::default(),
            rewrite: Rewrite::default(),
            timeout: None,
            retries: Retries::default(),
            fault: Fault::default(),
            cors: None,
            mirrors: Vec::new(),
            session: None,
        }
    }

    /// The same for callers who are kept with their endpoint.
    #[must_use]
    pub fn keeping(&self, session: &Arc<Session>) -> Self {
        let mut route = self.clone();
        route.session = Some(Arc::clone(session));
        if let Action::Forward(forward) = &mut route.action {
            for one in &mut forward.destinations {
                one.own = one.own.take().map(|own| Arc::new(own.keeping(session)));
            }
        }
        route
    }
}

/// A copy of a share of the requests.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where the copy goes: a forwarding route without retries.
    pub route: Arc<Route>,
    /// Which share.
    pub share: Percentage,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Action {
    /// To one of several weighted destinations.
    Forward(Forward),
    /// Back to the client, with another address.
    Redirect(Redirect),
    /// Back to the client, with this answer.
    Direct(DirectResponse),
}

/// Weighted destinations. Never empty; the total is never zero.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The destinations.
    pub destinations: Vec<Weighted>,
    /// Sum of their weights.
    pub total: u32,
}

impl Forward {
    /// The destination for a number below `total`.
    pub fn choose(&self, mut point: u32) -> Option<&Weighted> {
        for destination in &self.destinations {
            match point.checked_sub(destination.weight) {
                Some(rest) => point = rest,
                None => return Some(destination),
            }
        }
        self.destinations.last()
    }
}

/// A destination and its share.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// Where to.
    pub destination: Destination,
    /// Its share of the total.
    pub weight: u32,
    /// Header changes for this destination only.
    pub headers: HeaderEdits,
    /// What is done instead with the requests that fall to it, where that is more than changes of headers. Either all destinations of a
    /// rule have a route of their own, which leads to them alone, or none has.
    pub own: Option<Arc<Route>>,
}

/// A service, perhaps one subset or port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The service.
    pub service: ServiceName,
    /// Only endpoints of this subset.
    pub subset: Option<Arc<str>>,
    /// The service's port; without it the service's only one, or the one that the caller used.
    pub port: Option<u16>,
}

impl Destination {
    /// What cannot be called, for this reason.
    pub fn nowhere(reason: &str) -> Self {
        Self {
            service: ServiceName::Nothing(reason.into()),
            subset: None,
            port: None,
        }
    }
}

/// What a host name in a manifest stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServiceName {
    /// A service of the mesh, which may or may not exist.
    Mesh {
        /// Its namespace.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// Anything else.
    Other(Arc<str>),
    /// Nothing: what the object names cannot be called, for this reason. Its share of requests is answered with 500.
    Nothing(Arc<str>),
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Changes the path.
    pub path: Option<PathRewrite>,
    /// Replaces the host.
    pub authority: Option<Box<str>>,
    /// Replaces the port.
    pub port: Option<u16>,
    /// Which port it is if none is named.
    pub derive_port: DerivePort,
    /// Replaces the scheme.
    pub scheme: Option<Scheme>,
}

/// The port of a redirect that names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DerivePort {
    /// The one that the request's authority wrote, unless the scheme changes.
    #[default]
    Kept,
    /// The usual one of the scheme.
    FromProtocol,
    /// The one that the request came to.
    FromRequest,
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Changes of the request's target before forwarding.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// Change of the path.
    pub path: Option<PathRewrite>,
    /// Replaces the authority.
    pub authority: Option<Authority>,
}

/// How a path changes.
#[derive(Clone, Debug)]
pub enum PathRewrite {
    /// Replaces the prefix that the rule matched, or the whole path if it matched otherwise.
    Matched(Box<str>),
    /// Replaces the whole path.
    Whole(Box<str>),
    /// Replaces whatever the expression finds, each time that it finds it.
    Regex(Regex, Box<str>),
}

/// Repetition of failed tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Tries after the first one.
    pub attempts: u32,
    /// Time until a try's response head.
    pub per_try_timeout: Option<Duration>,
    /// What is worth another try.
    pub on: RetryOn,
    /// The interval that waits before a repetition grow from.
    pub back_off: Duration,
    /// Whether a repetition may go to the endpoint that failed, although there are others.
    pub same_endpoint: bool,
    /// Whether a repetition prefers endpoints of another locality.
    pub elsewhere: bool,
}

impl Retries {
    /// Envoy's interval, from which waits grow tenfold at most.
    pub const BACK_OFF: Duration = Duration::from_millis(25);

    /// One try and no more.
    pub fn never() -> Self {
        Self {
            attempts: 0,
            on: RetryOn::default(),
            ..Self::default()
        }
    }
}

impl Default for Retries {
    /// Two more tries where the request certainly was not started: safe for every method.
    fn default() -> Self {
        let on = RetryOn {
            connect_failure: true,
            refused: true,
            ..RetryOn::default()
        };
        Self {
            attempts: 2,
            per_try_timeout: None,
            on,
            back_off: Self::BACK_OFF,
            same_endpoint: false,
            elsewhere: false,
        }
    }
}

/// Failures that are worth another try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// Any 5xx, and every failure to get a response at all.
    pub server_error: bool,
    /// 502, 503, 504.
    pub gateway_error: bool,
    /// The endpoint could not be reached.
    pub connect_failure: bool,
    /// The endpoint refused the request before starting on it.
    pub refused: bool,
    /// The endpoint failed without a response, or a try ran into its timeout.
    pub reset: bool,
    /// 409.
    pub conflict: bool,
    /// These status codes.
    pub status: Vec<u16>,
    /// These gRPC status codes, when they come with the response head.
    pub grpc: Vec<u8>,
    /// Responses that carry one of these headers.
    pub headers: Vec<HeaderName>,
}

impl RetryOn {
    /// Whether only tries that were never started are repeated.
    pub fn only_unstarted(&self) -> bool {
        let unstarted = Self {
            connect_failure: self.connect_failure,
            refused: self.refused,
            ..Self::default()
        };
        *self == unstarted
    }
}

/// A share of requests, in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentage(pub u32);

impl Percentage {
    /// The whole, and the bound of the random number that [`Percentage::hits`] takes.
    pub const WHOLE: u32 = 1_000_000;

    /// Whether a random number below [`Percentage::WHOLE`] falls into the share.
    pub fn hits(self, point: u32) -> bool {
        point < self.0
    }
}

/// Faults for testing callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Wait before anything else.
    pub delay: Option<Delay>,
    /// Answer instead of forwarding.
    pub abort: Option<Abort>,
}

/// A wait for a share of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// How long.
    pub time: Duration,
    /// Which share.
    pub share: Percentage,
}

/// A refusal of a share of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The answer's status; 200 with a gRPC status.
    pub status: StatusCode,
    /// The gRPC status, if that was asked for.
    pub grpc: Option<u8>,
    /// Which share.
    pub share: Percentage,
}
