//! What is known about one request while it passes, and its one report at the end.
//!
//! A [`Trace`] is dropped exactly once, whatever happens: with the last byte of the response, with the response body that nobody
//! wants any more, or with the future of a caller that went away. Dropping it is the report, so no path can forget it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, Uri, Version};
use osier_process::body::Body;
use osier_snapshot::{
    Cluster, Endpoint, InFlight, Locality, Route, Server, ServiceRef, Token, Weighted, Workload,
};
use tokio::time::Instant;

use crate::access;
use crate::answer::{self, Refusal};
use crate::breaker::Counted;
use crate::flags::Flag;
use crate::gate::{
    Approval, Call, Choice, Chosen, Decision, Denial, Direction, Filters, Gate, Heads, Record,
    Sides, Verdict,
};
use crate::mesh::Identity;
use crate::metrics::{RequestMetrics, Sample};
use crate::source::Source;

/// Who hears of ended requests.
pub(crate) struct Ears {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) metrics: Arc<RequestMetrics>,
}

/// One request under way.
pub(crate) struct Trace {
    pub(crate) source: Source,
    /// What of a gateway it came through.
    pub(crate) server: Option<Arc<Server>>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) request_id: HeaderValue,
    pub(crate) grpc: bool,
    /// The caller wants the connection for another protocol.
    pub(crate) upgrade: bool,
    /// The origin of a page that may read the answer.
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) received: SystemTime,
    pub(crate) started: Instant,
    pub(crate) route: Option<Arc<Route>>,
    /// Which endpoint the caller stays with.
    pub(crate) session: Option<Token>,
    pub(crate) service: Option<Arc<ServiceRef>>,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    /// The endpoint is a pod of another node, which decides inbound and reports so.
    pub(crate) elsewhere: bool,
    /// Where the node stands.
    pub(crate) here: Arc<Locality>,
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) counted: Option<Counted>,
    /// As in the record.
    pub(crate) verdict: &'static str,
    pub(crate) policy: Option<Arc<str>>,
    pub(crate) plugin: Option<Arc<str>>,
    pub(crate) status: u16,
    pub(crate) flag: Flag,
    /// Why the proxy answered itself; empty if it did not, or as a route says.
    reason: Cow<'static, str>,
    pub(crate) request_meter: Option<Arc<Meter>>,
    pub(crate) response_bytes: u64,
    /// When the head of the response was there.
    pub(crate) answered: Option<Instant>,
    /// What was decided about it, in order.
    decisions: Vec<Decision>,
    /// Copies of the heads, if the gate wants to report with them.
    pub(crate) heads: Option<Box<KeptHeads>>,
    /// The last byte was handed over, or there was none to hand over.
    pub(crate) complete: bool,
    ears: Arc<Ears>,
}

/// Copies of the heads of a call. They share the bytes of their values.
#[derive(Debug)]
pub(crate) struct KeptHeads {
    request: HeaderMap,
    pub(crate) response: Option<HeaderMap>,
    pub(crate) trailers: Option<HeaderMap>,
}

/// What passed of a request's body.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) bytes: AtomicU64,
    /// The body is larger than the limit and was cut off.
    pub(crate) over: AtomicBool,
    /// The caller broke the body off, or what it sent is none.
    pub(crate) broken: AtomicBool,
}

impl Meter {
    /// The caller itself spoilt the request: nothing is the endpoint's fault.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.broken.load(Ordering::Relaxed)
    }
}

impl Trace {
    pub(crate) fn begin(
        (source, here): (Source, Arc<Locality>),
        head: &Parts,
        request_id: HeaderValue,
        ears: &Arc<Ears>,
    ) -> Box<Self> {
        let told = source
            .arrival()
            .and_then(|arrival| arrival.identity.as_ref())
            .and_then(|told| ears.gate.believed(told));
        Box::new(Self {
            source,
            server: None,
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            user_agent: head.headers.get(USER_AGENT).cloned(),
            request_id,
            grpc: answer::is_grpc(head),
            upgrade: false,
            origin: None,
            received: osier_process::clock::now().into(),
            started: Instant::now(),
            route: None,
            session: None,
            service: None,
            cluster: None,
            endpoint: None,
            elsewhere: false,
            here,
            in_flight: None,
            counted: None,
            verdict: "allow",
            policy: None,
            plugin: None,
            status: 0,
            flag: Flag::None,
            reason: Cow::Borrowed(""),
            request_meter: None,
            response_bytes: 0,
            answered: None,
            decisions: told.into_iter().collect(),
            heads: ears.gate.wants_heads().then(|| {
                Box::new(KeptHeads {
                    request: head.headers.clone(),
                    response: None,
                    trailers: None,
                })
            }),
            complete: false,
            ears: Arc::clone(ears),
        })
    }

