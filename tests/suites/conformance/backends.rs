//! The servers that routes lead to. They keep what they saw, and do as the request's header `x-do` says.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use osier_tests::server::takes;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// A request as a backend saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which backend.
    pub(crate) by: &'static str,
    /// The ask that it belongs to.
    pub(crate) ask: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// `a`, `b` and `mirror`, and a port at which nobody listens.
pub(crate) struct Backends {
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) mirror: u16,
    pub(crate) closed: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Backends {
    pub(crate) async fn start() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            a: serve("a", &seen).await,
            b: serve("b", &seen).await,
            mirror: serve("mirror", &seen).await,
            closed: gone.local_addr().unwrap().port(),
            seen,
        }
    }

    /// What was seen of an ask.
    pub(crate) fn seen(&self, ask: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|one| one.ask == ask).cloned().collect()
    }
}

async fn serve(name: &'static str, seen: &Arc<Mutex<Vec<Seen>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::clone(seen));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(name, Arc::clone(&seen), request));
                let builder = auto::Builder::new(TokioExecutor::new());
                let _broken = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    port
}

/// What `x-do` asks for: `status=N`, `grpc=N`, `sleep=MS` or `reset`; `times=N`: only for the first tries; `at=NAME`: only there.
#[derive(Default)]
struct Wish {
    what: String,
    value: u64,
}

impl Wish {
    fn of(headers: &HeaderMap, name: &str, tries: usize) -> Self {
        let text = headers.get("x-do").and_then(|value| value.to_str().ok());
        let mut words = text.unwrap_or_default().split(' ');
        let first = words.next().unwrap_or_default();
        let (what, value) = first.split_once('=').unwrap_or((first, "0"));
        for word in words {
            let due = match word.split_once('=') {
                Some(("times", count)) => tries < count.parse().unwrap(),
                Some(("at", place)) => place == name,
                _ => true,
            };
            if !due {
                return Self::default();
            }
        }
        Self {
            what: what.to_owned(),
            value: value.parse().unwrap(),
        }
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    name: &'static str,
    all: Arc<Mutex<Vec<Seen>>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |name: &str| {
        let value = head.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned)
    };
    let seen = Seen {
        by: name,
        ask: text("x-ask").unwrap_or_default(),
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        host: text("host")
            .or(head.uri.authority().map(ToString::to_string))
            .unwrap_or_default(),
        headers: head.headers,
        body,
    };
    let tries = {
        let mut all = all.lock().unwrap();
        let before = all
            .iter()
            .filter(|one| one.ask == seen.ask && one.by != "mirror");
        let before = before.count();
        all.push(seen.clone());
        before
    };
    let wish = match name {
        "mirror" => Wish::default(),
        _ => Wish::of(&seen.headers, name, tries),
    };
    match wish.what.as_str() {
        "reset" => return Err(io::ErrorKind::ConnectionReset.into()),
        "sleep" => takes(Duration::from_millis(wish.value)).await,
        _ => {}
    }
    Ok(said(&seen, &wish))
}

fn said(seen: &Seen, wish: &Wish) -> Response<Body> {
    let calls = seen.headers.get("content-type");
    let mut response = match calls {
        Some(kind) if kind == "application/grpc" => call(seen, wish),
        _ => Response::new(Full::from(format!("seen by {}", seen.by)).boxed()),
    };
    if wish.what == "status" {
        *response.status_mut() = StatusCode::from_u16(wish.value.try_into().unwrap()).unwrap();
    }
    let headers = response.headers_mut();
    headers.insert("x-by", HeaderValue::from_static(seen.by));
    for given in seen.headers.get_all("x-give") {
        let (name, value) = given.to_str().unwrap().split_once('=').unwrap();
        let name: http::HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    response
}

/// The answer to a call of gRPC: its message again and a status behind it, or a status alone.
fn call(seen: &Seen, wish: &Wish) -> Response<Body> {
    let mut response = Response::new(Full::default().boxed());
    let status = if wish.what == "grpc" { wish.value } else { 0 };
    if status == 0 {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(status));
        let body = Full::from(seen.body.clone());
        *response.body_mut() = body.with_trailers(async { Some(Ok(trailers)) }).boxed();
    } else {
        let headers = response.headers_mut();
        headers.insert("grpc-status", HeaderValue::from(status));
    }
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}
