//! Answers of the hook `filter`: what becomes of a request and of the response to it.

mod carried;
mod messages;

use super::super::fixture::{Expect, Given, Message, Wanted};
use super::super::test::SCOPE;
use super::{Asked, differs, headers, listed, pairs, within};
use anyhow::bail;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use osier_policy::{Denial, FilterKind, Reply};
use tokio::runtime::Runtime;

/// What became of an exchange.
pub(in super::super) struct Exchanged {
    /// The request as it goes on.
    request: Sent,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// A filter's own answer: its reason, and whether it is for want of one.
    replied: Option<(String, bool)>,
}

/// A request.
struct Sent {
    method: String,
    authority: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Takes an exchange through the filters as the proxy does.
pub(super) fn take(
    given: &Given,
    (set, attributes): Asked<'_>,
    runtime: &Runtime,
) -> anyhow::Result<Exchanged> {
    let mut exchanged = Exchanged::new(given);
    let filters = match set.filters(&SCOPE, attributes, &mut Vec::new()) {
        Ok(filters) => filters,
        Err(denial) => {
            exchanged.denied(&denial);
            return Ok(exchanged);
        }
    };
    // A case has one action, so there is one filter, or none if the policy's `match` does not hold.
    for filter in filters {
        match filter {
            FilterKind::Messages(filter) => exchanged.filtered(&filter, given)?,
            FilterKind::Middleware(filter) => {
                runtime.block_on(exchanged.carried(&filter, given))?
            }
            FilterKind::Stream(_) => bail!(
                "modules of proxy-wasm are not asked by fixtures: `osier plugin dev` runs one in a node"
            ),
        }
    }
    Ok(exchanged)
}

impl Exchanged {
    fn new(given: &Given) -> Self {
        let (request, response) = (&given.request, given.response.as_ref());
        let status = response.and_then(|response| StatusCode::from_u16(response.status).ok());
        Self {
            request: Sent {
                method: request.method.clone(),
                authority: request.authority.clone(),
                path: request.path.clone(),
                headers: request.headers(),
                body: Bytes::from(request.body.clone()),
            },
            status: status.unwrap_or(StatusCode::OK),
            headers: response.map(Message::headers).unwrap_or_default(),
            body: Bytes::from(response.map(|one| one.body.clone()).unwrap_or_default()),
            replied: None,
        }
    }

    fn reply(&mut self, reply: Reply) {
        let unanswered = reply.status == StatusCode::INTERNAL_SERVER_ERROR
            && reply.body == "A filter gave no answer.\n";
        self.replied = Some((reply.reason, unanswered));
        self.status = reply.status;
        self.headers = reply.headers.into_iter().collect();
        self.body = reply.body;
    }

    fn denied(&mut self, denial: &Denial) {
        self.replied = Some((denial.reason.clone(), denial.failed));
        self.status = StatusCode::from_u16(denial.status).unwrap_or(self.status);
    }

    pub(super) fn verdict(&self) -> (Wanted, String) {
        match &self.replied {
            None => (Wanted::Allow, String::new()),
            Some((reason, true)) => (Wanted::Fail, reason.clone()),
            Some((reason, false)) => (Wanted::Deny, reason.clone()),
        }
    }

    pub(super) fn faults(&self, expect: &Expect) -> Vec<String> {
        let (found, sent) = (pairs(&self.headers), pairs(&self.request.headers));
        let reason = self.replied.as_ref().map_or("", |(reason, _)| reason);
        let (body, request_body) = (words(&self.body), words(&self.request.body));
        let single = [
            differs("status", expect.status.as_ref(), &self.status.as_u16()),
            within("reason", expect.reason.as_deref(), reason),
            differs("body", expect.body.as_ref(), &body),
            differs("requestBody", expect.request_body.as_ref(), &request_body),
            differs("path", expect.path.as_ref(), &self.request.path),
        ];
        let on_response = headers("headers", &expect.headers, &found);
        let on_request = headers("requestHeaders", &expect.request_headers, &sent);
        let single = single.into_iter().flatten();
        single.chain(on_response).chain(on_request).collect()
    }

    pub(super) fn words(&self) -> String {
        let mut told = String::new();
        if self.replied.is_none() {
            let Sent {
                method,
                authority,
                path,
                headers,
                body,
            } = &self.request;
            told += &format!(", {method} {authority}{path}");
            told += &listed("request", &pairs(headers));
            told += &format!(", request body {:?}", words(body));
        }
        told += &format!(", status {}", self.status.as_u16());
        told += &listed("response", &pairs(&self.headers));
        told + &format!(", body {:?}", words(&self.body))
    }
}

fn words(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
