//! The admin listener: metrics and health, plain HTTP, meant for loopback.

use http::{Method, Request, Response, StatusCode, header};
use osier_process::body::{self, Body};
use osier_process::metrics::{self, Metrics};
use osier_process::readiness::Readiness;
use osier_process::serve::{Handle, Peer};
use std::sync::Arc;

/// What a node that goes holds its readiness by.
pub(crate) const DRAINING: &str = "draining";

/// Answers `/metrics`, `/healthz`, `/livez`, `/readyz` and an index.
#[derive(Clone)]
pub(crate) struct Admin {
    /// What `/metrics` shows.
    pub(crate) metrics: Metrics,
    /// What `/readyz` waits for.
    pub(crate) readiness: Readiness,
}

impl Admin {
    /// A page that tells these.
    pub(super) fn of(metrics: &Metrics, readiness: &Readiness) -> Self {
        Self {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
        }
    }
}

impl Handle for Admin {
    async fn handle(&self, _peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is served here\n".to_owned(),
            );
        }
        match request.uri().path() {
            "/metrics" => {
                let mut response = text(StatusCode::OK, self.metrics.encode());
                let kind = header::HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            "/healthz" | "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.ready(),
            "/" => text(
                StatusCode::OK,
                "osier: /metrics /healthz /livez /readyz\n".to_owned(),
            ),
            path => text(
                StatusCode::NOT_FOUND,
                format!("{path} is not served here; see /\n"),
            ),
        }
    }
}

impl Admin {
    fn ready(&self) -> Response<Body> {
        let waiting = self.readiness.waiting();
        if waiting.is_empty() {
            text(StatusCode::OK, "ok\n".to_owned())
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, not_ready(&waiting))
        }
    }
}

/// A node that drains waits for nothing: it is about to go.
fn not_ready(waiting: &[&str]) -> String {
    match waiting.contains(&DRAINING) {
        true => "not ready: the node is draining\n".to_owned(),
        false => format!("not ready: waiting for {}\n", waiting.join(", ")),
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
