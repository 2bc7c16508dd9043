//! Istio's AuthorizationPolicy: asked where a workload is called, on whichever node, and at gateways; told in the log and by `osier why`.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::server::Server;
use osier_tests::{Node, Options, http, objects, until};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ECHO: &str = include_str!("manifests/echo.yaml");
const SOON: Duration = Duration::from_secs(30);

fn object(group: &str, kind: &str, (namespace, name): (&str, &str), spec: Value) -> String {
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}).to_string()
}

fn policy(name: &str, spec: Value) -> String {
    object(
        "security.istio.io/v1",
        "AuthorizationPolicy",
        ("default", name),
        spec,
    )
}

fn traffic(kind: &str, name: &str, spec: Value) -> String {
    object("networking.istio.io/v1", kind, ("default", name), spec)
}

/// The status and body of a request to a listener.
async fn ask(address: &str, host: &str, path: &str) -> Result<(u16, String)> {
    let answer = http::get_with(address, path, &[("host", host)]).await?;
    Ok((answer.status.as_u16(), answer.text()))
}

async fn answered(address: &str, host: &str, path: &str, status: u16) -> String {
    let asked = || async {
        let (found, text) = ask(address, host, path).await?;
        ensure!(found == status, "{found}: {text}");
        Ok(Some(text))
    };
    until(&format!("{host}{path} is answered {status}"), SOON, asked)
        .await
        .unwrap()
}