    /// The trace of a copy of this request.
    pub(crate) fn fork(&self, head: &Parts) -> Box<Self> {
        Self::begin(
            (self.source.clone(), Arc::clone(&self.here)),
            head,
            self.request_id.clone(),
            &self.ears,
        )
    }

    /// The request's id as text.
    pub(crate) fn id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    pub(crate) fn workload(&self) -> Option<&Workload> {
        self.source.workload()
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.source.address()
    }

    /// Who was found to be behind the call, for the node of the called pod.
    pub(crate) fn forwards(&self) -> Option<Identity> {
        self.ears.gate.forwarded(&self.decisions).map(Identity)
    }

    fn gateways(&self) -> &[Arc<str>] {
        self.server.as_ref().map_or(&[], |server| &server.gateways)
    }

    fn proven(&self) -> bool {
        // A call from another node came with a certificate.
        let peer = self.source.peer();
        self.source.arrival().is_some() || peer.is_some_and(|peer| peer.certificate.is_some())
    }

    fn call<'a>(
        &'a self,
        direction: Direction,
        destination: Option<&'a Endpoint>,
        head: &'a Parts,
    ) -> Call<'a> {
        let port = destination.map(|endpoint| endpoint.port);
        Call {
            direction,
            source: self.workload(),
            destination: destination.map(|endpoint| &*endpoint.workload),
            port: port.or_else(|| head.uri.port_u16()),
            service: self.service.as_deref(),
            gateway: self.source.gateway(),
            gateways: self.gateways(),
            head,
            request_id: self.id(),
            peer: self.peer(),
            proven: self.proven(),
            server_name: self.source.peer().and_then(|peer| peer.server_name()),
            received: self.received,
            before: &self.decisions,
        }
    }

    /// Asks the gate, and notes who decided.
    pub(crate) fn ask(
        &mut self,
        direction: Direction,
        destination: Option<&Endpoint>,
        head: &Parts,
    ) -> Result<Approval, Refusal> {
        let call = self.call(direction, destination, head);
        match self.ears.gate.check(&call) {
            Verdict::Allow(mut approval) => {
                self.noted(std::mem::take(&mut approval.decisions));
                self.policy = approval.policy.clone().or(self.policy.take());
                self.plugin = approval.plugin.clone().or(self.plugin.take());
                Ok(approval)
            }
            Verdict::Deny(denial) => Err(self.refused(denial)),
        }
    }

    /// Asks who is behind the call; from now on its head is as the answer has it.
    pub(crate) fn authenticate(
        &mut self,
        direction: Direction,
        destination: Option<&Endpoint>,
        head: &mut Parts,
    ) -> Result<(), Refusal> {
        let call = self.call(direction, destination, head);
        let found = self.ears.gate.authenticate(&call);
        if let Some(found) = found.map_err(|denial| self.refused(*denial))? {
            *head = found.head;
            self.noted(found.decisions);
        }
        Ok(())
    }

    /// Asks who chooses among a route's destinations; `first` is the service of the first one.
    pub(crate) fn route(
        &mut self,
        head: &Parts,
        first: Option<&ServiceRef>,
        among: &[Weighted],
    ) -> Result<Option<Choice>, Refusal> {
        let call = Call {
            service: first,
            ..self.call(Direction::Outbound, None, head)
        };
        let chosen = self.ears.gate.route(&call, among);
        self.chosen(chosen)
    }

    /// True if anybody chooses among the destinations of routes.
    pub(crate) fn chooses_routes(&self) -> bool {
        self.ears.gate.chooses_routes()
    }

    /// Asks who chooses among a service's endpoints.
    pub(crate) fn balance(
        &mut self,
        head: &Parts,
        among: &[Arc<Endpoint>],
    ) -> Result<Option<usize>, Refusal> {
        let call = self.call(Direction::Outbound, None, head);
        let chosen = self.ears.gate.balance(&call, among);
        self.chosen(chosen)
    }

    fn chosen<T>(&mut self, chosen: Result<Chosen<T>, Box<Denial>>) -> Result<Option<T>, Refusal> {
        let chosen = chosen.map_err(|denial| self.refused(*denial))?;
        self.noted(chosen.decisions);
        Ok(chosen.choice)
    }

    /// The filters around this side of the call.
    pub(crate) fn filters(
        &mut self,
        direction: Direction,
        destination: Option<&Endpoint>,
        head: &Parts,
    ) -> Result<Filters, Refusal> {
        let found = self
            .ears
            .gate
            .filters(&self.call(direction, destination, head));
        self.chosen(found).map(Option::unwrap_or_default)
    }

    /// The response that a refusal is, noted as what the caller got.
    pub(crate) fn local_reply(&mut self, refusal: Refusal) -> Response<Body> {
        self.note(&refusal);
        refusal.into_response(self.grpc, &self.request_id)
    }

    /// Remembers why the request ends here.
    pub(crate) fn note(&mut self, refusal: &Refusal) {
        self.flag = refusal.flag;
        self.reason = refusal.reason.clone();
    }

    fn refused(&mut self, mut denial: Denial) -> Refusal {
        self.noted(std::mem::take(&mut denial.decisions));
        self.verdict = if denial.failed { "error" } else { "deny" };
        self.policy = Some(Arc::clone(&denial.policy));
        self.plugin = Some(Arc::clone(&denial.plugin));
        Refusal::denied(denial)
    }

    /// Keeps what was decided; about most calls nothing was, or only on one side.
    pub(crate) fn noted(&mut self, decisions: Vec<Decision>) {
        if self.decisions.is_empty() {
            self.decisions = decisions;
        } else {
            self.decisions.extend(decisions);
        }
    }

    pub(crate) fn was_cut_off(&self) -> bool {
        self.request_meter
            .as_ref()
            .is_some_and(|meter| meter.over.load(Ordering::Relaxed))
    }

    pub(crate) fn was_spoilt(&self) -> bool {
        let meter = self.request_meter.as_ref();
        meter.is_some_and(|meter| meter.is_spoilt())
    }

    pub(crate) fn was_broken(&self) -> bool {
        let meter = self.request_meter.as_ref();
        meter.is_some_and(|meter| meter.broken.load(Ordering::Relaxed))
    }

    fn record(&self) -> Record<'_> {
        Record {
            source: self.workload(),
            destination: self.endpoint.as_ref().map(|endpoint| &*endpoint.workload),
            service: self.service.as_deref(),
            gateway: self.source.gateway(),
            gateways: self.gateways(),
            method: &self.method,
            uri: &self.uri,
            version: self.version,
            user_agent: self.user_agent.as_ref(),
            request_id: self.id(),
            peer: self.peer(),
            proven: self.proven(),
            server_name: self.source.peer().and_then(|peer| peer.server_name()),
            received: self.received,
            began: self.started.into_std(),
            duration: self.started.elapsed(),
            answered: self.answered.map(|answered| answered - self.started),
            status: self.status,
            flags: self.flag.letters(),
            reason: &self.reason,
            request_bytes: self
                .request_meter
                .as_ref()
                .map_or(0, |meter| meter.bytes.load(Ordering::Relaxed)),
            response_bytes: self.response_bytes,
            route: self.route.as_ref().map_or("", |route| &route.name),
            cluster: self.cluster.as_ref().map_or("", |cluster| &cluster.name),
            verdict: self.verdict,
            policy: self.policy.as_deref().unwrap_or_default(),
            plugin: self.plugin.as_deref().unwrap_or_default(),
            endpoint: self
                .endpoint
                .as_ref()
                .map(|endpoint| SocketAddr::new(endpoint.workload.address, endpoint.port)),
            sides: Sides {
                outbound: self.source.arrival().is_none(),
                inbound: self.endpoint.is_some() && !self.elsewhere,
            },
            decisions: &self.decisions,
            heads: self.heads.as_ref().map(|heads| Heads {
                request: &heads.request,
                response: heads.response.as_ref(),
                trailers: heads.trailers.as_ref(),
            }),
            connected: None,
        }
    }

    fn sample(&self, record: &Record<'_>) {
        self.ears.metrics.observe(&Sample {
            sides: record.sides,
            source: record.source,
            gateway: record.gateway,
            destination: record.destination,
            service: record.service,
            status: record.status,
            flag: self.flag,
            grpc: self.grpc,
            micros: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
        });
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        drop((self.in_flight.take(), self.counted.take()));
        if !self.complete && self.flag == Flag::None {
            self.flag = Flag::CallerGone;
        }
        let record = self.record();
        self.sample(&record);
        access::log(&record);
        self.ears.gate.report(&record);
    }
}
