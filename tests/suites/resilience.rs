//! Balancing and resilience as users see them: sessions that stick, and upstreams that fail without anybody noticing.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::load::Plan;
use osier_tests::server::Server;
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const HOST: &str = "shop.example.com";

fn apply(node: &Node, objects: &[Value]) {
    let all: Vec<String> = objects.iter().map(ToString::to_string).collect();
    node.apply_text(&all.join("\n---\n")).unwrap();
}

fn rule(host: &str, policy: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "policy"},
        "spec": {"host": host, "trafficPolicy": policy}})
}

/// The gateway, and a host outside that these servers serve through it.
fn shop(servers: &[&Server]) -> [Value; 3] {
    let endpoint =
        |server: &&Server| json!({"address": "127.0.0.1", "ports": {"http": server.port}});
    let endpoints: Vec<Value> = servers.iter().map(endpoint).collect();
    let object = |kind: &str, spec: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "shop"}, "spec": spec});
    let gateway = json!({"servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]});
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let entry =
        json!({"hosts": [HOST], "resolution": "STATIC", "ports": ports, "endpoints": endpoints});
    let retries = json!({"attempts": 2, "retryOn": "5xx"});
    let to_shop = json!([{"route": [{"destination": {"host": HOST}}], "retries": retries}]);
    let route = json!({"hosts": [HOST], "gateways": ["shop"], "http": to_shop});
    [
        object("Gateway", gateway),
        object("ServiceEntry", entry),
        object("VirtualService", route),
    ]
}

/// Waits until the object has nothing to complain of.
async fn in_force(node: &Node, plural: &str, name: &str) {
    let path = format!("/apis/networking.istio.io/v1/namespaces/default/{plural}/{name}");
    let accepted = || async {
        let object = objects::get(node, &path).await?;
        let generation = &object["metadata"]["generation"];
        ensure!(
            object["status"]["observedGeneration"] == *generation,
            "{object}"
        );
        ensure!(
            objects::condition(&object, "Accepted") == Some("True"),
            "{object}"
        );
        Ok(Some(()))
    };
    until(&format!("{plural} {name} is in force"), SOON, accepted)
        .await
        .unwrap();
}

/// Three pods that say their names, called through the gateway, under this policy.
async fn pods(policy: &Value) -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    let manifest = include_str!("manifests/echo.yaml").replace("replicas: 1", "replicas: 3");
    node.apply_text(&manifest).unwrap();
    apply(&node, &[rule("echo", policy)]);
    objects::ready(&node, "app=echo", 3).await.unwrap();
    in_force(&node, "destinationrules", "policy").await;
    node
}

/// What curl gets, with these further arguments: the name of the pod that answered.
fn curl(node: &Node, more: &[&str]) -> Result<String> {
    let url = format!("http://{}/", node.address("gateway")?);
    let output = Command::new("curl")
        .args(["-sS", "--fail"])
        .args(more)
        .arg(url)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said: Value = serde_json::from_slice(&output.stdout)?;
    Ok(said["pod"].as_str().context("a pod's name")?.to_owned())
}

/// Whoever asks like this comes to the same pod each time, and such callers are spread over all three pods. Where each comes to is
/// chance: they are asked until all have been met, of which two hundred miss one as good as never.
fn homes(node: &Node, caller: impl Fn(u32) -> Vec<String>) {
    let mut met = BTreeSet::new();
    for number in 0..200 {
        let caller = caller(number);
        let more: Vec<&str> = caller.iter().map(String::as_str).collect();
        let first = curl(node, &more).unwrap();
        for _ in 0..4 {
            assert_eq!(curl(node, &more).unwrap(), first);
        }
        met.insert(first);
        // Some more than are needed, so that each pod's callers are asked again.
        if met.len() == 3 && number >= 10 {
            return;
        }
    }
    assert!(met.len() == 3, "200 callers came to {met:?} only");
}

