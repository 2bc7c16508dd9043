//! The way of a request to a pod: endpoint, inbound policy, the call itself, and another try where the route asks for one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use osier_process::body::{self, Body};
use osier_snapshot::{Cluster, Endpoint, HeaderOperation, Route};
use rand::Rng;
use tokio::time::Instant;

use crate::affinity::Affinity;
use crate::answer::Refusal;
use crate::balance::Wish;
use crate::filters::Chain;
use crate::flags::{self, Flag};
use crate::gate::{Approval, Direction};
use crate::mesh::UNSTARTED;
use crate::retry::{self, Outcome};
use crate::trace::Trace;
use crate::ways::Ways;
use crate::{balance, breaker, judged, plan, prepare, upgrade};
use osier_process::replay::Replay;
use osier_upstream::Failure;

/// One request's way to a cluster.
pub(crate) struct Journey<'a> {
    ways: &'a Ways,
    cluster: &'a Arc<Cluster>,
    route: &'a Route,
    replay_bytes: usize,
}

/// How one try ended, with what inbound policy wants done to the response.
struct Tried {
    result: Result<Response<Body>, Failure>,
    response_headers: Vec<HeaderOperation>,
    /// Policy or a filter answered, not the endpoint.
    local: bool,
}

impl Tried {
    fn was_started(&self) -> bool {
        self.result.as_ref().err().is_none_or(Failure::was_started)
    }
}

/// An endpoint with its position in the cluster.
struct Picked {
    place: usize,
    endpoint: Arc<Endpoint>,
}

/// What earlier tries and the request itself say about the next choice.
struct Before {
    affinity: Affinity,
    /// Positions of endpoints that were tried.
    tried: Vec<usize>,
}

/// Where the tries of one request get its body from.
enum Bodies {
    /// There is none.
    Empty,
    /// It can be sent only once.
    Once(Option<Body>),
    /// What was read of it is kept.
    Many(Replay),
}

impl Bodies {
    fn next(&mut self) -> Option<Body> {
        match self {
            Self::Empty => Some(body::empty()),
            Self::Once(body) => body.take(),
            Self::Many(replay) => replay.body(),
        }
    }
}

impl<'a> Journey<'a> {
    pub(crate) fn new(
        ways: &'a Ways,
        cluster: &'a Arc<Cluster>,
        route: &'a Route,
        replay_bytes: usize,
    ) -> Self {
        Self {
            ways,
            cluster,
            route,
            replay_bytes,
        }
    }

    /// When the route's time is over.
    pub(crate) fn deadline(&self, started: Instant) -> Option<Instant> {
        self.route.timeout.map(|timeout| started + timeout)
    }

    /// Tries until there is an answer that stands. The gate is asked before each endpoint sees the request.
    pub(crate) async fn travel(
        &self,
        (mut head, body): (Parts, Body),
        trace: &mut Trace,
    ) -> Result<Response<Body>, Refusal> {
        let mut left = self.repetitions();
        let mut bodies = self.bodies(body, left);
        let mut body = bodies.next().unwrap_or_else(body::empty);
        let mut number = 0u32;
        let mut repeated = None;
        let mut before = Before {
            affinity: Affinity::of(self.cluster, &head, &trace.source),
            tried: Vec::new(),
        };
        loop {
            let picked = self.next_endpoint(&head, &before, trace)?;
            let to = (&**self.cluster, &picked.endpoint);
            upgrade::prepare(&mut head, to, self.ways)?;
            head.headers.insert(ATTEMPT, HeaderValue::from(number + 1));
            let kept = (left > 0).then(|| head.clone());
            let tried = self.arrive(&picked, (head, body), trace).await?;
            let wait = self
                .wait_before_another(number + 1, &tried, trace)
                .filter(|_| !tried.local);
            // The repetition before is over and leaves its place to the next.
            drop(repeated.take());
            let may = wait.is_some() && kept.is_some();
            let counted = may.then(|| breaker::retry(self.cluster)).flatten();
            let again = kept.zip(wait).filter(|_| counted.is_some());
            let again = again.and_then(|(kept, wait)| Some((kept, wait, bodies.next()?)));
            let Some((kept, wait, again)) = again else {
                return self.settle(tried, before.affinity, trace);
            };
            (head, body) = (kept, again);
            repeated = counted;
            left -= 1;
            number += 1;
            drop(tried);
            if !self.route.retries.same_endpoint {
                before.tried.push(picked.place);
            }
            pause(wait).await;
        }
    }

