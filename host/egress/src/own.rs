//! Requests that a program of a pod writes to a connection to its own pod, to a container there that answers requests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, StatusCode, Uri};
use osier_process::body::{self, Body};
use osier_process::serve::{Handle, Peer, serve_stream};
use osier_process::{Boxed, Tasks};
use osier_proxy::PodError;
use tokio::io::DuplexStream;

/// What comes of one request.
type Answered = Boxed<'static, Result<Response<Body>, PodError>>;

/// Who answers.
struct Own<F>(Arc<F>);

impl<F> Clone for Own<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: Fn(Request<Body>) -> Answered + Send + Sync + 'static> Handle for Own<F> {
    async fn handle(&self, _: &Arc<Peer>, mut request: Request<Body>) -> Response<Body> {
        absolute(&mut request);
        let answer = (self.0)(request).await;
        answer.unwrap_or_else(|error| {
            let mut response = Response::new(body::full(format!("{error}\n")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }
}

/// Serves HTTP on a connection within a pod, to its end.
pub async fn serve_own<F>(stream: DuplexStream, answer: F, tasks: Tasks)
where
    F: Fn(Request<Body>) -> Answered + Send + Sync + 'static,
{
    let peer = Peer::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    serve_stream(stream, peer, Own(Arc::new(answer)), tasks).await;
}

/// What a guest answers has a scheme and an authority.
fn absolute(request: &mut Request<Body>) {
    let host = request.headers_mut().remove(HOST);
    let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = parts.authority.or(host);
    parts
        .authority
        .get_or_insert(Authority::from_static("localhost"));
    parts
        .path_and_query
        .get_or_insert(PathAndQuery::from_static("/"));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}
