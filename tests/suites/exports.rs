//! Who sees what: objects of one namespace hold for the callers to whom they are exported, and for nobody else.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::{binary, component};
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(60);

fn apply(node: &Node, objects: &[Value]) {
    let all: Vec<String> = objects.iter().map(ToString::to_string).collect();
    node.apply_text(&all.join("\n---\n")).unwrap();
}

fn istio(kind: &str, (namespace, name): (&str, &str), spec: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "spec": spec})
}

/// A rule by which `stable` is this version.
fn stable(namespace: &str, version: &str, to: &[&str]) -> Value {
    let subsets = json!([{"name": "stable", "labels": {"version": version}}]);
    let spec = json!({"host": "echo.shop.svc.cluster.local", "subsets": subsets, "exportTo": to});
    istio("DestinationRule", (namespace, "stable"), &spec)
}

fn fixed(namespace: &str, body: &str, to: &[&str]) -> Value {
    let answer = json!({"status": 200, "body": {"string": body}});
    let spec = json!({"hosts": ["echo.shop.svc.cluster.local"], "exportTo": to, "http": [{"directResponse": answer}]});
    istio("VirtualService", (namespace, "fixed"), &spec)
}

/// What `echo.shop` answers to the pod of a namespace.
async fn called(node: &Node, namespace: &str) -> Result<String> {
    let gateway = node.address("gateway")?;
    let host = format!("{namespace}.test");
    let answer = http::get_with(&gateway, "/call/echo.shop", &[("host", &host)]).await?;
    Ok(answer.text())
}

/// Waits until the pods of both namespaces are answered with these words.
async fn say(node: &Node, to_a: &str, to_b: &str) {
    let said = || async {
        let (a, b) = (called(node, "a").await?, called(node, "b").await?);
        ensure!(a.contains(to_a) && b.contains(to_b), "{a} / {b}");
        Ok(Some(()))
    };
    let what = format!("a gets {to_a}, b gets {to_b}");
    until(&what, SOON, said).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_hold_for_the_callers_to_whom_they_are_exported() {
    let node = Node::start().unwrap();
    for image in ["echo", "http"] {
        let file = component(&format!("tests/{image}")).unwrap();
        node.import(&format!("{image}:1.0"), &file).unwrap();
    }
    node.apply_text(include_str!("manifests/exports.yaml"))
        .unwrap();
    let to_stable = json!([{"route": [{"destination": {"host": "echo", "subset": "stable"}}]}]);
    let routes = json!({"hosts": ["echo"], "http": to_stable});
    let routes = istio("VirtualService", ("shop", "echo"), &routes);
    apply(&node, &[routes, stable("shop", "v1", &["*"])]);
    say(&node, "echo-v1", "echo-v1").await;
    // The caller's namespace has the last word for its own callers, and for them alone.
    apply(&node, &[stable("a", "v2", &["*"])]);
    say(&node, "echo-v2", "echo-v1").await;
    // A rule that is not exported to a caller is not there for it.
    apply(&node, &[stable("shop", "v1", &["b"])]);
    apply(&node, &[stable("a", "v2", &["b"])]);
    say(&node, "has no subset", "echo-v1").await;
    // Where neither namespace says anything, the root namespace does.
    let root =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "osier-system"}});
    apply(&node, &[root, stable("osier-system", "v2", &[])]);
    say(&node, "echo-v2", "echo-v1").await;
    // Routes: one for a namespace's own callers comes before one for all.
    apply(&node, &[fixed("b", "only for b", &["."])]);
    say(&node, "echo-v2", "only for b").await;
    // Services: for those to whom its annotation exports it.
    let path = "/api/v1/namespaces/shop/services/echo";
    let annotations = json!({"networking.istio.io/exportTo": ".,b"});
    let patch = json!({"metadata": {"annotations": annotations}});
    objects::merge(&node, path, &patch).await.unwrap();
    let reason = "service echo.shop is not exported to namespace a";
    say(&node, reason, "only for b").await;
    // What outlier detection did is told once for a cluster, whoever judges it how.
    for (namespace, errors) in [("shop", 5), ("a", 6)] {
        let outlier = json!({"outlierDetection": {"consecutive5xxErrors": errors}});
        let spec = json!({"host": "echo.shop.svc.cluster.local", "trafficPolicy": outlier});
        apply(
            &node,
            &[istio("DestinationRule", (namespace, "outlier"), &spec)],
        );
    }
    let admin = node.address("admin").unwrap();
    let once = || async {
        let metrics = http::get(&admin, "/metrics").await?.text();
        let name = "envoy_cluster_outlier_detection_ejections_active{cluster_name=\"outbound|80||echo.shop";
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        Ok((lines.count() == 1).then_some(()))
    };
    until("one line for the cluster", SOON, once).await.unwrap();
}