    /// The last part of a way that began on another node: inbound policy and the pod. It is tried once, for the caller's node tries
    /// again elsewhere; that node is told if the pod never saw the request.
    pub(crate) async fn deliver(
        &self,
        endpoint: &Arc<Endpoint>,
        (mut head, body): (Parts, Body),
        trace: &mut Trace,
    ) -> Result<Response<Body>, Refusal> {
        upgrade::prepare(&mut head, (self.cluster, endpoint), self.ways)?;
        let mut all = self.cluster.endpoints.iter();
        let place = all.position(|one| Arc::ptr_eq(one, endpoint));
        trace.in_flight = Some(endpoint.enter());
        trace.endpoint = Some(Arc::clone(endpoint));
        let picked = Picked {
            place: place.unwrap_or(usize::MAX),
            endpoint: Arc::clone(endpoint),
        };
        let tried = self.arrive(&picked, (head, body), trace).await?;
        let unstarted = match &tried.result {
            Err(failure) if !failure.was_started() => Some(unstarted(failure)),
            _ => None,
        };
        let mut settled = self.settle(tried, Affinity::default(), trace);
        if let (Err(refusal), Some(unstarted)) = (&mut settled, unstarted) {
            (refusal.status, refusal.custom) =
                (unstarted.0, Some(Box::new((unstarted.1, Bytes::new()))));
        }
        settled
    }

    /// Inbound policy and filters, then the endpoint, then the filters again. What they answer themselves is not tried again.
    async fn arrive(
        &self,
        picked: &Picked,
        (mut head, mut body): (Parts, Body),
        trace: &mut Trace,
    ) -> Result<Tried, Refusal> {
        let endpoint = Some(&*picked.endpoint);
        trace.elsewhere = self.ways.elsewhere(&picked.endpoint).is_some();
        if trace.elsewhere {
            // The pod's node decides inbound.
            if let Some(identity) = trace.forwards() {
                head.extensions.insert(identity);
            }
            let approval = Approval::default();
            return Ok(self.try_once(picked, (head, body), approval, trace).await);
        }
        trace.authenticate(Direction::Inbound, endpoint, &mut head)?;
        let Some(chain) = Chain::around(Direction::Inbound, endpoint, &head, trace)? else {
            let approval = trace.ask(Direction::Inbound, endpoint, &head)?;
            return Ok(self.try_once(picked, (head, body), approval, trace).await);
        };
        let approval = match trace.ask(Direction::Inbound, endpoint, &head) {
            Ok(approval) => approval,
            Err(refusal) => return Ok(self.replied(&chain, refusal, trace).await),
        };
        body = match chain.request(&mut head, body, trace).await {
            Ok(body) => body,
            Err(refusal) => return Ok(self.replied(&chain, refusal, trace).await),
        };
        let mut tried = self.try_once(picked, (head, body), approval, trace).await;
        if let Some(refusal) = chain.late(trace) {
            return Ok(self.replied(&chain, refusal, trace).await);
        }
        if let Ok(response) = tried.result {
            let deadline = self.deadline(trace.started);
            tried.result = Ok(chain.response(response, deadline, trace).await);
        }
        Ok(tried)
    }