/// A call of a workload, by its proxy.
async fn called(outbound: &str, path: &str, status: u16) {
    let asked = || async {
        let mut stream = TcpStream::connect(outbound).await?;
        let head = format!(
            "GET http://echo.default{path} HTTP/1.1\r\nhost: echo.default\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut said = String::new();
        tokio::time::timeout(SOON, stream.read_to_string(&mut said)).await??;
        ensure!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        Ok(Some(()))
    };
    until(
        &format!("the workload's {path} is answered {status}"),
        SOON,
        asked,
    )
    .await
    .unwrap();
}

/// A node with `echo` behind its gateway.
async fn stage() -> Node {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_called_by_whom_a_policy_allows() {
    let node = stage().await;
    let entry = json!({"address": "127.0.0.1", "labels": {"app": "vm"}, "serviceAccount": "vm"});
    node.apply_text(&traffic("WorkloadEntry", "vm", entry))
        .unwrap();
    let vm = node.companion("default/vm", Options::default()).unwrap();
    let (gateway, outbound) = (
        node.address("gateway").unwrap(),
        vm.address("outbound").unwrap(),
    );
    answered(&gateway, "echo", "/x", 200).await;
    called(&outbound, "/x", 200).await;
    // `{}` allows nobody.
    node.apply_text(&policy("nobody", json!({}))).unwrap();
    let said = answered(&gateway, "echo", "/x", 403).await;
    assert_eq!(said.trim(), "RBAC: access denied");
    called(&outbound, "/x", 403).await;
    let allow = json!({"selector": {"matchLabels": {"app": "echo"}}, "rules": [{
        "from": [{"source": {"principals": ["cluster.local/ns/default/sa/vm"]}}],
        "to": [{"operation": {"methods": ["GET"], "paths": ["/open/*"]}}]}]});
    node.apply_text(&policy("allow-vm", allow)).unwrap();
    called(&outbound, "/open/x", 200).await;
    called(&outbound, "/closed", 403).await;
    answered(&gateway, "echo", "/open/x", 403).await;
    let deny = json!({"action": "DENY", "rules": [{"when": [{"key": "source.serviceAccount", "values": ["default/vm"]}]}]});
    node.apply_text(&policy("deny-vm", deny)).unwrap();
    called(&outbound, "/open/x", 403).await;
    let by =
        |line: &str| line.contains("osier::access") && line.contains("policy=\"default/deny-vm\"");
    let logged = || async { Ok(node.log().lines().any(by).then_some(())) };
    until("the policy is in the log", SOON, logged)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn why_tells_which_policy_refused() {
    let node = stage().await;
    let gateway = node.address("gateway").unwrap();
    let deny =
        json!({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin*"]}}]}]});
    node.apply_text(&policy("admin", deny)).unwrap();
    let audit = json!({"action": "AUDIT", "rules": [{}]});
    node.apply_text(&policy("noted", audit)).unwrap();
    answered(&gateway, "echo", "/admin/x", 403).await;
    answered(&gateway, "echo", "/x", 200).await;
    let answer = http::get_with(&gateway, "/admin/x", &[("host", "echo")])
        .await
        .unwrap();
    let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let kubeconfig = node.kubeconfig();
    let output = std::process::Command::new(osier_tests::artifacts::binary().unwrap())
        .args(["why", &id, "--kubeconfig"])
        .arg(&kubeconfig)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "default/admin",
        "AuthorizationPolicy",
        "a rule of it denies the call",
        "default/noted",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_and_workloads_on_other_nodes_are_guarded_too() {
    let (node, server) = (stage().await, Server::plain().await.unwrap());
    let gateway = node.address("gateway").unwrap();
    let entry = json!({"address": "127.0.0.1", "labels": {"app": "vm"}, "serviceAccount": "vm", "ports": {"http": server.port}});
    let service = json!({"hosts": ["vm.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}, {"number": 9000, "name": "tcp", "protocol": "TCP"}],
        "workloadSelector": {"labels": {"app": "vm"}}});
    let route = json!({"hosts": ["vm.internal"], "gateways": ["web"], "http": [{"route": [{"destination": {"host": "vm.internal", "port": {"number": 80}}}]}]});
    for text in [
        traffic("WorkloadEntry", "vm", entry),
        traffic("ServiceEntry", "vm", service),
        traffic("VirtualService", "vm", route),
    ] {
        node.apply_text(&text).unwrap();
    }
    let vm = node.companion("default/vm", Options::default()).unwrap();
    answered(&gateway, "vm.internal", "/x", 200).await;
    let of_vm = json!({"selector": {"matchLabels": {"app": "vm"}}, "action": "DENY",
        "rules": [{"from": [{"source": {"principals": ["*/ns/osier-system/sa/gateway"]}}], "to": [{"operation": {"paths": ["/x"]}}]}]});
    node.apply_text(&policy("of-vm", of_vm)).unwrap();
    answered(&gateway, "vm.internal", "/x", 403).await;
    answered(&gateway, "vm.internal", "/y", 200).await;
    let there =
        |line: &str| line.contains("osier::access") && line.contains("policy=\"default/of-vm\"");
    let logged = || async { Ok(vm.log().lines().any(there).then_some(())) };
    until("its own node refused", SOON, logged).await.unwrap();
    // At the gateway, whatever is behind it.
    let at_gateway = json!({"targetRefs": [{"group": "networking.istio.io", "kind": "Gateway", "name": "web"}], "action": "DENY",
        "rules": [{"to": [{"operation": {"hosts": ["vm.internal"], "paths": ["/y"]}}]}]});
    node.apply_text(&policy("edge", at_gateway)).unwrap();
    answered(&gateway, "vm.internal", "/y", 403).await;
    answered(&gateway, "echo", "/y", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_connections_are_asked_about_by_their_ports() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(b"hello").await;
        }
    });
    let node = Node::start().unwrap();
    let service = json!({"hosts": ["raw.example.com"], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1", "labels": {"app": "raw"}}],
        "ports": [{"number": 9000, "name": "tcp", "protocol": "TCP", "targetPort": port}]});
    let edge = json!({"servers": [{"port": {"number": 9300, "name": "t", "protocol": "TCP"}, "hosts": ["*"]}]});
    let route = json!({"hosts": ["*"], "gateways": ["edge"], "tcp": [{"match": [{"port": 9300}],
        "route": [{"destination": {"host": "raw.example.com", "port": {"number": 9000}}}]}]});
    for text in [
        traffic("ServiceEntry", "raw", service),
        traffic("Gateway", "edge", edge),
        traffic("VirtualService", "edge", route),
    ] {
        node.apply_text(&text).unwrap();
    }
    let address = node.listener(9300).await.unwrap();
    let heard = |wanted: &'static str| {
        let address = address.clone();
        let ask = move || {
            let address = address.clone();
            async move {
                let mut said = String::new();
                let mut stream = TcpStream::connect(&address).await?;
                let _reset = tokio::time::timeout(SOON, stream.read_to_string(&mut said)).await?;
                ensure!(said == wanted, "{said:?}");
                Ok(Some(()))
            }
        };
        until("what the connection says", SOON, ask)
    };
    heard("hello").await.unwrap();
    let target = json!([{"group": "networking.istio.io", "kind": "Gateway", "name": "edge"}]);
    let of = |rule: Value| policy("edge", json!({"targetRefs": target, "rules": [rule]}));
    node.apply_text(&of(json!({"to": [{"operation": {"methods": ["GET"]}}]})))
        .unwrap();
    heard("").await.unwrap();
    node.apply_text(&of(
        json!({"from": [{"source": {"ipBlocks": ["127.0.0.0/8"]}}]}),
    ))
    .unwrap();
    heard("hello").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_enforced_is_refused() {
    let node = Node::start().unwrap();
    for (spec, words) in [
        (
            json!({"action": "CUSTOM", "rules": [{}]}),
            "spec.provider.name",
        ),
        (
            json!({"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/40"]}}]}]}),
            "spec.rules[0].from[0].source.ipBlocks[0]",
        ),
        (
            json!({"rules": [{"when": [{"key": "request.body", "values": ["x"]}]}]}),
            "spec.rules[0].when[0].key",
        ),
    ] {
        let refused = node.apply_text(&policy("bad", spec)).unwrap_err();
        assert!(format!("{refused:#}").contains(words), "{refused:#}");
    }
    node.apply_text(&policy("good", json!({}))).unwrap();
    let path = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/good";
    let good = objects::get(&node, path).await.unwrap();
    assert_eq!(
        objects::condition(&good, "Reconciled"),
        Some("True"),
        "{good}"
    );
}

