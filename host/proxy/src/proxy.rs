//! The one door.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use osier_process::Tasks;
use osier_process::body::Body;
use osier_process::clock::Uptime;
use osier_process::metrics::Metrics;
use osier_snapshot::{
    Action, Cors, Finding, HeaderOperation, Route, RouteMatch, Snapshot, rewrite,
};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::filters::Chain;
use crate::forward::Journey;
use crate::gate::{Approval, Direction, Gate};
use crate::held::Held;
use crate::mesh::{Certify, Mesh};
use crate::metrics::RequestMetrics;
use crate::mirror::{Copy, Mirrors};
use crate::opened::Opened;
use crate::plan::{self, Plan, Target};
use crate::source::{Arrival, Source};
use crate::tcp_metrics::TcpMetrics;
use crate::terminations::Terminations;
use crate::trace::{Ears, Trace};
use crate::ways::Ways;
use crate::{direct, outlier_metrics, prepare, stream, upgrade};
use osier_upstream::{Pods, Shown};

/// The bounds of what passes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a request's header names and values.
    pub head_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// Bytes of a request's body that are kept for another try.
    pub replay_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            body_bytes: 4 << 30,
            replay_bytes: 64 * 1024,
        }
    }
}

/// The data plane of one node.
pub struct Proxy {
    snapshot: ArcSwap<Snapshot>,
    published: watch::Sender<Arc<Snapshot>>,
    pub(crate) opened: watch::Sender<Opened>,
    pub(crate) terminations: Terminations,
    pub(crate) tcp: TcpMetrics,
    ways: Ways,
    ears: Arc<Ears>,
    settings: Settings,
    gateway: Arc<str>,
    /// The route of what other nodes routed.
    inbound: Arc<Route>,
    mirrors: Mirrors,
    held: Held,
    tasks: Tasks,
}

/// A request that came in, with the client's side of an upgrade if it asks for one.
type Entered = (Parts, Body, Option<Box<upgrade::Client>>, Box<Trace>);

/// A request with the way that was found for it.
type Planned = (
    Parts,
    Body,
    Result<RouteMatch, Refusal>,
    Option<Result<Target, Refusal>>,
    Vec<Copy>,
);

/// A response, and when the time for its body is over.
struct Passed {
    response: Response<Body>,
    deadline: Option<Instant>,
}

impl Passed {
    fn at_once(response: Response<Body>) -> Self {
        Self {
            response,
            deadline: None,
        }
    }
}

impl Proxy {
    /// A proxy with the default bounds and an empty snapshot.
    pub fn new(
        pods: Arc<dyn Pods>,
        gate: Arc<dyn Gate>,
        metrics: &Metrics,
        tasks: Tasks,
    ) -> Arc<Self> {
        Self::with_settings((pods, gate), metrics, tasks, Settings::default())
    }

    /// A proxy with these bounds and an empty snapshot.
    pub fn with_settings(
        (pods, gate): (Arc<dyn Pods>, Arc<dyn Gate>),
        metrics: &Metrics,
        tasks: Tasks,
        settings: Settings,
    ) -> Arc<Self> {
        let uptime = Uptime::begin();
        let ways = Ways::new(pods, tasks.clone(), uptime);
        let published: watch::Sender<Arc<Snapshot>> = watch::Sender::default();
        outlier_metrics::register(metrics, published.subscribe(), uptime);
        Arc::new(Self {
            snapshot: ArcSwap::default(),
            published,
            opened: watch::Sender::default(),
            terminations: Terminations::default(),
            tcp: TcpMetrics::register(metrics),
            mirrors: Mirrors::new(ways.clone(), tasks.clone()),
            held: Held::default(),
            tasks,
            ways,
            ears: Arc::new(Ears {
                gate,
                metrics: RequestMetrics::register(metrics),
            }),
            settings,
            gateway: "gateway".into(),
            inbound: Arc::new(Route::inbound()),
        })
    }

