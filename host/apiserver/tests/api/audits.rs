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