fn jar(folder: &Path, number: u32) -> Vec<String> {
    let jar = folder.join(number.to_string()).display().to_string();
    vec!["--cookie".into(), jar.clone(), "--cookie-jar".into(), jar]
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_stick_by_cookie_and_by_header() {
    let cookie = json!({"httpCookie": {"name": "session", "path": "/", "ttl": "300s"}});
    let node = pods(&json!({"loadBalancer": {"consistentHash": cookie}})).await;
    let folder = tempfile::tempdir().unwrap();
    homes(&node, |number| jar(folder.path(), number));
    let header = json!({"httpHeaderName": "x-user", "maglev": {}});
    apply(
        &node,
        &[rule(
            "echo",
            &json!({"loadBalancer": {"consistentHash": header}}),
        )],
    );
    in_force(&node, "destinationrules", "policy").await;
    homes(&node, |number| {
        vec!["--header".to_owned(), format!("x-user: user-{number}")]
    });
}

async fn metric(node: &Node, start: &str) -> Result<Option<f64>> {
    let text = http::get(&node.address("admin")?, "/metrics").await?.text();
    let line = text.lines().find(|line| line.starts_with(start));
    Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_left_out_and_nobody_notices() {
    let node = Node::start().unwrap();
    let (good, bad) = (
        Server::plain().await.unwrap(),
        Server::plain().await.unwrap(),
    );
    apply(&node, &shop(&[&good, &bad]));
    let policy = json!({"outlierDetection": {"consecutive5xxErrors": 3, "baseEjectionTime": "300s", "maxEjectionPercent": 50}});
    apply(&node, &[rule(HOST, &policy)]);
    for (plural, name) in [("virtualservices", "shop"), ("destinationrules", "policy")] {
        in_force(&node, plural, name).await;
    }
    let gateway = node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/x", 4).header("host", HOST).start();
    let both = || async {
        let called = good.requests() > 20 && bad.requests() > 20;
        Ok(called.then_some(()))
    };
    until("both servers are called", SOON, both).await.unwrap();
    bad.answer_with(503);
    let ejected = || async {
        let start = "envoy_cluster_outlier_detection_ejections_active";
        Ok((metric(&node, start).await? == Some(1.0)).then_some(()))
    };
    until("the bad one is left out", SOON, ejected)
        .await
        .unwrap();
    let (then, others) = (bad.requests(), good.requests());
    let more = || async { Ok((good.requests() > others + 200).then_some(())) };
    until("the good one is called", SOON, more).await.unwrap();
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
    // What was under way when it was left out may have come late.
    assert!(
        bad.requests() <= then + 4,
        "{} more calls",
        bad.requests() - then
    );
    let logged = || async {
        let log = node.log();
        let line = log.lines().find(|line| line.contains("outlierDetection"));
        let line = line.context("no line")?;
        ensure!(
            line.contains("consecutive_5xx") && line.contains(HOST),
            "{line}"
        );
        Ok(Some(()))
    };
    until("the log says so", SOON, logged).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_upstream_is_called_and_the_next_when_it_fails() {
    let node = Node::start().unwrap();
    let nodes = objects::get(&node, "/api/v1/nodes").await.unwrap();
    let path = format!("/api/v1/nodes/{}", objects::name(&nodes["items"][0]));
    let labels =
        json!({"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-1"});
    objects::merge(&node, &path, &json!({"metadata": {"labels": labels}}))
        .await
        .unwrap();
    let (near, far) = (
        Server::plain().await.unwrap(),
        Server::plain().await.unwrap(),
    );
    let [gateway, mut entry, route] = shop(&[&near, &far]);
    for (place, locality) in ["eu/eu-1", "us/us-1"].into_iter().enumerate() {
        entry["spec"]["endpoints"][place]["locality"] = json!(locality);
    }
    let policy = json!({"outlierDetection": {"consecutive5xxErrors": 3, "baseEjectionTime": "300s", "maxEjectionPercent": 100}});
    apply(&node, &[gateway, entry, route, rule(HOST, &policy)]);
    for (plural, name) in [("virtualservices", "shop"), ("destinationrules", "policy")] {
        in_force(&node, plural, name).await;
    }
    let address = node.address("gateway").unwrap();
    let ask = || async {
        let answer = http::get_with(&address, "/x", &[("host", HOST)]).await?;
        anyhow::Ok(answer.status.as_u16())
    };
    // The node's place comes into force with a snapshot of its own.
    let settled = || async {
        let before = far.requests();
        for _ in 0..10 {
            ensure!(ask().await? == 200);
        }
        Ok((far.requests() == before).then_some(()))
    };
    until("only the near one is called", SOON, settled)
        .await
        .unwrap();
    let before = (near.requests(), far.requests());
    for _ in 0..50 {
        assert_eq!(ask().await.unwrap(), 200);
    }
    assert_eq!((near.requests() - before.0, far.requests()), (50, before.1));
    near.answer_with(503);
    for _ in 0..50 {
        assert_eq!(ask().await.unwrap(), 200, "another try goes to the far one");
    }
    assert_eq!(
        near.requests() - before.0,
        53,
        "three failures, and then no more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_check_fails_gets_no_calls() {
    let node = Node::start().unwrap();
    let servers = [
        Server::plain().await.unwrap(),
        Server::plain().await.unwrap(),
    ];
    let [gateway, mut entry, mut route] = shop(&[]);
    entry["spec"]["endpoints"] = Value::Null;
    entry["spec"]["workloadSelector"] = json!({"labels": {"app": "shop"}});
    route["spec"]["http"][0]["retries"] = json!({"attempts": 0});
    apply(&node, &[gateway, entry, route]);
    for (number, server) in servers.iter().enumerate() {
        let name = format!("shop-{number}");
        let object = |kind: &str, spec: Value| {
            json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "spec": spec,
                "metadata": {"name": name, "annotations": {"istio.io/autoRegistrationGroup": name}}})
        };
        let get = json!({"path": "/healthz", "port": server.port});
        let probe = json!({"httpGet": get, "periodSeconds": 1, "failureThreshold": 1});
        let ports = json!({"http": server.port});
        let spec = json!({"address": "127.0.0.1", "labels": {"app": "shop"}, "ports": ports});
        let group = object("WorkloadGroup", json!({"template": {}, "probe": probe}));
        apply(&node, &[group, object("WorkloadEntry", spec)]);
        in_force(&node, "workloadgroups", &name).await;
    }
    let said = |words: &'static str, count: usize| {
        let node = &node;
        let told = move || async move {
            let log = node.log();
            let lines = log.lines().filter(|line| line.contains(words));
            Ok((lines.count() >= count).then_some(()))
        };
        async move { until(words, SOON, told).await.unwrap() }
    };
    said("a checked endpoint gets calls", 2).await;
    let address = node.address("gateway").unwrap();
    let all_answer = || async {
        for _ in 0..30 {
            let answer = http::get_with(&address, "/x", &[("host", HOST)])
                .await
                .unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    };
    all_answer().await;
    servers[0].answer_with(500);
    said("a checked endpoint fails", 1).await;
    all_answer().await;
    servers[0].answer_with(200);
    said("a checked endpoint gets calls", 3).await;
    all_answer().await;
}