    /// Replaces the mesh that new requests see. Requests under way end with the one that they began with. Says which certificates
    /// of gateways cannot be used.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Vec<Finding> {
        let found = self.terminations.update(&snapshot);
        self.snapshot.store(Arc::clone(&snapshot));
        self.published.send_replace(snapshot);
        found
    }

    /// Calls pods of other nodes from now on, as `node` of this trust domain.
    pub fn join(&self, (node, domain): (&str, &str), certify: Arc<dyn Certify>) {
        let published = self.published.subscribe();
        let mesh = Mesh::new((node, domain), certify, published, self.tasks.clone());
        self.ways.join(mesh);
    }

    /// What [`Proxy::publish`] publishes.
    pub(crate) fn published(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.published.subscribe()
    }

    /// What became of the listeners that gateways ask for.
    pub fn opened(&self) -> watch::Receiver<Opened> {
        self.opened.subscribe()
    }

    /// The services, as `namespace/name`, for which calls are held: they have no pods, and are to be woken.
    pub fn held(&self) -> watch::Receiver<BTreeSet<String>> {
        self.held.services()
    }

    pub(crate) fn gate(&self) -> &Arc<dyn Gate> {
        &self.ears.gate
    }

    pub(crate) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    pub(crate) fn ways(&self) -> &Ways {
        &self.ways
    }

    pub(crate) fn gateway_name(&self) -> Arc<str> {
        Arc::clone(&self.gateway)
    }

    /// The mesh that new requests see.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Takes one request through the mesh. Every proxied request passes here, whoever sent it and wherever it goes.
    pub async fn handle(&self, source: Source, request: Request<Body>) -> Response<Body> {
        let (head, body, client, mut trace) = match self.enter(source, request) {
            ControlFlow::Continue(entered) => entered,
            ControlFlow::Break(refused) => return refused,
        };
        let answer = self.pass(head, body, &mut trace).await;
        let answer = match (answer, client) {
            (Ok(passed), Some(client)) if is_switching(&passed.response) => {
                return upgrade::carried(client, passed.response, trace, &self.tasks);
            }
            (Ok(mut passed), Some(client)) => {
                let source = &trace.source;
                passed.response = upgrade::unchanged(&client, source, passed.response);
                Ok(passed)
            }
            (answer, _) => answer,
        };
        let deadline = answer.as_ref().ok().and_then(|passed| passed.deadline);
        stream::concluded(answer.map(|passed| passed.response), trace, deadline)
    }

    /// What is known of a request when it comes in. Apart from the rest, whose future is as large as what it holds.
    fn enter(
        &self,
        source: Source,
        request: Request<Body>,
    ) -> ControlFlow<Response<Body>, Entered> {
        let (mut head, body) = request.into_parts();
        let request_id = prepare::request_id(&mut head.headers);
        let client = upgrade::asked(&mut head);
        let prepared = self.prepare(&source, &mut head);
        let snapshot = self.snapshot.load();
        let (here, server) = (Arc::clone(snapshot.locality()), source.server(&snapshot));
        drop(snapshot);
        let mut trace = Trace::begin((source, here), &head, request_id, &self.ears);
        trace.server = server;
        trace.upgrade = client.is_some();
        let body = stream::metered(body, self.settings.body_bytes, &mut trace);
        match prepared {
            Ok(()) => ControlFlow::Continue((head, body, client, trace)),
            Err(refusal) => ControlFlow::Break(stream::concluded(Err(refusal), trace, None)),
        }
    }

    fn prepare(&self, source: &Source, head: &mut Parts) -> Result<(), Refusal> {
        prepare::target(head, source.peer())?;
        prepare::limits(head, self.settings.head_bytes, self.settings.body_bytes)?;
        prepare::strip_hop_by_hop(&mut head.headers);
        if let Some(peer) = source.peer() {
            prepare::forwarded(head, peer);
        }
        Ok(())
    }

    /// The request's way, with the changes to the response that come with a plugin's choice of destination.
    fn plan(
        &self,
        head: &Parts,
        trace: &mut Trace,
    ) -> Result<(Plan, Vec<HeaderOperation>), Refusal> {
        let snapshot = self.snapshot.load();
        let mut plan = Plan::make(&snapshot, &trace.source.origin(), head);
        let several = if trace.chooses_routes() {
            plan.several()
        } else {
            None
        };
        let Some((route, port)) = several else {
            return Ok((plan, Vec::new()));
        };
        let Action::Forward(forward) = &route.action else {
            return Ok((plan, Vec::new()));
        };
        let source = trace.source.clone();
        let to = (port, source.origin().caller(&route.name));
        let among = forward.destinations.as_slice();
        let first = among
            .first()
            .and_then(|first| plan::service(&snapshot, first, to));
        let choice = trace.route(head, first.as_deref(), among)?;
        let chosen = choice.and_then(|choice| Some((among.get(choice.place)?, choice)));
        let Some((chosen, choice)) = chosen else {
            return Ok((plan, Vec::new()));
        };
        plan.send(&snapshot, chosen, to);
        Ok((plan, choice.response_headers))
    }

    /// Outbound policy and route at the source, then what the route says.
    async fn pass(
        &self,
        mut head: Parts,
        body: Body,
        trace: &mut Trace,
    ) -> Result<Passed, Refusal> {
        if let Some(arrival) = trace.source.arrival().cloned() {
            return Box::pin(self.arrived(&arrival, (head, body), trace)).await;
        }
        trace.authenticate(Direction::Outbound, None, &mut head)?;
        let (plan, choice) = self.plan(&head, trace)?;
        trace.cluster = plan.cluster().cloned();
        trace.session = plan.session;
        trace.service = plan.service;
        trace.route = plan
            .matched
            .as_ref()
            .ok()
            .map(|matched| Arc::clone(&matched.route));
        let chain = Chain::around(Direction::Outbound, None, &head, trace)?;
        let request = (head, body, plan.matched, plan.target, plan.copies);
        let Some(chain) = chain else {
            let mut answer = self.routed(request, None, trace).await;
            if let Ok(passed) = &mut answer {
                apply(&choice, passed.response.headers_mut());
            }
            return answer;
        };
        let passed = Box::pin(self.routed(request, Some(&chain), trace)).await;
        let late = chain.late(trace);
        let mut passed = match late.map_or(passed, Err) {
            Ok(passed) => passed,
            // What the proxy answers itself passes the filters like any other response.
            Err(refusal) => Passed::at_once(trace.local_reply(refusal)),
        };
        apply(&choice, passed.response.headers_mut());
        passed.response = Box::pin(chain.response(passed.response, passed.deadline, trace)).await;
        Ok(passed)
    }

    /// The inbound side of a call whose outbound side was on another node.
    async fn arrived(
        &self,
        arrival: &Arrival,
        request: (Parts, Body),
        trace: &mut Trace,
    ) -> Result<Passed, Refusal> {
        trace.service = Some(Arc::clone(&arrival.cluster.service));
        trace.cluster = Some(Arc::clone(&arrival.cluster));
        trace.route = Some(Arc::clone(&self.inbound));
        let journey = Journey::new(&self.ways, &arrival.cluster, &self.inbound, 0);
        let response = journey.deliver(&arrival.endpoint, request, trace).await?;
        Ok(Passed::at_once(response))
    }

    /// Check, filters, and what the route says.
    async fn routed(
        &self,
        (mut head, mut body, matched, target, copies): Planned,
        chain: Option<&Arc<Chain>>,
        trace: &mut Trace,
    ) -> Result<Passed, Refusal> {
        let approval = trace.ask(Direction::Outbound, None, &head)?;
        let matched = matched?;
        let route = &matched.route;
        direct::inject(&route.fault).await?;
        if let Some(answer) = cors(route, &head, trace) {
            return Ok(Passed::at_once(answer));
        }
        if let Some(chain) = chain {
            body = Box::pin(chain.request(&mut head, body, trace)).await?;
        }
        let mut passed = match (&route.action, target) {
            (Action::Redirect(redirect), _) => {
                Passed::at_once(direct::redirect(&head.uri, redirect, &matched))
            }
            (Action::Direct(fixed), _) => Passed::at_once(direct::respond(fixed)),
            (Action::Forward(_), None) => return Err(Refusal::nowhere()),
            (Action::Forward(_), Some(target)) => {
                let target = target?;
                let head = outgoing(head, &matched, (&target.headers.request, &approval));
                let request = (head, body);
                self.forward(route, target, (request, copies), trace)
                    .await?
            }
        };
        apply(&route.headers.response, passed.response.headers_mut());
        apply(&approval.response_headers, passed.response.headers_mut());
        Ok(passed)
    }

    /// The target once it has an endpoint, if it may sleep.
    async fn awake(
        &self,
        route: &Route,
        target: Target,
        trace: &mut Trace,
    ) -> Result<Target, Refusal> {
        let deadline = route.timeout.map(|timeout| trace.started + timeout);
        let source = trace.source.clone();
        let caller = source.origin().caller(&route.name);
        let snapshots = (self.published(), deadline);
        let cluster = self.held.wait(&target.cluster, caller, snapshots).await?;
        trace.cluster = Some(Arc::clone(&cluster));
        Ok(Target { cluster, ..target })
    }

    async fn forward(
        &self,
        route: &Route,
        target: Target,
        ((head, body), copies): ((Parts, Body), Vec<Copy>),
        trace: &mut Trace,
    ) -> Result<Passed, Refusal> {
        let keep = self.settings.replay_bytes;
        let target = match target.cluster.endpoints.is_empty() {
            true => Box::pin(self.awake(route, target, trace)).await?,
            false => target,
        };
        let body = match copies.is_empty() {
            true => body,
            false => Box::pin(self.mirrors.send(copies, (&head, body), trace, keep)).await?,
        };
        let journey = Journey::new(&self.ways, &target.cluster, route, keep);
        let deadline = journey.deadline(trace.started);
        let mut response = journey.travel((head, body), trace).await?;
        apply(&target.headers.response, response.headers_mut());
        Ok(Passed { response, deadline })
    }
}

