//! Filters around a call: heads first, bodies only where a filter asks for one, the rest streams by untouched.
//!
//! Requests meet the filters in order, responses in reverse. A filter that asks for the body is answered before the next one sees the head,
//! so that each sees the message as the one before it left it. A local reply passes the response filters like any other response.

mod carried;
mod streamed;
mod trailers;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use osier_process::body::Body;
use osier_process::buffered::{Buffered, Unbuffered};
use osier_snapshot::{Endpoint, rewrite};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::flags::Flag;
use crate::gate::{
    BodyVerdict, Change, Decision, Direction, Exchange, Filter, HeadVerdict, Passage, Reply,
};
use crate::prepare;
use crate::trace::Trace;

/// The filters of one side of one call, with what they are told about it.
pub(crate) struct Chain {
    filters: Vec<Arc<dyn Filter>>,
    /// The name of the hook, for decisions.
    hook: Arc<str>,
    id: String,
    inbound: bool,
    source: Arc<str>,
    service: String,
    method: Method,
    scheme: String,
    authority: String,
    path: String,
    /// The answer of a filter that met a body which was already on its way.
    late: Mutex<Option<Reply>>,
    /// Exchanges that filters carry, by the places of those filters.
    passages: Mutex<Vec<(usize, Box<dyn Passage>)>>,
}

impl Chain {
    /// The filters around one side of a call. None if there are none: then it costs nothing more.
    pub(crate) fn around(
        direction: Direction,
        destination: Option<&Endpoint>,
        head: &Parts,
        trace: &mut Trace,
    ) -> Result<Option<Arc<Self>>, Refusal> {
        let filters = trace.filters(direction, destination, head)?;
        if filters.is_empty() {
            return Ok(None);
        }
        let mut chain = Self {
            filters,
            hook: Arc::from("filter"),
            id: trace.id().to_owned(),
            inbound: direction == Direction::Inbound,
            source: trace
                .workload()
                .map_or_else(|| Arc::from(""), |workload| Arc::clone(&workload.principal)),
            service: trace
                .service
                .as_ref()
                .map(|service| service.host.to_string())
                .unwrap_or_default(),
            method: Method::GET,
            scheme: String::new(),
            authority: String::new(),
            path: String::new(),
            late: Mutex::default(),
            passages: Mutex::default(),
        };
        chain.see(head);
        Ok(Some(Arc::new(chain)))
    }

