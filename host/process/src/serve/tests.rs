//! The accept loop against a real client.
#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::body;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone)]
struct Echo;

impl Handle for Echo {
    async fn handle(&self, _peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        Response::new(request.into_body())
    }
}

async fn started(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(
        "listener",
        serve(
            listener,
            Security::Plain,
            Echo,
            tasks.clone(),
            Limits::default(),
        ),
    );
    address
}

#[tokio::test]
async fn a_body_is_echoed_over_http_1() {
    let tasks = Tasks::new();
    let address = started(&tasks).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tasks.spawn("client", connection);
    let response = send
        .send_request(Request::post("/").body(body::full("hello")).unwrap())
        .await
        .unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "hello"
    );
    drop(send);
    tasks.drained(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn an_open_connection_still_gets_its_answer_after_stop() {
    let tasks = Tasks::new();
    let address = started(&tasks).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let mut first = [0; 512];
    let read = stream.read(&mut first).await.unwrap();
    assert!(!String::from_utf8_lossy(&first[..read]).contains("connection: close"));
    tasks.stop();
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(
        rest.starts_with("HTTP/1.1 200 OK")
            && rest.contains("connection: close")
            && rest.ends_with("ok"),
        "{rest}"
    );
    tasks.drained(Duration::from_secs(5)).await.unwrap();
}