/// The answer to a preflight, if it is one that ends here. The answers of allowed calls will be marked, refusals too: a page is to
/// see why it failed.
fn cors(route: &Route, head: &Parts, trace: &mut Trace) -> Option<Response<Body>> {
    match route.cors.as_ref()?.decide(head) {
        Cors::Unmarked => None,
        Cors::Allowed(origin) => {
            trace.origin = Some(origin);
            None
        }
        Cors::Preflight(headers) => Some(direct::preflight(headers)),
    }
}

fn is_switching(response: &Response<Body>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// The head as the route and the policy at the source want it to go on.
fn outgoing(
    mut head: Parts,
    matched: &RouteMatch,
    (edits, approval): (&[HeaderOperation], &Approval),
) -> Parts {
    rewrite::apply(
        &mut head.uri,
        &matched.route.rewrite,
        matched.matched_prefix,
    );
    if let Some(credential) = &matched.shown {
        head.extensions.insert(Shown {
            credential: Arc::clone(credential),
            authority: None,
        });
    }
    apply(&matched.route.headers.request, &mut head.headers);
    apply(edits, &mut head.headers);
    apply(&approval.request_headers, &mut head.headers);
    head
}

fn apply(operations: &[HeaderOperation], headers: &mut HeaderMap) {
    for operation in operations {
        operation.apply(headers);
    }
}