/// Whether an object says that it is in force, and what it adds.
async fn told(node: &Node, path: &str) -> Result<(String, String)> {
    let object = objects::get(node, path).await?;
    let conditions = object["status"]["conditions"].as_array();
    let accepted = conditions
        .into_iter()
        .flatten()
        .find(|one| one["type"] == "Accepted");
    let accepted = accepted.cloned().unwrap_or_default();
    let text = |field: &str| accepted[field].as_str().unwrap_or_default().to_owned();
    Ok((text("reason"), text("message")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_says_whom_the_pods_of_its_namespace_call() {
    let node = Node::start().unwrap();
    for image in ["echo", "http"] {
        let file = component(&format!("tests/{image}")).unwrap();
        node.import(&format!("{image}:1.0"), &file).unwrap();
    }
    node.apply_text(include_str!("manifests/exports.yaml"))
        .unwrap();
    say(&node, "echo-v", "echo-v").await;
    let own = json!({"egress": [{"hosts": ["./*"]}]});
    apply(&node, &[istio("Sidecar", ("a", "default"), &own)]);
    let reason = "is not in the scope of the caller: Sidecar a/default does not name it";
    say(&node, reason, "echo-v").await;
    // The access log says it, and who asks by the request's id is told too.
    let refused = |line: &str| line.contains("osier::access") && line.contains(reason);
    let logged = || async {
        let log = node.log();
        let line = log.lines().find(|line| refused(line));
        Ok(line.map(ToOwned::to_owned))
    };
    let line = until("the refusal is logged", SOON, logged).await.unwrap();
    let id = line.split("request_id=").nth(1).unwrap();
    let id = id.trim_start_matches('"');
    let id = id.split(['"', ' ']).next().unwrap();
    let kubeconfig = node.kubeconfig();
    let kubeconfig = kubeconfig.to_string_lossy();
    let why = Command::new(binary().unwrap())
        .args(["why", id, "--kubeconfig", &*kubeconfig])
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("refused") && why.contains(reason), "{why}");
    // What is not applied is told; the hosts that are named are called.
    let wide =
        json!({"egress": [{"hosts": ["shop/*"]}], "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}});
    apply(&node, &[istio("Sidecar", ("a", "default"), &wide)]);
    say(&node, "echo-v", "echo-v").await;
    let path = "/apis/networking.istio.io/v1/namespaces/a/sidecars/default";
    let partly = || async {
        let (reason, message) = told(&node, path).await?;
        ensure!(reason == "PartlyInForce", "{reason}: {message}");
        Ok(message.contains("stay refused").then_some(()))
    };
    until("the Sidecar says what is not applied", SOON, partly)
        .await
        .unwrap();
    // One of the root namespace is for all that have none.
    let root =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "osier-system"}});
    let mesh = istio("Sidecar", ("osier-system", "mesh"), &own);
    apply(&node, &[root, mesh]);
    say(
        &node,
        "echo-v",
        "Sidecar osier-system/mesh does not name it",
    )
    .await;
}

/// Sends every connection back what it says, until it is silent.
async fn mirror() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ended = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_connection_reaches_only_what_its_route_may_call() {
    let node = Node::start().unwrap();
    let port = mirror().await;
    let server = json!({"port": {"number": 9100, "name": "t", "protocol": "TCP"}, "hosts": ["*"]});
    let gateway = istio(
        "Gateway",
        ("default", "edge"),
        &json!({"servers": [server]}),
    );
    let route = json!([{"destination": {"host": "db.example.com", "port": {"number": 80}}}]);
    let spec = json!({"hosts": ["*"], "gateways": ["edge"], "tcp": [{"match": [{"port": 9100}], "route": route}]});
    let route = istio("VirtualService", ("default", "edge"), &spec);
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}});
    let entry = |to: &[&str]| {
        let ports = json!([{"number": 80, "name": "tcp", "protocol": "TCP", "targetPort": port}]);
        let spec = json!({"hosts": ["db.example.com"], "resolution": "STATIC", "ports": ports,
            "endpoints": [{"address": "127.0.0.1"}], "exportTo": to});
        istio("ServiceEntry", ("other", "db"), &spec)
    };
    apply(&node, &[other, gateway, route, entry(&["."])]);
    let address = node.listener(9100).await.unwrap();
    let ask = || async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let refused = |line: &str| {
        line.contains("protocol=\"tcp\"") && line.contains("not exported to namespace default")
    };
    let logged = || async {
        let answer = ask().await.unwrap_or_default();
        ensure!(answer.is_empty(), "{answer:?}");
        Ok(node.log().lines().any(refused).then_some(()))
    };
    until("the connection is refused", SOON, logged)
        .await
        .unwrap();
    apply(&node, &[entry(&["default"])]);
    let carried = || async {
        let answer = ask().await?;
        ensure!(answer == "hello", "{answer:?}");
        Ok(Some(()))
    };
    until("the connection is carried", SOON, carried)
        .await
        .unwrap();
}
