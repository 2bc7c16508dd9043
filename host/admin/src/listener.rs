//! What the admin listener answers, by path.

use crate::graph::Graph;
use crate::page::{self, Asset};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use osier_process::body::{self, Body};
use osier_process::metrics::{self, Metrics};
use osier_process::readiness::Readiness;
use osier_process::serve::{Handle, Peer};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a node that goes holds its readiness by.
pub const DRAINING: &str = "draining";

/// How long a graph is answered again before the metrics are read once more, however many look.
const FRESH: Duration = Duration::from_secs(1);

/// Answers `/metrics`, `/healthz`, `/livez`, `/readyz`, `/dashboard` and an index.
#[derive(Clone)]
pub struct Admin {
    metrics: Metrics,
    readiness: Readiness,
    began: Instant,
    graph: Arc<Mutex<Option<Drawn>>>,
}

/// A graph as JSON, and when it was made.
type Drawn = (Instant, Arc<str>);

impl Admin {
    /// A listener that tells these.
    #[must_use]
    pub fn of(metrics: &Metrics, readiness: &Readiness) -> Self {
        Self {
            metrics: metrics.clone(),
            readiness: readiness.clone(),
            began: Instant::now(),
            graph: Arc::default(),
        }
    }
}

impl Handle for Admin {
    async fn handle(&self, _peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        match *request.method() {
            Method::GET | Method::HEAD => self.answer(request.uri().path(), request.headers()),
            _ => text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET is served here\n".to_owned(),
            ),
        }
    }
}

impl Admin {
    fn answer(&self, path: &str, headers: &HeaderMap) -> Response<Body> {
        match path {
            "/metrics" => typed(StatusCode::OK, metrics::CONTENT_TYPE, self.metrics.encode()),
            "/healthz" | "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.ready(),
            "/" if looks(headers) => to_dashboard(),
            "/" => text(
                StatusCode::OK,
                "osier: /metrics /healthz /livez /readyz /dashboard\n".to_owned(),
            ),
            "/dashboard/graph.json" => {
                let graph = self.graph(Instant::now());
                typed(
                    StatusCode::OK,
                    "application/json",
                    graph.as_ref().to_owned(),
                )
            }
            path => match page::asset(path) {
                Some(asset) => shown(&asset),
                None => text(
                    StatusCode::NOT_FOUND,
                    format!("{path} is not served here; see /\n"),
                ),
            },
        }
    }

    fn ready(&self) -> Response<Body> {
        let waiting = self.readiness.waiting();
        if waiting.is_empty() {
            text(StatusCode::OK, "ok\n".to_owned())
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, not_ready(&waiting))
        }
    }

    fn graph(&self, now: Instant) -> Arc<str> {
        let mut kept = self.graph.lock();
        if let Some((made, graph)) = &*kept
            && now.saturating_duration_since(*made) < FRESH
        {
            return graph.clone();
        }
        let at = now.saturating_duration_since(self.began).as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let graph = Graph::read(&self.metrics.encode(), at);
        let graph: Arc<str> = serde_json::to_string(&graph).unwrap_or_default().into();
        *kept = Some((now, graph.clone()));
        graph
    }
}

/// Whether a browser asks, which would rather have the page than a line of text.
fn looks(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

fn to_dashboard() -> Response<Body> {
    let mut response = text(StatusCode::FOUND, "see /dashboard\n".to_owned());
    let place = HeaderValue::from_static("/dashboard");
    response.headers_mut().insert(header::LOCATION, place);
    response
}

/// The page may load what comes from here and nothing else, so that no name in the metrics can ever become a program.
fn shown(asset: &Asset) -> Response<Body> {
    let mut response = typed(StatusCode::OK, asset.kind, asset.text.to_owned());
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// A node that drains waits for nothing: it is about to go.
fn not_ready(waiting: &[&str]) -> String {
    match waiting.contains(&DRAINING) {
        true => "not ready: the node is draining\n".to_owned(),
        false => format!("not ready: waiting for {}\n", waiting.join(", ")),
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn admin() -> Admin {
        Admin::of(&Metrics::new(), &Readiness::new())
    }

    fn asked(path: &str, accept: Option<&'static str>) -> Response<Body> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        admin().answer(path, &headers)
    }

    #[test]
    fn browsers_are_led_to_the_page_and_others_read_what_there_is() {
        let browser = asked("/", Some("text/html,application/xhtml+xml"));
        assert_eq!(browser.status(), StatusCode::FOUND);
        assert_eq!(browser.headers()[header::LOCATION], "/dashboard");
        assert_eq!(asked("/", Some("*/*")).status(), StatusCode::OK);
        assert_eq!(asked("/", None).status(), StatusCode::OK);
        assert_eq!(asked("/nothing", None).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_page_loads_only_what_is_served_beside_it() {
        let page = asked("/dashboard", None);
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for path in page::PATHS {
            assert_eq!(asked(path, None).status(), StatusCode::OK, "{path}");
        }
        let graph = asked("/dashboard/graph.json", None);
        assert_eq!(graph.headers()[header::CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_graph_is_made_once_a_second() {
        let (admin, now) = (admin(), Instant::now());
        let first = admin.graph(now);
        assert!(Arc::ptr_eq(&first, &admin.graph(now + FRESH / 2)));
        assert!(!Arc::ptr_eq(&first, &admin.graph(now + FRESH)));
    }
}
