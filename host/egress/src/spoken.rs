//! Requests to a program that speaks HTTP itself, on a connection for each: of probes, and of containers of its own pod.

use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, Uri, Version};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use osier_process::Tasks;
use osier_process::body::{self, Body};
use osier_proxy::PodError;
use tokio::io::DuplexStream;

/// Sends one request on a connection of its own. gRPC is HTTP/2 wherever it goes.
///
/// # Errors
/// The program speaks no HTTP, or hangs up.
pub async fn ask(
    stream: DuplexStream,
    mut request: Request<Body>,
    tasks: &Tasks,
) -> Result<Response<Body>, PodError> {
    let stream = TokioIo::new(stream);
    let response = if is_grpc(&request) {
        *request.version_mut() = Version::HTTP_2;
        let shaken = http2::handshake(tasks.clone(), stream).await;
        let (mut sender, connection) = shaken.map_err(failed)?;
        tasks.spawn("spoken", connection);
        sender.send_request(request).await
    } else {
        to_origin_form(&mut request);
        let shaken = http1::handshake(stream).await;
        let (mut sender, connection) = shaken.map_err(failed)?;
        tasks.spawn("spoken", connection);
        sender.send_request(request).await
    };
    Ok(response.map_err(failed)?.map(body::from_incoming))
}

fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The path in the target, the host in its header (RFC 9112, 3.2).
fn to_origin_form(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let authority = request.uri().authority().map(ToString::to_string);
    let host = authority.and_then(|host| HeaderValue::try_from(host).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

fn failed(error: hyper::Error) -> PodError {
    let reason = format!("its program does not answer in HTTP: {error}");
    PodError::Failed { reason }
}
