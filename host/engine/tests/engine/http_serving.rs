//! Requests that go well.

use crate::guests::{HELLO, Paper, container, eventually, get, request, serve, text, workload};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};
use osier_engine::Container;
use osier_process::body::{self, Body, BodyError};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn a_small_answer_is_served() {
    let http = workload(HELLO).http(container()).unwrap();
    let answer = http.call(request("/")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "Hello, mesh!\n");
    let usage = http.usage();
    assert_eq!((usage.instances, usage.requests, usage.traps), (1, 1, 0));
    assert!(usage.memory > 0 && usage.cpu > Duration::ZERO);
}

#[tokio::test]
async fn a_small_answer_is_whole_at_once_and_its_length_known() {
    let http = workload(HELLO).http(container()).unwrap();
    // A slice can end in the middle of an answer if the machine is busy; it does not always.
    for _ in 0..1000 {
        let answer = http.call(request("/")).await.unwrap();
        if answer.body().size_hint().exact() == Some(13) {
            return;
        }
    }
    panic!("never whole");
}

#[tokio::test]
async fn bodies_stream_both_ways_with_trailers() {
    let http = serve(container());
    let (send, chunks) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, BodyError>>(1);
    let chunks = futures::stream::unfold(chunks, |mut chunks| async move {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    });
    let request = Request::post("http://fixture/echo")
        .body(StreamBody::new(chunks.boxed()).boxed_unsync())
        .unwrap();
    let mut answer = http.call(request).await.unwrap().into_body();
    for word in ["one", "two", "three"] {
        // Each chunk is back before the next is sent.
        send.send(Ok(Frame::data(word.into()))).await.unwrap();
        assert_eq!(
            answer.frame().await.unwrap().unwrap().into_data().unwrap(),
            word
        );
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "abc".parse().unwrap());
    send.send(Ok(Frame::trailers(trailers))).await.unwrap();
    assert_eq!(
        answer
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap()["x-checksum"],
        "abc"
    );
    assert!(answer.frame().await.is_none());
    assert_eq!(
        text(&http, "/count").await,
        "2",
        "the instance was given back"
    );
}

#[tokio::test]
async fn a_large_body_passes_whole() {
    let http = serve(container());
    let sent: Vec<u8> = (0..4_000_000u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let request = Request::post("http://fixture/echo")
        .body(body::full(sent.clone()))
        .unwrap();
    let back = http
        .call(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    assert!(
        back == sent,
        "{} bytes came back of {}",
        back.len(),
        sent.len()
    );
}

#[tokio::test]
async fn an_instance_serves_its_share_and_is_replaced() {
    let http = serve(Container {
        max_requests_per_instance: 3,
        ..container()
    });
    let mut counts = Vec::new();
    for _ in 0..7 {
        counts.push(text(&http, "/count").await);
    }
    assert_eq!(counts, ["1", "2", "3", "1", "2", "3", "1"]);
}

#[tokio::test]
async fn a_guest_works_on_after_its_answer() {
    let http = serve(Container {
        max_instances: 1,
        ..container()
    });
    assert_eq!(text(&http, "/late").await, "later");
    // One instance: this request waits until the late work is done.
    assert_eq!(text(&http, "/lateness").await, "1");
}

#[tokio::test]
async fn a_reader_that_does_not_ask_for_the_end_stops_nobody() {
    let http = serve(Container {
        max_instances: 1,
        ..container()
    });
    let head = Request::builder()
        .method(Method::HEAD)
        .uri("http://fixture/late")
        .body(body::empty())
        .unwrap();
    drop(http.call(head).await.unwrap());
    assert_eq!(text(&http, "/lateness").await, "1");
}

#[tokio::test]
async fn standard_streams_reach_their_outputs() {
    let (out, err) = (Arc::new(Paper::default()), Arc::new(Paper::default()));
    let http = serve(Container {
        stdout: out.clone(),
        stderr: err.clone(),
        ..container()
    });
    text(&http, "/print").await;
    assert_eq!(
        (out.text().as_str(), err.text().as_str()),
        ("to stdout\n", "to stderr\n")
    );
}

#[tokio::test]
async fn a_request_without_a_host_is_served() {
    let http = serve(container());
    let request = Request::get("/authority").body(body::empty()).unwrap();
    let answer: Response<Body> = http.call(request).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "localhost"
    );
}

#[tokio::test]
async fn an_unread_body_holds_the_guest_back() {
    let http = serve(container());
    let mut answer = get(&http, "/drip").await.unwrap().into_body();
    for _ in 0..100 {
        assert_eq!(
            answer
                .frame()
                .await
                .unwrap()
                .unwrap()
                .into_data()
                .unwrap()
                .len(),
            4096
        );
    }
    let before = http.usage().cpu;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(http.usage().cpu, before, "nobody reads, nothing runs");
    drop(answer);
    assert_eq!(
        http.usage().instances,
        0,
        "a reader that goes away ends the guest"
    );
}

#[tokio::test]
async fn start_makes_an_instance_for_the_first_request() {
    let http = serve(container());
    assert_eq!(http.usage().instances, 0);
    http.start().await.unwrap();
    eventually("one instance", || http.usage().instances == 1).await;
    assert_eq!(text(&http, "/count").await, "1");
    assert_eq!(http.usage().instances, 1);
}

#[tokio::test]
async fn a_long_conversation_is_no_loop() {
    let http = serve(Container {
        request_deadline: Duration::from_millis(500),
        ..container()
    });
    let mut answer = get(&http, "/drip").await.unwrap().into_body();
    while http.usage().cpu < Duration::from_millis(700) {
        answer.frame().await.unwrap().unwrap();
    }
}