    /// Notes the request's line as it is now.
    fn see(&mut self, head: &Parts) {
        self.method = head.method.clone();
        self.scheme = head.uri.scheme_str().unwrap_or("http").to_owned();
        self.authority = head
            .uri
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.path = head
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
            .to_owned();
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            id: &self.id,
            inbound: self.inbound,
            source: self
                .source
                .strip_prefix("spiffe://")
                .unwrap_or(&self.source),
            service: &self.service,
            method: self.method.as_str(),
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            bodiless: false,
        }
    }

    /// The same, for a message with this body.
    fn exchange_with(&self, body: &Body) -> Exchange<'_> {
        Exchange {
            bodiless: body.is_end_stream(),
            ..self.exchange()
        }
    }

    /// Takes a request through the filters. What comes out is what goes on.
    pub(crate) async fn request(
        self: &Arc<Self>,
        head: &mut Parts,
        mut body: Body,
        trace: &mut Trace,
    ) -> Result<Body, Refusal> {
        for (place, filter) in self.filters.iter().enumerate() {
            if filter.carries() {
                body = self.carried((place, filter), head, body, trace).await?;
                continue;
            }
            let began = std::time::Instant::now();
            let mut verdict = filter.on_request(&self.exchange_with(&body), &head.headers);
            if matches!(verdict, HeadVerdict::Wait) {
                verdict = filter.head_resumed(false).await;
            }
            self.note(filter, verdict.word(), began, trace);
            let changes = match verdict {
                HeadVerdict::Proceed(changes) => changes,
                HeadVerdict::Wait => Vec::new(),
                HeadVerdict::Respond(reply) => return Err(replied(reply, trace)),
                HeadVerdict::NeedBody(limit) => {
                    let read = Buffered::read(body, limit, None).await;
                    let mut whole = read.map_err(|why| not_read(&why, trace))?;
                    let began = std::time::Instant::now();
                    let verdict =
                        filter.on_request_body(&self.exchange(), &head.headers, &whole.data);
                    self.note(filter, verdict.word(), began, trace);
                    let (changes, new) = match verdict {
                        BodyVerdict::Proceed(changes, new) => (changes, new),
                        BodyVerdict::Respond(reply) => return Err(replied(reply, trace)),
                    };
                    if let Some(new) = new {
                        replace(&mut head.headers, &mut whole.data, new);
                    }
                    body = whole.into_body();
                    changes
                }
            };
            for change in changes {
                change_request(head, change);
            }
            body = self.streamed(filter, body, false);
        }
        Ok(self.trailers(body, false))
    }

    /// Takes a response through the filters, the last one first.
    pub(crate) async fn response(
        self: &Arc<Self>,
        response: Response<Body>,
        deadline: Option<Instant>,
        trace: &mut Trace,
    ) -> Response<Body> {
        let (mut head, mut body) = response.into_parts();
        for (place, filter) in self.for_responses() {
            if filter.carries() {
                (head, body) = self.returned((place, filter), (head, body), trace).await;
                continue;
            }
            let began = std::time::Instant::now();
            let exchange = self.exchange_with(&body);
            let mut verdict = filter.on_response(&exchange, head.status, &head.headers);
            if matches!(verdict, HeadVerdict::Wait) {
                verdict = filter.head_resumed(true).await;
            }
            self.note(filter, verdict.word(), began, trace);
            let changes = match verdict {
                HeadVerdict::Proceed(changes) => changes,
                HeadVerdict::Wait => Vec::new(),
                HeadVerdict::Respond(reply) => {
                    (head, body) = self.replaced(reply, trace);
                    continue;
                }
                HeadVerdict::NeedBody(limit) => {
                    let mut whole = match Buffered::read(body, limit, deadline).await {
                        Ok(whole) => whole,
                        Err(why) => {
                            (head, body) = self.lost(&why, trace);
                            continue;
                        }
                    };
                    let about = (head.status, &head.headers);
                    let began = std::time::Instant::now();
                    let verdict = filter.on_response_body(&self.exchange(), about, &whole.data);
                    self.note(filter, verdict.word(), began, trace);
                    match verdict {
                        BodyVerdict::Proceed(changes, new) => {
                            if let Some(new) = new.filter(|_| self.has_body(head.status)) {
                                replace(&mut head.headers, &mut whole.data, new);
                            }
                            body = whole.into_body();
                            changes
                        }
                        BodyVerdict::Respond(reply) => {
                            (head, body) = self.replaced(reply, trace);
                            continue;
                        }
                    }
                }
            };
            for change in changes {
                change_response(&mut head, change);
            }
            body = self.streamed(filter, body, true);
        }
        Response::from_parts(head, self.trailers(body, true))
    }

    /// The filters that see responses, with their places, the last one first.
    fn for_responses(&self) -> impl Iterator<Item = (usize, &Arc<dyn Filter>)> {
        let all = self.filters.iter().enumerate().rev();
        all.filter(|(_, filter)| filter.sees_responses())
    }

    /// Keeps what a filter made of a message.
    fn note(
        &self,
        filter: &Arc<dyn Filter>,
        (outcome, reason): (&'static str, &str),
        began: std::time::Instant,
        trace: &mut Trace,
    ) {
        let (policy, plugin) = filter.label();
        trace.noted(vec![Decision {
            direction: match self.inbound {
                true => Direction::Inbound,
                false => Direction::Outbound,
            },
            policy,
            plugin,
            template: Arc::clone(&self.hook),
            place: 0,
            outcome,
            reason: reason.to_owned(),
            cached: false,
            began: Some(began),
            took: began.elapsed(),
            memo: None,
        }]);
    }

    /// A response to such a request, with such a status, has a body to replace.
    fn has_body(&self, status: StatusCode) -> bool {
        self.method != Method::HEAD
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    fn replaced(&self, reply: Reply, trace: &mut Trace) -> (http::response::Parts, Body) {
        let refusal = replied(reply, trace);
        trace.local_reply(refusal).into_parts()
    }

    /// The response that a filter needs whole could not be had whole.
    fn lost(&self, why: &Unbuffered, trace: &mut Trace) -> (http::response::Parts, Body) {
        let (status, flag) = match why {
            Unbuffered::TooLarge(_) => (StatusCode::INTERNAL_SERVER_ERROR, Flag::Denied),
            Unbuffered::Broken(_) => (StatusCode::BAD_GATEWAY, Flag::Reset),
            Unbuffered::Late => (StatusCode::GATEWAY_TIMEOUT, Flag::Timeout),
        };
        let refusal = Refusal::new(status, flag, format!("a filter needs the response: {why}"));
        trace.local_reply(refusal).into_parts()
    }

    /// The body as it is when it has passed a filter that sees it part by part.
    fn streamed(self: &Arc<Self>, filter: &Arc<dyn Filter>, body: Body, response: bool) -> Body {
        match filter.sees_body(response) {
            true => streamed::filtered(body, (Arc::clone(self), Arc::clone(filter)), response),
            false => body,
        }
    }

    /// The answer of a filter to a body that was already on its way; the body ended there.
    pub(crate) fn late(&self, trace: &mut Trace) -> Option<Refusal> {
        let reply = self.late.lock().take()?;
        Some(replied(reply, trace))
    }

    fn trailers(self: &Arc<Self>, body: Body, response: bool) -> Body {
        // Those that see the body part by part see its trailers behind it.
        let separate = |filter: &&Arc<dyn Filter>| !filter.sees_body(response);
        let mut separate = self.filters.iter().filter(separate);
        if separate.any(|filter| filter.sees_trailers()) {
            trailers::filtered(body, Arc::clone(self), response)
        } else {
            body
        }
    }

    /// Lets the filters change trailers.
    fn trailing(&self, trailers: &mut HeaderMap, response: bool) -> Result<(), String> {
        let one = |filter: &Arc<dyn Filter>, trailers: &mut HeaderMap| {
            let operations = filter.on_trailers(&self.exchange(), response, trailers)?;
            for operation in &operations {
                operation.apply(trailers);
            }
            Ok(())
        };
        let separate =
            |filter: &&Arc<dyn Filter>| filter.sees_trailers() && !filter.sees_body(response);
        let mut concerned = self.filters.iter().filter(separate);
        if response {
            concerned.rev().try_for_each(|filter| one(filter, trailers))
        } else {
            concerned.try_for_each(|filter| one(filter, trailers))
        }
    }
}

/// The refusal that carries a filter's own answer.
fn replied(reply: Reply, trace: &mut Trace) -> Refusal {
    let refused = reply.status.is_client_error() || reply.status.is_server_error();
    let flag = match reply.status {
        StatusCode::TOO_MANY_REQUESTS => Flag::RateLimited,
        _ if refused => Flag::Denied,
        _ => Flag::None,
    };
    if refused {
        trace.verdict = "deny";
    }
    trace.policy = Some(reply.policy);
    trace.plugin = Some(reply.plugin);
    Refusal {
        custom: Some(Box::new((reply.headers, reply.body))),
        whole: true,
        ..Refusal::new(reply.status, flag, reply.reason)
    }
}

fn not_read(why: &Unbuffered, trace: &Trace) -> Refusal {
    match why {
        Unbuffered::TooLarge(limit) => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Flag::BadRequest,
            format!("a filter takes requests of at most {limit} bytes"),
        ),
        Unbuffered::Broken(_) if trace.was_cut_off() => prepare::too_large(),
        Unbuffered::Broken(_) => prepare::broken(),
        Unbuffered::Late => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            Flag::BadRequest,
            "the request's body did not come in time",
        ),
    }
}

fn replace(headers: &mut HeaderMap, data: &mut Bytes, new: Bytes) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(new.len()));
    *data = new;
}

fn change_request(head: &mut Parts, change: Change) {
    match change {
        Change::Header(operation) => operation.apply(&mut head.headers),
        Change::Path(path) => head.uri = rewrite::replace(&head.uri, None, Some(path)),
        Change::Authority(host) => head.uri = rewrite::replace(&head.uri, Some(host), None),
        Change::Method(method) => head.method = method,
        // Requests have none; the joint has refused it.
        Change::Status(_) => {}
    }
}

fn change_response(head: &mut http::response::Parts, change: Change) {
    match change {
        Change::Header(operation) => operation.apply(&mut head.headers),
        Change::Status(status) => head.status = status,
        // Responses have none of these; the joint has refused them.
        Change::Path(_) | Change::Authority(_) | Change::Method(_) => {}
    }
}
