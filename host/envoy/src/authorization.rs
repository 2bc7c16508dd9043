//! `envoy.service.auth.v3.Authorization/Check`: may a request, or a connection, pass?
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto>)

use std::time::{Instant, SystemTime};

use osier_policy::{Approval, Denial, HeaderOperation, PolicySet, Verdict, Vocabulary};
use osier_review::{Phase, Question, Recorded};
use tonic::Status;

use crate::concern::Concern;
use crate::judged::{Judged, REQUEST_ID};
use crate::messages::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue,
    HeaderValueOption, HttpRequest, HttpStatus, OkHttpResponse, Peer, RpcStatus, Truth,
};
use crate::stated::{Stated, protocol};

/// Where it is served.
pub(crate) const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What the route's own extensions are for; all others state attributes that manifests declare.
const OWN: [&str; 3] = ["namespace", "service", "direction"];

/// Asks the policies that the Envoy's configuration names.
pub(crate) fn check(
    policies: &PolicySet,
    request: CheckRequest,
    tell: &dyn Fn(&Judged<'_>),
) -> Result<CheckResponse, Status> {
    let asked = (SystemTime::now(), Instant::now());
    let context = request
        .attributes
        .ok_or_else(|| Status::invalid_argument("attributes: nothing is said of the request"))?;
    let concern = Concern::of_extensions(&context.context_extensions);
    let recorded = attributes(&context, policies.vocabulary())?;
    let question = Question::about(concern.direction, concern.place(), Phase::Check, recorded);
    let answer = question.ask(policies, policies.vocabulary());
    let name = concern.name();
    if let Some(judged) = Judged::new(METHOD, &name, &question, &answer, asked) {
        tell(&judged);
    }
    let id = question.request_id();
    Ok(match answer.verdict() {
        Some(Verdict::Deny(denial)) => denied(denial, id),
        Some(Verdict::Allow(approval)) => allowed(approval, id),
        None => allowed(&Approval::default(), id),
    })
}

/// The id of a request, replacing what stands there: who asks `osier why` about it finds it on every answer.
fn identified(id: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: REQUEST_ID.to_owned(),
            value: id.to_owned(),
        }),
        append: Some(Truth { value: false }),
    }
}

fn attributes(context: &AttributeContext, vocabulary: &Vocabulary) -> Result<Recorded, Status> {
    let mut stated = Stated::default();
    // Quotas are charged once for an id: what comes without one is charged for itself.
    stated.text("request.id", &uuid::Uuid::new_v4().to_string());
    peer(&mut stated, "source", context.source.as_ref());
    peer(&mut stated, "destination", context.destination.as_ref());
    let proven = context
        .source
        .as_ref()
        .is_some_and(|source| !source.principal.is_empty());
    stated.flag("connection.mtls", proven);
    if let Some(session) = &context.tls_session {
        stated.text("connection.requested_server_name", &session.sni);
    }
    let request = context.request.as_ref();
    stated.time(
        "request.time",
        request.and_then(|request| request.time.as_ref()),
    );
    match request.and_then(|request| request.http.as_ref()) {
        Some(http) => self::http(&mut stated, http),
        None => stated.text("context.protocol", "tcp"),
    }
    for (name, text) in &context.context_extensions {
        if !OWN.contains(&name.as_str()) {
            stated.declared(vocabulary, name, text);
        }
    }
    stated.read(vocabulary)
}

fn peer(stated: &mut Stated, side: &str, peer: Option<&Peer>) {
    let Some(peer) = peer else { return };
    let port = stated.address(&format!("{side}.ip"), peer.address.as_ref());
    if side == "source" {
        if let Some(socket) = peer
            .address
            .as_ref()
            .and_then(|address| address.socket_address.as_ref())
        {
            stated.text("origin.ip", &socket.address);
        }
    } else if let Some(port) = port {
        stated.int("destination.port", port);
    }
    stated.texts(&format!("{side}.labels"), &peer.labels);
    stated.principal(side, &peer.principal);
}

fn http(stated: &mut Stated, http: &HttpRequest) {
    let header = |name: &str| http.headers.get(name).map_or("", String::as_str);
    stated.text("context.protocol", protocol(&http.headers));
    stated.text("request.id", &http.id);
    // What clients see and others log; Envoy's own id is that of the stream.
    stated.text("request.id", header("x-request-id"));
    stated.text("request.method", &http.method);
    stated.text("request.path", &http.path);
    stated.text("request.host", &http.host);
    stated.text("request.scheme", &http.scheme);
    stated.texts("request.headers", &http.headers);
    if http.size >= 0 {
        stated.int("request.size", http.size);
    }
}

fn allowed(approval: &Approval, id: &str) -> CheckResponse {
    // Where the Envoy makes no ids the log entry that settles quotas is found by this one.
    let mut ok = OkHttpResponse {
        headers: vec![identified(id)],
        ..OkHttpResponse::default()
    };
    for operation in &approval.request_headers {
        match operation {
            HeaderOperation::Remove(name) => ok.headers_to_remove.push(name.as_str().to_owned()),
            other => ok.headers.extend(option(other)),
        }
    }
    // A header of the response cannot be removed this way: Envoy's answer has no field for it.
    let own = approval.response_headers.iter().filter_map(option);
    ok.response_headers_to_add = [identified(id)].into_iter().chain(own).collect();
    CheckResponse {
        status: Some(RpcStatus::default()),
        ok_response: Some(ok),
        denied_response: None,
    }
}

fn denied(denial: &Denial, id: &str) -> CheckResponse {
    let own = denial
        .headers
        .iter()
        .map(|(name, value)| HeaderValueOption {
            header: Some(header(name, value)),
            append: Some(Truth { value: false }),
        });
    CheckResponse {
        status: Some(RpcStatus {
            code: code(denial.status) as i32,
            message: format!("policy {} refused", denial.policy),
        }),
        denied_response: Some(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: denial.status.into(),
            }),
            headers: [identified(id)].into_iter().chain(own).collect(),
            body: String::from_utf8_lossy(&denial.body).into_owned(),
        }),
        ok_response: None,
    }
}

/// A header that is set or added.
fn option(operation: &HeaderOperation) -> Option<HeaderValueOption> {
    let (name, value, append) = match operation {
        HeaderOperation::Set(name, value) => (name, value, false),
        HeaderOperation::Append(name, value) => (name, value, true),
        HeaderOperation::Remove(_) => return None,
    };
    Some(HeaderValueOption {
        header: Some(header(name, value)),
        append: Some(Truth { value: append }),
    })
}

/// A header as Envoy takes it.
pub(crate) fn header(name: &http::HeaderName, value: &http::HeaderValue) -> HeaderValue {
    HeaderValue {
        key: name.as_str().to_owned(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    }
}

/// The gRPC code of a refusal: anything but OK refuses, the HTTP status is told beside it.
fn code(status: u16) -> tonic::Code {
    match status {
        401 => tonic::Code::Unauthenticated,
        429 => tonic::Code::ResourceExhausted,
        503 => tonic::Code::Unavailable,
        _ => tonic::Code::PermissionDenied,
    }
}
