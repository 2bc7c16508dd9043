//! Raw connections that go on through a forward proxy over HTTP/1.1: it is asked by CONNECT (RFC 9110, 9.3.6), or by a POST whose bodies
//! are the two directions.

use crate::Tasks;
use crate::body::{self, Body, BodyError};
use crate::serve::Stream;
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

/// Bytes of one direction that wait between a connection and the bodies of a POST.
const BUFFER: usize = 64 * 1024;
/// Bytes of one piece of a body.
const PIECE: usize = 16 * 1024;

/// Asks the forward proxy at the other end of a stream for a connection to `target`, `HOST:PORT`, by POST or else by CONNECT.
///
/// # Errors
/// It refused, or did not answer as a proxy does. How long that may take, the caller bounds.
pub async fn through<S: Stream + 'static>(
    stream: S,
    (target, posts): (&str, bool),
    tasks: &Tasks,
) -> io::Result<Box<dyn Stream>> {
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(io::Error::other)?;
    tasks.spawn("forward-proxy", async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a forward proxy ended early");
        }
    });
    match posts {
        true => posted(&mut sender, target, tasks).await,
        false => connected(&mut sender, target).await,
    }
}

async fn connected(
    sender: &mut http1::SendRequest<Body>,
    target: &str,
) -> io::Result<Box<dyn Stream>> {
    let request = request(target, Method::CONNECT, body::empty())?;
    let response = agreed(sender, request).await?;
    let stream = hyper::upgrade::on(response).await;
    let stream = stream.map_err(io::Error::other)?;
    Ok(Box::new(TokioIo::new(stream)))
}

async fn posted(
    sender: &mut http1::SendRequest<Body>,
    target: &str,
    tasks: &Tasks,
) -> io::Result<Box<dyn Stream>> {
    let (own, other) = tokio::io::duplex(BUFFER);
    let (read, write) = tokio::io::split(other);
    let request = request(target, Method::POST, sending(read))?;
    let response = agreed(sender, request).await?;
    tasks.spawn("forward-proxy-answer", receive(response, write));
    Ok(Box::new(own))
}

/// What is written into a connection, as a body.
fn sending(read: ReadHalf<DuplexStream>) -> Body {
    let pieces = stream::try_unfold(read, |mut read| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let count = read.read_buf(&mut piece).await?;
        let more = (count > 0).then(|| (piece.freeze(), read));
        Ok::<Option<(Bytes, _)>, BodyError>(more)
    });
    body::stream(pieces)
}

/// Writes a body into a connection, until either has ended.
async fn receive(response: Response<Incoming>, mut write: WriteHalf<DuplexStream>) {
    let mut incoming = response.into_body();
    while let Some(Ok(frame)) = incoming.frame().await {
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if write.write_all(&piece).await.is_err() {
            return;
        }
    }
    let _gone = write.shutdown().await;
}

fn request(target: &str, method: Method, body: Body) -> io::Result<Request<Body>> {
    let to = match method {
        Method::CONNECT => target.parse::<Uri>(),
        _ => Ok(Uri::from_static("/")),
    };
    let host = HeaderValue::try_from(target);
    let (Ok(to), Ok(host)) = (to, host) else {
        return Err(io::Error::other("the target is no host and port"));
    };
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut()) = (method, to);
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}

async fn agreed(
    sender: &mut http1::SendRequest<Body>,
    request: Request<Body>,
) -> io::Result<Response<Incoming>> {
    let response = sender.send_request(request).await;
    let response = response.map_err(io::Error::other)?;
    match response.status().is_success() {
        true => Ok(response),
        false => Err(io::Error::other(format!(
            "it answered {}",
            response.status()
        ))),
    }
}
