//! A server that shows a request as it arrived: what a filter did to it is seen behind it.

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Answers with the request's method, path with query, headers that begin with `x-`, and body, as JSON. A path `/decide` is granted and
/// `/deny` is not. Ends when it is dropped.
pub struct Mirror {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    accepting: JoinHandle<()>,
}

impl Mirror {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            // Its connections end with the server.
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    // A connection that breaks is the client's to tell.
                    let _ended = builder
                        .serve_connection(TokioIo::new(stream), service_fn(answer))
                        .await;
                });
            }
        });
        Ok(Self { port, accepting })
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = Map::new();
    for (name, value) in &head.headers {
        // What proxies add themselves differs between them.
        let own = ["x-request-id", "x-forwarded", "x-envoy", "x-b3", "x-osier"];
        let name = name.as_str();
        if name.starts_with("x-") && !own.iter().any(|prefix| name.starts_with(prefix)) {
            let values = headers.entry(name).or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(String::from_utf8_lossy(value.as_bytes()).into());
            }
        }
    }
    let (status, text) = match path {
        "/decide" => (StatusCode::OK, "granted".to_owned()),
        "/deny" => (StatusCode::FORBIDDEN, "no".to_owned()),
        path => {
            let seen = json!({"method": head.method.as_str(), "path": path, "headers": headers,
                "body": String::from_utf8_lossy(&body)});
            (StatusCode::OK, seen.to_string())
        }
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    Ok(response)
}
