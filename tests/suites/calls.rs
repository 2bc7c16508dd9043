//! Plugins that call services outside: a list that is kept at a URL, and spans for a collector.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use osier_tests::artifacts::{component, example};
use osier_tests::http::{get, get_with};
use osier_tests::server::Server;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// A path and the body that came there.
type Sent = (String, Vec<u8>);

/// What the service outside knows, and what it was sent.
#[derive(Clone, Default)]
struct Outside {
    blocked: Arc<Mutex<String>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Outside {
    async fn serve(&self) -> Server {
        let own = self.clone();
        let makes = move |path: &str, body: &[u8]| {
            if path == "/blocked" {
                return own.blocked.lock().unwrap().clone().into_bytes();
            }
            own.sent
                .lock()
                .unwrap()
                .push((path.to_owned(), body.to_vec()));
            b"{}".to_vec()
        };
        Server::making(makes).await.unwrap()
    }

    fn block(&self, names: &str) {
        names.clone_into(&mut self.blocked.lock().unwrap());
    }
}

fn apply(node: &Node, objects: &[Value]) -> Result<()> {
    let all: Vec<String> = objects.iter().map(ToString::to_string).collect();
    node.apply_text(&all.join("\n---\n")).map(drop)
}

fn plugin(name: &str, image: &str, config: &Value, grants: &Value) -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": name},
        "spec": {"image": format!("builtin://{image}"), "config": config, "grants": grants}})
}

fn policy(plugin: &str, template: &str, fields: &Value) -> Value {
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": plugin},
        "spec": {"targetRefs": [{"kind": "Service", "name": "hello"}],
            "actions": [{"plugin": plugin, "template": template, "fields": fields}]}})
}

/// A node that serves `examples/hello`, which knows the service outside by the name `outside.example`.
async fn hello(outside: &Server) -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("hello:1.0", &component("hello").unwrap())
        .unwrap();
    node.apply(&example("hello/hello.yaml")).unwrap();
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "outside"},
        "spec": {"hosts": ["outside.example"], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": outside.port}]}});
    apply(&node, &[entry]).unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/hello").await?.status == 200).then_some(())) };
    until("hello answers", SOON, answers).await.unwrap();
    (node, gateway)
}

async fn answered(gateway: &str, user: &str, status: u16) {
    let asked = || async {
        let found = get_with(gateway, "/hello", &[("x-user", user)]).await?;
        ensure!(found.status == status, "{}: {}", found.status, found.text());
        Ok(Some(()))
    };
    until(&format!("{user} gets {status}"), SOON, asked)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_at_a_url_is_followed_and_its_loss_is_the_failure_policys() {
    let outside = Outside::default();
    outside.block("# people\nmallory\n");
    let server = outside.serve().await;
    let (node, gateway) = hello(&server).await;
    let config = json!({"mode": "Deny", "providerUrl": "http://outside.example/blocked", "refreshInterval": "1s", "ttl": "2s"});
    let ungranted = apply(&node, &[plugin("blocked", "list", &config, &json!({}))]);
    let ungranted = format!("{:#}", ungranted.unwrap_err());
    assert!(ungranted.contains("spec.grants.http"), "{ungranted}");
    let grants = json!({"http": ["http://outside.example"]});
    let fields = json!({"value": "request.headers[\"x-user\"].orValue(\"\")"});
    let both = [
        plugin("blocked", "list", &config, &grants),
        policy("blocked", "listentry", &fields),
    ];
    apply(&node, &both).unwrap();
    answered(&gateway, "mallory", 403).await;
    answered(&gateway, "ann", 200).await;
    outside.block("[\"ann\"]");
    answered(&gateway, "ann", 403).await;
    answered(&gateway, "mallory", 200).await;
    // Once the list is gone for longer than its ttl, nobody is let through by guess.
    server.answer_with(503);
    answered(&gateway, "mallory", 500).await;
    server.answer_with(200);
    answered(&gateway, "mallory", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_collectors_of_both_kinds() {
    let outside = Outside::default();
    let server = outside.serve().await;
    let (node, gateway) = hello(&server).await;
    let grants = json!({"http": ["http://outside.example"]});
    let to = |path: &str, format: &str| json!({"url": format!("http://outside.example{path}"), "format": format});
    let (otlp, zipkin) = (to("/v1/traces", "OTLP"), to("/api/v2/spans", "ZIPKIN"));
    let all = [
        plugin("otlp", "trace", &otlp, &grants),
        policy("otlp", "tracespan", &json!({})),
        plugin("zipkin", "trace", &zipkin, &grants),
        policy("zipkin", "tracespan", &json!({})),
    ];
    apply(&node, &all).unwrap();
    let traced = || async {
        get_with(
            &gateway,
            "/hello",
            &[(
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            )],
        )
        .await?;
        let sent = outside.sent.lock().unwrap().clone();
        for path in ["/v1/traces", "/api/v2/spans"] {
            let batch = sent.iter().find(|(own, body)| {
                own == path
                    && String::from_utf8_lossy(body).contains("4bf92f3577b34da6a3ce929d0e0e4736")
            });
            ensure!(batch.is_some(), "nothing at {path}: {sent:?}");
        }
        Ok(Some(()))
    };
    until("spans arrive", SOON, traced).await.unwrap();
}
