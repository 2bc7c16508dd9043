//! The backend of calls: gRPC over HTTP/2, a message of 1 KiB and a status behind it in every answer.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use tokio::net::TcpListener;

const MESSAGE: usize = 1024;

/// Listens on a free port, prints it, and answers until it is killed.
pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    let framed = Bytes::from(framed());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let framed = framed.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, framed.clone()));
            let builder = http2::Builder::new(TokioExecutor::new());
            // A connection that breaks is the proxy's to tell.
            let _ended = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A message with its length before it.
fn framed() -> Vec<u8> {
    let mut framed = vec![0, 0, 0, 4, 0];
    framed.resize(framed.len() + MESSAGE, b'x');
    framed
}

async fn answer(
    request: Request<Incoming>,
    framed: Bytes,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let _message = request.into_body().collect().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::from(framed).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says() {
        let framed = framed();
        let said = u32::from_be_bytes([framed[1], framed[2], framed[3], framed[4]]);
        assert_eq!(framed.len() - 5, said as usize);
    }
}