    async fn replied(&self, chain: &Arc<Chain>, refusal: Refusal, trace: &mut Trace) -> Tried {
        let reply = trace.local_reply(refusal);
        let deadline = self.deadline(trace.started);
        Tried {
            result: Ok(chain.response(reply, deadline, trace).await),
            response_headers: Vec::new(),
            local: true,
        }
    }

    /// Picks an endpoint, another one than before, and counts the request as its load.
    fn next_endpoint(
        &self,
        head: &Parts,
        before: &Before,
        trace: &mut Trace,
    ) -> Result<Picked, Refusal> {
        let now = self.ways.now();
        // A plugin chooses once: another try is for getting away from what it chose.
        let chosen = match &trace.endpoint {
            None if self.cluster.endpoints.len() > 1 => self.ask_plugin(head, now, trace)?,
            _ => None,
        };
        let place = chosen.or_else(|| {
            let wish = Wish {
                now,
                hash: before.affinity.hash,
                kept: trace.session.map(|token| token.endpoint),
                caller: Some(trace.source.stand(&trace.here)),
                tried: &before.tried,
                elsewhere: self.route.retries.elsewhere,
            };
            balance::pick(self.cluster, &wish)
        });
        let found = place.and_then(|place| Some((place, self.cluster.endpoints.get(place)?)));
        let (place, endpoint) = found.ok_or_else(|| self.no_endpoint())?;
        // The try before, if there was one, carries no more.
        drop(trace.counted.take());
        let counted = breaker::request(self.cluster);
        let full = Failure::Overloaded("too many requests at once (http2MaxRequests)".into());
        trace.counted = Some(counted.ok_or_else(|| self.failed(&full))?);
        trace.in_flight = Some(endpoint.enter());
        trace.endpoint = Some(Arc::clone(endpoint));
        let endpoint = Arc::clone(endpoint);
        Ok(Picked { place, endpoint })
    }

    /// The position of the endpoint that a plugin chooses among those that may be called.
    fn ask_plugin(
        &self,
        head: &Parts,
        now: u64,
        trace: &mut Trace,
    ) -> Result<Option<usize>, Refusal> {
        let among = balance::usable(self.cluster, now);
        if among.is_empty() {
            return Ok(None);
        }
        let chosen = trace.balance(head, &among)?;
        let chosen = chosen.and_then(|place| among.get(place));
        let mut all = self.cluster.endpoints.iter();
        Ok(chosen.and_then(|chosen| all.position(|endpoint| Arc::ptr_eq(endpoint, chosen))))
    }

    /// A try that was not started is repeated only where another endpoint can take it.
    fn repetitions(&self) -> u32 {
        let retries = &self.route.retries;
        let alone = self.cluster.endpoints.len() < 2 && retries.on.only_unstarted();
        if alone { 0 } else { retries.attempts }
    }

    fn bodies(&self, body: Body, repetitions: u32) -> Bodies {
        match repetitions {
            _ if body.is_end_stream() => Bodies::Empty,
            0 => Bodies::Once(Some(body)),
            _ => Bodies::Many(Replay::new(body, self.replay_bytes)),
        }
    }

    async fn try_once(
        &self,
        picked: &Picked,
        (mut head, body): (Parts, Body),
        approval: Approval,
        trace: &Trace,
    ) -> Tried {
        for operation in &approval.request_headers {
            operation.apply(&mut head.headers);
        }
        let request = Request::from_parts(head, body);
        let call = (&trace.source, request);
        let call = self.ways.call(self.cluster, &picked.endpoint, call);
        let per_try = self
            .route
            .retries
            .per_try_timeout
            .map(|time| Instant::now() + time);
        let deadline = [self.deadline(trace.started), per_try]
            .into_iter()
            .flatten()
            .min();
        let result = match deadline {
            None => call.await,
            Some(deadline) => tokio::time::timeout_at(deadline, call)
                .await
                .unwrap_or_else(|_| Err(Failure::Timeout("no answer in time".into()))),
        };
        let by = (self.cluster, picked.place);
        Tried {
            result: judged::tried(by, result, (trace, self.ways.uptime())),
            response_headers: approval.response_headers,
            local: false,
        }
    }

