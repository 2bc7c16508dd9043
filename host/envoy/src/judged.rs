//! What is told of a question that an Envoy asked: for whoever keeps the access log and answers `osier why`.

use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use osier_policy::{Direction, Verdict};
use osier_review::{Answer, Question};

/// Header that carries the id of a request, to upstreams and back to callers.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// A request of an Envoy's about which the policies were asked.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// Path of the service of Envoy's that asked.
    pub service: &'static str,
    /// Whose policies were asked: `NAMESPACE` or `NAMESPACE/SERVICE`.
    pub concern: &'a str,
    /// At which side of the call.
    pub direction: Direction,
    /// Id of the request.
    pub request_id: &'a str,
    /// Its method; empty if nothing was said of it.
    pub method: &'a str,
    /// Its host, or the domain of a rate limit.
    pub authority: &'a str,
    /// Its path with query; empty if nothing was said of it.
    pub path: &'a str,
    /// Who sent it.
    pub client: Option<IpAddr>,
    /// When the question came, by both clocks.
    pub asked: (SystemTime, Instant),
    /// What was decided.
    pub verdict: &'a Verdict,
}

impl<'a> Judged<'a> {
    /// What is told of a question and its answer; nothing of a report.
    pub(crate) fn new(
        service: &'static str,
        concern: &'a str,
        question: &'a Question,
        answer: &'a Answer,
        asked: (SystemTime, Instant),
    ) -> Option<Self> {
        let known = question.attributes();
        Some(Self {
            service,
            concern,
            direction: question.direction(),
            request_id: question.request_id(),
            method: question.text("request.method"),
            authority: question.text("request.host"),
            path: question.text("request.path"),
            client: known.source.ip,
            asked,
            verdict: answer.verdict()?,
        })
    }
}