/// <https://istio.io/latest/docs/tasks/security/authorization/authz-custom/>, with a plugin for the provider.
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_policy_asks_the_policy_that_it_names() {
    let node = stage().await;
    let gateway = node.address("gateway").unwrap();
    let admin = json!([{"to": [{"operation": {"paths": ["/admin*"]}}]}]);
    let custom = json!({"action": "CUSTOM", "provider": {"name": "login"}, "rules": admin});
    node.apply_text(&policy("ext-authz", custom)).unwrap();
    // Nobody of that name answers, and what it was to decide about is closed.
    answered(&gateway, "echo", "/admin", 403).await;
    answered(&gateway, "echo", "/open", 200).await;
    let osier = |kind: &str, name: &str, spec: Value| {
        object("policy.osier.dev/v1alpha1", kind, ("default", name), spec)
    };
    let denier =
        json!({"image": "builtin://denier", "config": {"status": 401, "body": "log in\n"}});
    node.apply_text(&osier("Plugin", "closed", denier)).unwrap();
    let asks = |name: &str| {
        let target =
            json!({"group": "security.istio.io", "kind": "AuthorizationPolicy", "name": name});
        let stranger = r#"!("x-user" in request.headers)"#;
        json!({"targetRefs": [target], "match": stranger,
            "actions": [{"plugin": "closed", "template": "checknothing"}]})
    };
    // It has to say itself that it is for that one.
    node.apply_text(&osier("Policy", "login", asks("another")))
        .unwrap();
    answered(&gateway, "echo", "/admin", 403).await;
    node.apply_text(&osier("Policy", "login", asks("ext-authz")))
        .unwrap();
    assert_eq!(answered(&gateway, "echo", "/admin", 401).await, "log in\n");
    answered(&gateway, "echo", "/open", 200).await;
    let known = http::get_with(&gateway, "/admin", &[("host", "echo"), ("x-user", "a")]);
    assert_eq!(known.await.unwrap().status.as_u16(), 200);
    // Others decide about what it lets pass.
    node.apply_text(&policy("nobody", json!({"action": "DENY", "rules": [{}]})))
        .unwrap();
    answered(&gateway, "echo", "/open", 403).await;
    assert_eq!(answered(&gateway, "echo", "/admin", 401).await, "log in\n");
}
