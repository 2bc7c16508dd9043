//! What a policy adds to a request that a gateway answers by itself, and what Envoy's proxy-wasm adds to the same: processor time of the whole process.

use super::{apply, envoy, loaded, plugin, row, table};
use crate::Bench;
use crate::cores::Cores;
use crate::traffic::{self, Served};
use anyhow::Result;
use osier_tests::artifacts::component;
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Connections at work.
const CONNECTIONS: usize = 8;
/// The longest that one row is measured.
const SECONDS: u64 = 4;
const POLICIES: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies";
const DIRECT: &str = "/direct";

/// What is asked about each request, by which plugin.
fn asked() -> [(&'static str, &'static str, Value); 5] {
    [
        (
            "a check (`listentry`)",
            "guests",
            json!({"template": "listentry", "fields": {"value": "request.path"}}),
        ),
        (
            "a quota (token bucket)",
            "many",
            json!({"template": "quota", "amount": "1", "fields": {"dimensions": "{'host': request.host}"}}),
        ),
        (
            "a header filter, a component",
            "headers",
            json!({"hook": "filter"}),
        ),
        (
            "a header filter, a module of proxy-wasm",
            "module",
            json!({"hook": "filter"}),
        ),
        (
            "a report (`logentry`, four variables)",
            "log",
            json!({"template": "logentry", "fields": {"name": "'bench'",
            "variables": "{'path': request.path, 'status': response.code, 'took': response.duration, 'id': request.id}"}}),
        ),
    ]
}

fn plugins() -> [Value; 5] {
    [
        plugin(
            "guests",
            "builtin://list",
            json!({"config": {"entries": ["eve"], "mode": "Deny"}}),
        ),
        plugin(
            "many",
            "builtin://rate-limit",
            json!({"config": {"limit": 1_000_000_000, "window": "1s"}, "grants": {"keyvalue": ["rate-limit"]}}),
        ),
        plugin(
            "headers",
            "builtin://header-rewrite",
            json!({"config": {"request": {"set": {"x-end": "yes"}}, "response": {"set": {"x-filtered": "yes"}}}}),
        ),
        plugin(
            "module",
            "module:1",
            json!({"config": envoy::CONFIG, "limits": {"memory": "8Mi", "deadline": "20ms"}}),
        ),
        plugin(
            "log",
            "builtin://access-log",
            json!({"grants": {"logs": ["access"]}}),
        ),
    ]
}

pub(super) async fn compare(bench: &Bench) -> Result<Value> {
    let mut node = bench.node(Cores::Shared)?;
    node.import("module:1", &component(envoy::MODULE)?)?;
    let rule = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a-direct"}, "spec": {"hosts": ["direct.test"],
        "gateways": ["hello"], "http": [{"directResponse": {"status": 200, "body": {"string": "hello"}}}]}});
    apply(&node, &[&plugins()[..], &[rule]].concat())?;
    loaded(&node, plugins().len()).await?;
    let served = Served {
        address: node.address("gateway")?,
        pid: node.pid()?,
        cores: Cores::Shared,
    };
    let host = [("host", "direct.test")];
    let answers = || async {
        let answer = http::get_with(&served.address, DIRECT, &host).await?;
        Ok((answer.status == 200).then_some(()))
    };
    until(
        "the gateway answers by itself",
        Duration::from_secs(60),
        answers,
    )
    .await?;
    table(
        "A request that the gateway answers by itself, with one policy: processor time of the whole process for each",
        &["with", "CPU µs", "added µs", "p99 ms"],
    );
    let bare = measured(&served, bench, "Osier, no policy", None).await?;
    let mut figures = vec![bare.1.clone()];
    let mut module = 0.0;
    for (what, name, action) in asked() {
        in_force(&node, (name, action)).await?;
        let (added, figure) = measured(&served, bench, what, Some(bare.0)).await?;
        figures.push(figure);
        if name == "module" {
            module = added - bare.0;
        }
        objects::delete(&node, &format!("{POLICIES}/measured")).await?;
    }
    node.terminate()?;
    let beside = beside_envoy(bench, module).await?;
    Ok(json!({"osier": figures, "envoy": beside}))
}

/// The policy is written, and the node has taken it over.
async fn in_force(node: &Node, (name, action): (&str, Value)) -> Result<()> {
    let mut action = action;
    action["plugin"] = name.into();
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "measured"},
        "spec": {"targetRefs": [{"kind": "Gateway", "name": "gateway"}], "direction": "Outbound", "actions": [action]}});
    apply(node, &[policy])?;
    let path = format!("{POLICIES}/measured");
    let taken = || async {
        let policy = objects::get(node, &path).await?;
        Ok((objects::condition(&policy, "Ready") == Some("True")).then_some(()))
    };
    until("the policy is in force", Duration::from_secs(30), taken).await
}

/// One row; its processor time comes back.
async fn measured(
    served: &Served,
    bench: &Bench,
    what: &str,
    bare: Option<f64>,
) -> Result<(f64, Value)> {
    let load = (DIRECT, Some("direct.test"), CONNECTIONS);
    let found = traffic::measure_of(served, load, bench.seconds.min(SECONDS)).await?;
    let added = bare.map_or_else(String::new, |bare| format!("{:.1}", found.cpu - bare));
    let p99 = format!("{:.3}", traffic::millis(found.p99));
    row(&[what.to_owned(), format!("{:.1}", found.cpu), added, p99]);
    Ok((
        found.cpu,
        json!({"with": what, "cpu_us": found.cpu, "p99_ms": traffic::millis(found.p99)}),
    ))
}

async fn beside_envoy(bench: &Bench, module: f64) -> Result<Value> {
    let Some((bare, served)) = envoy::start(0, true).await? else {
        println!("\n{}", envoy::MISSING);
        return Ok(Value::Null);
    };
    let (nothing, first) = measured(&served, bench, "Envoy, no filter", None).await?;
    drop(bare);
    let mut figures = vec![first];
    if let Some((_filtered, served)) = envoy::start(1, true).await? {
        let what = "Envoy, the same module of proxy-wasm";
        let (one, figure) = measured(&served, bench, what, Some(nothing)).await?;
        figures.push(figure);
        let (theirs, target) = (one - nothing, "target: a third");
        println!(
            "\nThe module adds {module:.1} µs here and {theirs:.1} µs in Envoy: {:.2} of it ({target}).",
            module / theirs.max(0.1)
        );
    }
    Ok(figures.into())
}
