//! What is to happen with a request, read from the snapshot before anybody is asked.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;
use osier_process::clock;
use osier_snapshot::{
    Action, Caller, Cluster, Forward, HeaderEdits, Mirror, Miss, Missing, Origin, Percentage,
    Route, RouteMatch, ServiceRef, Snapshot, Token, Weighted,
};
use rand::Rng;

use crate::answer::Refusal;
use crate::flags::Flag;
use crate::mirror::Copy;

/// A request's way.
pub(crate) struct Plan {
    /// The rule that it matched.
    pub(crate) matched: Result<RouteMatch, Refusal>,
    /// Where a forwarding rule sends it.
    pub(crate) target: Option<Result<Target, Refusal>>,
    /// The service that it is for.
    pub(crate) service: Option<Arc<ServiceRef>>,
    /// Where copies go.
    pub(crate) copies: Vec<Copy>,
    /// Which endpoint the caller stays with.
    pub(crate) session: Option<Token>,
}

/// The chosen one of a rule's destinations.
pub(crate) struct Target {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) headers: HeaderEdits,
}

impl Plan {
    pub(crate) fn make(snapshot: &Snapshot, origin: &Origin<'_>, head: &Parts) -> Self {
        let Some(mut matched) = snapshot.route(origin, head) else {
            return Self {
                matched: Err(no_route(snapshot.miss(origin, head))),
                target: None,
                service: None,
                copies: Vec::new(),
                session: None,
            };
        };
        let session = token(&matched.route, head);
        if let Some(own) = apart(snapshot, &matched, (origin, session)) {
            matched.route = own;
        }
        let caller = origin.caller(&matched.route.name);
        let (target, service) = match &matched.route.action {
            Action::Forward(destinations) => {
                let to = (matched.port, caller);
                let (target, service) = choose(snapshot, destinations, to, session);
                (Some(target), service)
            }
            Action::Redirect(_) | Action::Direct(_) => (None, None),
        };
        Self {
            copies: copies(snapshot, &matched, caller),
            matched: Ok(matched),
            target,
            service,
            session,
        }
    }

    /// The destinations, if there are several to choose from.
    pub(crate) fn several(&self) -> Option<(Arc<Route>, u16)> {
        let matched = self.matched.as_ref().ok()?;
        match &matched.route.action {
            Action::Forward(forward) if forward.destinations.len() > 1 => {
                Some((Arc::clone(&matched.route), matched.port))
            }
            _ => None,
        }
    }

