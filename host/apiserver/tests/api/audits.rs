//! The audit log: who did what to which object, and how it ended.

use std::time::Duration;

use osier_apiserver::User;
use serde_json::Value;

use crate::server::{MAPS, PODS, Server, map, request};

#[tokio::test]
async fn every_request_leaves_a_line() {
    let server = Server::new().await;
    let ann = User::new("ann", ["dev"]);
    server.send_as(&ann, request("GET", PODS, "", "")).await;
    server.post(MAPS, map("m")).await.good();
    let mut disguised = request("DELETE", &format!("{MAPS}/m"), "", "");
    let headers = disguised.headers_mut();
    headers.insert("impersonate-user", "bob".parse().unwrap());
    headers.insert("user-agent", "kubectl/1.33".parse().unwrap());
    server.send(disguised).await;
    let agent = User::new("system:node:n", ["system:nodes"]);
    server.send_as(&agent, request("GET", PODS, "", "")).await;
    server.tasks.drained(Duration::from_secs(30)).await.unwrap();
    let text = std::fs::read_to_string(server.folder.path().join("audit.log")).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let object = &line["objectRef"];
            format!(
                "{} {} {}/{} {}",
                line["user"]["username"].as_str().unwrap(),
                line["verb"].as_str().unwrap(),
                object["resource"].as_str().unwrap(),
                object["name"].as_str().unwrap_or("*"),
                line["responseStatus"]["code"]
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "ann list pods/* 403",
            "admin create configmaps/* 201",
            "admin delete configmaps/m 403",
        ],
        "what the node reads is not noted"
    );
    assert_eq!(
        lines[0]["annotations"]["authorization.k8s.io/decision"],
        "forbid"
    );
    assert_eq!(lines[2]["impersonatedUser"]["username"], "bob");
    assert_eq!(lines[2]["userAgent"], "kubectl/1.33");
    assert_eq!(
        (&lines[1]["kind"], &lines[1]["level"]),
        (&"Event".into(), &"Metadata".into())
    );
}

#[tokio::test]
async fn a_policy_says_how_much_is_noted() {
    let server = Server::auditing(serde_json::json!([
        {"level": "None", "verbs": ["list"]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}], "omitStages": ["RequestReceived"]},
        {"level": "RequestResponse", "verbs": ["create"], "omitManagedFields": true, "omitStages": ["RequestReceived"]},
        {"level": "Request"},
    ]))
    .await;
    let secrets = "/api/v1/namespaces/default/secrets";
    server.get(MAPS).await.good();
    let secret = serde_json::json!({"metadata": {"name": "s"}, "stringData": {"a": "hunter2"}});
    server.post(secrets, secret).await.good();
    server.post(MAPS, map("m")).await.good();
    let patch = serde_json::json!({"data": {"b": "2"}});
    server
        .merge(&format!("{MAPS}/m"), patch.clone())
        .await
        .good();
    server.tasks.drained(Duration::from_secs(30)).await.unwrap();
    let text = std::fs::read_to_string(server.folder.path().join("audit.log")).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| ["level", "stage", "verb"].map(|field| line[field].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ["Metadata", "ResponseComplete", "create"],
            ["RequestResponse", "ResponseComplete", "create"],
            ["Request", "RequestReceived", "patch"],
            ["Request", "ResponseComplete", "patch"],
        ]
    );
    assert_eq!(lines[1]["requestObject"]["data"]["a"], "1");
    let answered = &lines[1]["responseObject"];
    assert!(answered["metadata"]["uid"].is_string(), "{answered}");
    assert!(
        answered["metadata"]["managedFields"].is_null(),
        "{answered}"
    );
    assert_eq!(lines[3]["requestObject"], patch);
    assert!(lines[3]["responseObject"].is_null());
}