    /// How long to wait before repetition `number`; `None` if the try stands as it is.
    fn wait_before_another(&self, number: u32, tried: &Tried, trace: &Trace) -> Option<Duration> {
        let outcome = match &tried.result {
            Ok(response) => Outcome::Answered(response.status(), response.headers()),
            Err(error) => Outcome::Failed(error),
        };
        let retries = &self.route.retries;
        if trace.was_spoilt() || !retry::worth(&retries.on, outcome) {
            return None;
        }
        let random = rand::rng().random();
        let own = retry::back_off(retries.back_off, number, tried.was_started(), random);
        let requested = retry::requested(outcome).unwrap_or_default();
        let wait = own.max(requested);
        let in_time = self
            .deadline(trace.started)
            .is_none_or(|deadline| Instant::now() + wait < deadline);
        (retry::is_short(requested) && in_time).then_some(wait)
    }

    fn settle(
        &self,
        tried: Tried,
        affinity: Affinity,
        trace: &Trace,
    ) -> Result<Response<Body>, Refusal> {
        if trace.was_cut_off() {
            return Err(prepare::too_large());
        }
        if tried.result.is_err() && trace.was_broken() {
            return Err(prepare::broken());
        }
        let mut response = tried.result.map_err(|error| self.failed(&error))?;
        let changes = trace.upgrade && response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if response.status().is_informational() && !changes {
            let reason = "it answered with an interim status";
            return Err(self.failed(&Failure::Reset(reason.into())));
        }
        let headers: &mut HeaderMap = response.headers_mut();
        prepare::strip_hop_by_hop(headers);
        tried
            .response_headers
            .iter()
            .for_each(|operation| operation.apply(headers));
        if let Some(cookie) = affinity.cookie {
            headers.append(SET_COOKIE, cookie);
        }
        let kept = self.route.session.as_ref().zip(trace.endpoint.as_ref());
        let told = kept
            .filter(|_| !tried.local)
            .and_then(|(session, endpoint)| {
                session.told(trace.session, endpoint.mark, plan::seconds())
            });
        if let Some(told) = told {
            told.apply(headers);
        }
        Ok(response)
    }

    fn no_endpoint(&self) -> Refusal {
        let service = &self.cluster.service;
        let what = match self.cluster.endpoints.len() {
            0 => "no ready pod".to_owned(),
            count => {
                format!("none of {count} endpoints is healthy (outlierDetection, health checks)")
            }
        };
        let reason = format!(
            "{what} behind service {}.{} ({})",
            service.name, service.namespace, self.cluster.name
        );
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Flag::NoEndpoint, reason)
    }

    fn failed(&self, error: &Failure) -> Refusal {
        let (status, flag) = flags::shown(error);
        let service = &self.cluster.service;
        let reason = format!("service {}.{}: {error}", service.name, service.namespace);
        let mut refusal = Refusal::new(status, flag, reason);
        if flag == Flag::Overflow {
            // As Envoy tells that nothing was tried.
            let headers = HeaderMap::from_iter([(OVERLOADED, HeaderValue::from_static("true"))]);
            refusal.custom = Some(Box::new((headers, Bytes::new())));
        }
        refusal
    }
}

/// What the caller's node is told of a request that the pod never saw.
fn unstarted(failure: &Failure) -> (StatusCode, HeaderMap) {
    let status = match failure {
        Failure::Overloaded(_) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reason = HeaderValue::try_from(failure.to_string());
    let reason = reason.unwrap_or(HeaderValue::from_static("it was not started"));
    (status, HeaderMap::from_iter([(UNSTARTED, reason)]))
}

const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");

async fn pause(wait: Duration) {
    if wait > Duration::ZERO {
        tokio::time::sleep(wait).await;
    }
}

/// What a pod is told about which try this is.
const ATTEMPT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
