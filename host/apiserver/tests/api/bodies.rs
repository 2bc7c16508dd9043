//! How bodies are written: JSON, YAML, protobuf, too large, broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use osier_apiserver::Listener;
use osier_process::body;
use osier_process::serve::{Handle as _, Peer};
use serde_json::json;

use crate::server::{MAPS, Server, map, request};

#[tokio::test]
async fn yaml_is_read() {
    let server = Server::new().await;
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  a: 'x'\n";
    let made = server
        .send(request("POST", MAPS, "application/yaml", text))
        .await
        .good();
    assert_eq!(made["data"], json!({"a": "x"}));
}

#[tokio::test]
async fn protobuf_of_a_known_kind_is_read() {
    let server = Server::new().await;
    let text = "k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x07\n\x05\n\x03abc";
    let made = server
        .send(request(
            "POST",
            MAPS,
            "application/vnd.kubernetes.protobuf",
            text,
        ))
        .await
        .good();
    assert_eq!(made["metadata"]["name"], "abc");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_the_reason() {
    let server = Server::new().await;
    let broken = server
        .send(request("POST", MAPS, "application/json", "{\"a\": "))
        .await;
    assert_eq!(
        (broken.code, broken.json()["reason"].as_str()),
        (400, Some("BadRequest"))
    );
    assert!(broken.message().contains("line 1"), "{}", broken.message());
    let media = server
        .send(request("POST", MAPS, "application/xml", "<a/>"))
        .await;
    assert_eq!(media.code, 415);
    assert!(
        media
            .message()
            .contains("accepted media types include: application/json"),
        "{}",
        media.message()
    );
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let server = Server::new().await;
    let mut body = map("m");
    body["data"]["a"] = json!("x".repeat(3 << 20));
    let refused = server.post(MAPS, body).await;
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (413, Some("RequestEntityTooLarge"))
    );
}

#[tokio::test]
async fn what_a_refused_request_sent_is_taken_off_its_connection() {
    let server = Server::new().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&taken);
    let pieces = (0..10).map(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        Ok(bytes::Bytes::from_static(&[b' '; 1000]))
    });
    let body = body::stream(futures::stream::iter(pieces));
    let request = http::Request::post(MAPS).body(body).unwrap();
    let peer = Arc::new(Peer::plain(([127, 0, 0, 1], 1).into()));
    let answer = Listener(server.api.clone()).handle(&peer, request).await;
    assert_eq!(answer.status(), 403, "nobody in particular creates nothing");
    assert_eq!(taken.load(Ordering::Relaxed), 10);
}
