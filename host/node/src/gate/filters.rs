//! A policy's filter as the proxy knows it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use osier_proxy::{BodyVerdict, Change, Exchange, HeadVerdict, Reply};
use osier_snapshot::HeaderOperation;

/// A filter of policy in the proxy's clothes.
struct Joined(osier_policy::Filter);

/// A filter as the proxy knows it.
pub(super) fn joined(filter: osier_policy::FilterKind) -> Arc<dyn osier_proxy::Filter> {
    match filter {
        osier_policy::FilterKind::Messages(filter) => Arc::new(Joined(filter)),
        osier_policy::FilterKind::Stream(stream) => Arc::new(super::streams::Streamed(stream)),
        osier_policy::FilterKind::Middleware(own) => Arc::new(super::middleware::Carrying(own)),
    }
}

impl osier_proxy::Filter for Joined {
    fn label(&self) -> (Arc<str>, Arc<str>) {
        self.0.label()
    }

    fn on_request(&self, exchange: &Exchange<'_>, headers: &HeaderMap) -> HeadVerdict {
        head(self.0.on_request(&told(exchange), headers))
    }

    fn on_request_body(
        &self,
        exchange: &Exchange<'_>,
        headers: &HeaderMap,
        data: &[u8],
    ) -> BodyVerdict {
        body(self.0.on_request_body(&told(exchange), headers, data))
    }

    fn sees_responses(&self) -> bool {
        self.0.sees_responses()
    }

    fn on_response(
        &self,
        exchange: &Exchange<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> HeadVerdict {
        head(self.0.on_response(&told(exchange), status, headers))
    }

    fn on_response_body(
        &self,
        exchange: &Exchange<'_>,
        head: (StatusCode, &HeaderMap),
        data: &[u8],
    ) -> BodyVerdict {
        body(self.0.on_response_body(&told(exchange), head, data))
    }

    fn sees_trailers(&self) -> bool {
        self.0.sees_trailers()
    }

    fn on_trailers(
        &self,
        exchange: &Exchange<'_>,
        response: bool,
        trailers: &HeaderMap,
    ) -> Result<Vec<HeaderOperation>, String> {
        let operations = self.0.on_trailers(&told(exchange), response, trailers)?;
        Ok(operations.into_iter().map(super::operation).collect())
    }
}

fn told<'a>(exchange: &Exchange<'a>) -> osier_policy::Exchange<'a> {
    osier_policy::Exchange {
        id: exchange.id,
        inbound: exchange.inbound,
        source: exchange.source,
        service: exchange.service,
        method: exchange.method,
        scheme: exchange.scheme,
        authority: exchange.authority,
        path: exchange.path,
    }
}

pub(super) fn head(verdict: osier_policy::HeadVerdict) -> HeadVerdict {
    match verdict {
        osier_policy::HeadVerdict::Proceed(changes) => HeadVerdict::Proceed(all(changes)),
        osier_policy::HeadVerdict::Respond(own) => HeadVerdict::Respond(reply(*own)),
        osier_policy::HeadVerdict::NeedBody(limit) => HeadVerdict::NeedBody(limit),
        osier_policy::HeadVerdict::Wait => HeadVerdict::Wait,
    }
}

fn body(verdict: osier_policy::BodyVerdict) -> BodyVerdict {
    match verdict {
        osier_policy::BodyVerdict::Proceed(changes, new) => BodyVerdict::Proceed(all(changes), new),
        osier_policy::BodyVerdict::Respond(own) => BodyVerdict::Respond(reply(*own)),
    }
}

fn all(changes: Vec<osier_policy::Change>) -> Vec<Change> {
    changes.into_iter().map(change).collect()
}

fn change(change: osier_policy::Change) -> Change {
    match change {
        osier_policy::Change::Header(operation) => Change::Header(super::operation(operation)),
        osier_policy::Change::Path(path) => Change::Path(path),
        osier_policy::Change::Authority(authority) => Change::Authority(authority),
        osier_policy::Change::Method(method) => Change::Method(method),
        osier_policy::Change::Status(status) => Change::Status(status),
    }
}

pub(super) fn reply(reply: osier_policy::Reply) -> Reply {
    Reply {
        status: reply.status,
        headers: reply.headers.into_iter().collect(),
        body: reply.body,
        policy: reply.policy,
        plugin: reply.plugin,
        reason: reply.reason,
    }
}
