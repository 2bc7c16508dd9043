//! Through a real listener, with a real client of both HTTP versions.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Version};
use http_body::Frame;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use osier_process::serve::{Limits, Security, serve};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::GatewayListener;

type TestClient = Client<HttpConnector, Body>;

async fn listen(mesh: &Mesh) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handle = GatewayListener::new(mesh.proxy.clone(), ListenerKey::Main, mesh.tasks.stopping());
    mesh.tasks.spawn(
        "gateway",
        serve(
            listener,
            Security::Plain,
            handle,
            mesh.tasks.clone(),
            Limits::default(),
        ),
    );
    address
}

fn client(version: Version) -> TestClient {
    Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http()
}

fn channel_body(frames: mpsc::Receiver<Frame<Bytes>>) -> Body {
    let stream = futures::stream::unfold(frames, |mut frames| async {
        Some((Ok::<_, body_error::Never>(frames.recv().await?), frames))
    });
    body::boxed(http_body_util::StreamBody::new(stream))
}

mod body_error {
    #[derive(Debug, thiserror::Error)]
    #[error("never")]
    pub(super) enum Never {}
}

/// A pod that sends back every frame as it comes, and the number of bytes in a trailer.
fn echo_frames(mesh: &Mesh) {
    let tasks = mesh.tasks.clone();
    mesh.pod("echo-0", move |request| {
        let (send, receive) = mpsc::channel(1);
        tasks.spawn("echo", async move {
            let mut body = request.into_body();
            let mut count = 0;
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    count += data.len();
                    if send.send(Frame::data(data)).await.is_err() {
                        return;
                    }
                }
            }
            let trailers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-count"),
                HeaderValue::from(count),
            )]);
            let _gone = send.send(Frame::trailers(trailers)).await;
        });
        let response = Response::builder()
            .header("trailer", "x-count")
            .body(channel_body(receive))
            .unwrap();
        Box::pin(async { Ok(response) })
    });
}

#[tokio::test]
async fn bodies_stream_both_ways_at_once_with_trailers() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    echo_frames(&mesh);
    let address = listen(&mesh).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (send, receive) = mpsc::channel(1);
        let request = Request::post(format!("http://{address}/"))
            .version(version)
            .header("te", "trailers");
        let response = client(version).request(request.body(channel_body(receive)).unwrap());
        let (response, sent) =
            tokio::join!(response, send.send(Frame::data(Bytes::from_static(b"one"))));
        sent.unwrap();
        let mut body = response.unwrap().into_body();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "one",
            "before the request has ended"
        );
        send.send(Frame::data(Bytes::from_static(b"three")))
            .await
            .unwrap();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "three"
        );
        drop(send);
        let trailers = body
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap();
        assert_eq!(trailers["x-count"], "8", "{version:?}");
    }
    let reports = mesh.reports();
    assert!(
        reports.iter().all(
            |report| (report.flags, report.request_bytes, report.response_bytes) == ("-", 8, 8)
        ),
        "{reports:?}"
    );
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_pod() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    let (made, mut produced) = tokio::sync::watch::channel(0usize);
    let made = Arc::new(made);
    mesh.pod("echo-0", move |_| {
        let made = made.clone();
        let endless = futures::stream::repeat_with(move || {
            made.send_modify(|count| *count += 1);
            Ok(Bytes::from_static(&[0; 65_536]))
        });
        Box::pin(async { Ok(Response::new(body::stream(endless))) })
    });
    let address = listen(&mesh).await;
    let client = client(Version::HTTP_2);
    let mut response = client
        .request(get(&format!("http://{address}/")))
        .await
        .unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    // Windows and buffers fill, then production stands still.
    while tokio::time::timeout(Duration::from_millis(300), produced.changed())
        .await
        .is_ok()
    {
        assert!(
            *produced.borrow() < 1_000,
            "nobody reads and still {} MiB were made",
            *produced.borrow() / 16
        );
    }
    drop((response, client));
    let gone = async {
        while mesh.reports().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
    assert_eq!(mesh.report().flags, "DC");
}

#[tokio::test]
async fn head_and_empty_answers_are_reported_as_complete() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.pod("echo-0", |request| {
        let empty = request.uri().path() == "/empty";
        let body = if empty {
            body::empty()
        } else {
            body::full("hello")
        };
        let status = if empty { 204 } else { 200 };
        Box::pin(async move { Ok(Response::builder().status(status).body(body).unwrap()) })
    });
    let address = listen(&mesh).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = client(version);
        let uri = format!("http://{address}/");
        let head = Request::head(&uri).body(body::empty()).unwrap();
        let response = client.request(head).await.unwrap();
        assert_eq!(response.headers()["content-length"], "5");
        client.request(get(&format!("{uri}empty"))).await.unwrap();
        let whole = client
            .request(get(&uri))
            .await
            .unwrap()
            .into_body()
            .collect()
            .await;
        assert_eq!(whole.unwrap().to_bytes(), "hello");
    }
    let reports = mesh.reports();
    let ends: Vec<_> = reports
        .iter()
        .map(|report| (report.status, report.flags))
        .collect();
    let once = [(200, "-"), (204, "-"), (200, "-")];
    assert_eq!(ends, [once, once].concat());
}

#[tokio::test]
async fn stopping_lets_requests_under_way_end() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    echo_frames(&mesh);
    let address = listen(&mesh).await;
    let (send, receive) = mpsc::channel(1);
    let request = Request::post(format!("http://{address}/"))
        .body(channel_body(receive))
        .unwrap();
    let client = client(Version::HTTP_11);
    let (response, sent) = tokio::join!(
        client.request(request),
        send.send(Frame::data(Bytes::from_static(b"a")))
    );
    sent.unwrap();
    mesh.tasks.stop();
    send.send(Frame::data(Bytes::from_static(b"b")))
        .await
        .unwrap();
    drop(send);
    assert_eq!(
        response
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes(),
        "ab"
    );
    mesh.tasks.drained(Duration::from_secs(5)).await.unwrap();
    assert_eq!(mesh.report().flags, "-");
}
