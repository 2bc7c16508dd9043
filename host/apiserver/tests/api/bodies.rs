//! How bodies are written: JSON, YAML, protobuf, too large, broken.

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