    /// Sends the request to this destination instead of the one that the weights chose.
    pub(crate) fn send(&mut self, snapshot: &Snapshot, chosen: &Weighted, to: (u16, Caller<'_>)) {
        let (target, service) = reach(snapshot, chosen, to);
        (self.target, self.service) = (Some(target), service);
    }

    /// The cluster that the request goes to, if it goes on at all.
    pub(crate) fn cluster(&self) -> Option<&Arc<Cluster>> {
        Some(&self.target.as_ref()?.as_ref().ok()?.cluster)
    }
}

/// What the caller brings along of its session, if the rule keeps sessions.
fn token(route: &Route, head: &Parts) -> Option<Token> {
    route.session.as_ref()?.token(&head.headers, seconds())
}

/// The time, as sessions count it: since 1970.
pub(crate) fn seconds() -> u64 {
    u64::try_from(clock::now().as_second()).unwrap_or_default()
}

/// Where the destinations of a rule have routes of their own, that of the one which is chosen.
fn apart(
    snapshot: &Snapshot,
    matched: &RouteMatch,
    (origin, session): (&Origin<'_>, Option<Token>),
) -> Option<Arc<Route>> {
    let Action::Forward(forward) = &matched.route.action else {
        return None;
    };
    forward.destinations.first()?.own.as_ref()?;
    let caller = origin.caller(&matched.route.name);
    one_of(snapshot, forward, (matched.port, caller), session)?
        .own
        .clone()
}

/// The destination that has the endpoint of the caller's session, whatever its weight: no new session begins at one without any. Else
/// one by weight.
fn one_of<'a>(
    snapshot: &Snapshot,
    forward: &'a Forward,
    (port, caller): (u16, Caller<'_>),
    session: Option<Token>,
) -> Option<&'a Weighted> {
    let kept = session.and_then(|token| {
        let mut all = forward.destinations.iter();
        all.find(|one| {
            let cluster = snapshot.cluster(&one.destination, port, &caller).ok();
            let endpoints = cluster.map_or(&[][..], |cluster| &cluster.endpoints);
            endpoints.iter().any(|one| one.mark == token.endpoint)
        })
    });
    kept.or_else(|| by_weight(forward))
}

/// A copy that has nowhere to go is not sent; the compiler has said so.
fn copies(snapshot: &Snapshot, matched: &RouteMatch, caller: Caller<'_>) -> Vec<Copy> {
    let hit = |mirror: &&Mirror| {
        mirror
            .share
            .hits(rand::rng().random_range(0..Percentage::WHOLE))
    };
    let mirrors = matched.route.mirrors.iter().filter(hit);
    let target = |mirror: &Mirror| match &mirror.route.action {
        Action::Forward(forward) => {
            let (target, _) = choose(snapshot, forward, (matched.port, caller), None);
            Some((Arc::clone(&mirror.route), target.ok()?.cluster))
        }
        Action::Redirect(_) | Action::Direct(_) => None,
    };
    mirrors.filter_map(target).collect()
}

/// One of the destinations; and the service that it is for, even if it cannot be reached.
fn choose(
    snapshot: &Snapshot,
    forward: &Forward,
    to: (u16, Caller<'_>),
    session: Option<Token>,
) -> (Result<Target, Refusal>, Option<Arc<ServiceRef>>) {
    match one_of(snapshot, forward, to, session) {
        Some(chosen) => reach(snapshot, chosen, to),
        None => (Err(Refusal::nowhere()), None),
    }
}

fn by_weight(forward: &Forward) -> Option<&Weighted> {
    let several = forward.destinations.len() > 1;
    forward.choose(if several {
        rand::rng().random_range(0..forward.total.max(1))
    } else {
        0
    })
}

/// Where a destination is; and the service that it belongs to, even if it cannot be reached.
fn reach(
    snapshot: &Snapshot,
    chosen: &Weighted,
    (port, caller): (u16, Caller<'_>),
) -> (Result<Target, Refusal>, Option<Arc<ServiceRef>>) {
    match snapshot.cluster(&chosen.destination, port, &caller) {
        Ok(cluster) => {
            let (cluster, headers) = (Arc::clone(cluster), chosen.headers.clone());
            let service = Arc::clone(&cluster.service);
            (Ok(Target { cluster, headers }), Some(service))
        }
        Err(missing) => (Err(no_cluster(&missing)), missing.service().cloned()),
    }
}

/// The service of a destination.
pub(crate) fn service(
    snapshot: &Snapshot,
    destination: &Weighted,
    to: (u16, Caller<'_>),
) -> Option<Arc<ServiceRef>> {
    reach(snapshot, destination, to).1
}

fn no_cluster(missing: &Missing) -> Refusal {
    let status = match missing {
        // The route itself is at fault, as the Gateway API has it.
        Missing::Nothing(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Refusal::new(status, Flag::NoCluster, missing.to_string())
}

fn no_route(miss: Miss) -> Refusal {
    let (status, flag) = match &miss {
        Miss::Outside(_) | Miss::NotExported(..) | Miss::OutOfScope(..) => {
            (StatusCode::FORBIDDEN, Flag::NoRoute)
        }
        Miss::NoHost => (StatusCode::BAD_REQUEST, Flag::BadRequest),
        Miss::OtherServer(_) => (StatusCode::MISDIRECTED_REQUEST, Flag::NoRoute),
        _ => (StatusCode::NOT_FOUND, Flag::NoRoute),
    };
    Refusal::new(status, flag, miss.to_string())
}
