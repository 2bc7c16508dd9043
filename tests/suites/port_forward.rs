//! `kubectl port-forward` with every kubectl: SPDY of the old ones, SPDY inside WebSocket of the new ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::http::{self, Answer};
use osier_tests::kubectl::{Kubectl, all, installed};
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(60);

fn echo(node: &str) -> String {
    let mut pod = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "echo", "image": "echo:1.0", "ports": [{"name": "http", "containerPort": 8080}],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}],
    });
    if !node.is_empty() {
        pod["nodeName"] = node.into();
    }
    let all = [
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "echo", "labels": {"app": "echo"}}, "spec": pod}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"}, "spec": {
            "selector": {"app": "echo"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}),
    ];
    all.map(|object| object.to_string()).join("\n---\n")
}

async fn site() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node
}

/// A kubectl that forwards a port of this machine; ended when dropped.
struct Forward {
    child: Child,
    address: String,
}

impl Forward {
    fn start(kubectl: &Kubectl, node: &Node, line: &str) -> Self {
        let mut child = kubectl
            .command(&node.kubeconfig())
            .arg("port-forward")
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // To its end: a kubectl that cannot write ends.
            for line in output.lines().map_while(Result::ok) {
                let _only_the_first_is_awaited = sender.send(line);
            }
        });
        let first = lines.recv_timeout(LIMIT);
        let first = first.unwrap_or_else(|_| panic!("port-forward {line} says nothing"));
        // Forwarding from 127.0.0.1:40001 -> 8080
        let address = first.split_whitespace().nth(2).unwrap().to_owned();
        Self { child, address }
    }

    /// What it complained of.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        let mut said = String::new();
        let mut output = self.child.stderr.take().unwrap();
        output.read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

async fn get(address: &str, path: &str, long: &str) -> anyhow::Result<Answer> {
    http::get_with(address, path, &[("x-long", long)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_reaches_pods_and_services_through_the_mesh() {
    let (kubectls, skipped) = all();
    skipped
        .iter()
        .for_each(|reason| println!("skipped: {reason}"));
    assert!(!kubectls.is_empty());
    let node = site().await;
    node.apply_text(&echo("")).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    // More than one frame, and than any buffer on the way.
    let long = "x".repeat(30_000);
    for (number, kubectl) in kubectls.iter().enumerate() {
        println!("with kubectl {}", kubectl.version);
        for (to, line) in [("pod", "pod/echo :8080"), ("service", "service/echo :80")] {
            let forward = Forward::start(kubectl, &node, line);
            let path = format!("/{to}-{number}");
            let mut calls = JoinSet::new();
            for _ in 0..20 {
                let (address, path, long) = (forward.address.clone(), path.clone(), long.clone());
                calls.spawn(async move { get(&address, &path, &long).await });
            }
            for call in calls.join_all().await {
                let told: Value = call.unwrap().json().unwrap();
                assert_eq!(
                    (&told["pod"], &told["path"]),
                    (&"echo".into(), &path.clone().into())
                );
                assert_eq!(told["headers"]["x-long"], long, "{}", kubectl.version);
            }
            logged(&node, &path).await;
        }
        let forward = Forward::start(kubectl, &node, "pod/echo :9");
        assert!(get(&forward.address, "/", "").await.is_err());
        let said = forward.end();
        assert!(said.contains("does not listen on port 9"), "{said}");
    }
}

/// Each call has its line in the access log, as one from whoever forwards to the pod, and is counted.
async fn logged(node: &Node, path: &str) {
    let parts = [
        "source=\"port-forward\"",
        "destination=\"echo\"",
        "status=200",
    ];
    let told = || async {
        let log = node.log();
        let mut lines = log.lines().filter(|line| line.contains(path));
        let line = lines.find(|line| line.contains("osier::access"));
        Ok(line.map(ToOwned::to_owned))
    };
    let line = until("the access log tells the call", LIMIT, told)
        .await
        .unwrap();
    for part in parts {
        assert!(line.contains(part), "{part} in {line}");
    }
    let admin = node.address("admin").unwrap();
    let counted = || async {
        let metrics = http::get(&admin, "/metrics").await?.text();
        let mut lines = metrics.lines();
        let found = lines.any(|line| {
            line.starts_with("istio_requests_total{")
                && line.contains("destination_workload=\"echo\"")
        });
        ensure!(found, "no such metric");
        Ok(Some(()))
    };
    until("the calls are counted", LIMIT, counted)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_joined_nodes_are_reached_too() {
    let node = site().await;
    let joined = node.joined("second").unwrap();
    node.apply_text(&echo("second")).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let forward = Forward::start(&installed().unwrap(), &node, "pod/echo :8080");
    let told = get(&forward.address, "/far", "").await.unwrap();
    let told: Value = told.json().unwrap();
    assert_eq!(told["pod"], "echo");
    let logged = || async { Ok(joined.log().contains("path=\"/far\"").then_some(())) };
    until("the joined node logs the call", LIMIT, logged)
        .await
        .unwrap();
}
