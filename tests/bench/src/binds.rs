//! How fast the scheduler gives pods their nodes in a large cluster. The nodes are objects only: nobody runs what is bound to them.

use crate::Bench;
use anyhow::{Result, ensure};
use osier_tests::api::Api;
use osier_tests::{Node, Options};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/default/pods";
/// The first of those that have no node.
const WAITING: &str = "/api/v1/namespaces/default/pods?limit=1&fieldSelector=spec.nodeName%3D";
/// Callers that create at the same time.
const CALLERS: usize = 16;
/// Pods to bind.
const COUNT: usize = 10_000;
/// How often is looked whether all are bound.
const LOOK: Duration = Duration::from_millis(50);
/// No longer than this after the last was created.
const LONGEST: Duration = Duration::from_secs(600);

/// Makes the nodes, then pods as fast as the API takes them, until the last one has its node.
pub(crate) async fn measure(bench: &Bench) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    // Simulated nodes do not say that they live.
    std::fs::write(&config, "nodeGraceSeconds: 3600\n")?;
    let mut node = Node::start_with(&Options {
        binary: Some(bench.binary.clone()),
        args: vec!["--config".to_owned(), config.display().to_string()],
        ..Options::default()
    })?;
    create(&node, NODES, bench.nodes, machine).await?;
    let figures = bind(&node, bench.nodes).await?;
    node.terminate()?;
    Ok(figures)
}

async fn bind(node: &Node, nodes: usize) -> Result<Value> {
    let began = Instant::now();
    create(node, PODS, COUNT, pod).await?;
    let created = COUNT as f64 / began.elapsed().as_secs_f64();
    until_bound(node).await?;
    let rate = COUNT as f64 / began.elapsed().as_secs_f64();
    println!(
        "\n  {COUNT} pods on {nodes} simulated nodes: {rate:.0} bound/s from the first to the last, created at {created:.0}/s by {CALLERS} callers"
    );
    Ok(
        json!({"nodes": nodes, "pods": COUNT, "bound_per_second": rate, "created_per_second": created}),
    )
}

async fn until_bound(node: &Node) -> Result<()> {
    let mut api = Api::open(node).await?;
    let limit = Instant::now() + LONGEST;
    // Which pods have no node is read off all of them, which took half of the server's time: it is asked when the last has one.
    let last = format!("{PODS}/pod-{}", COUNT - 1);
    while api.send("GET", &last, None).await?.json()?["spec"]["nodeName"].is_null() {
        ensure!(Instant::now() < limit, "{last} waits");
        tokio::time::sleep(LOOK).await;
    }
    loop {
        let left = api.send("GET", WAITING, None).await?.json()?;
        let first = &left["items"][0];
        if first.is_null() {
            return Ok(());
        }
        ensure!(Instant::now() < limit, "pods wait: {}", first["status"]);
        tokio::time::sleep(LOOK).await;
    }
}

fn machine(number: usize) -> Value {
    let zone = format!("zone-{}", number % 3);
    let has = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("machine-{number}"), "labels": {
            "kubernetes.io/hostname": format!("machine-{number}"), "topology.kubernetes.io/zone": zone, "simulated": "yes"}},
        "status": {"capacity": has, "allocatable": has, "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn pod(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number}"), "labels": {"app": format!("app-{}", number % 100)}},
        "spec": {"nodeSelector": {"simulated": "yes"}, "containers": [{"name": "main", "image": "registry.example/app:1.0",
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}})
}

async fn create(
    node: &Node,
    path: &'static str,
    count: usize,
    make: fn(usize) -> Value,
) -> Result<()> {
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let mut api = Api::open(node).await?;
        callers.push(tokio::spawn(async move {
            for number in (caller..count).step_by(CALLERS) {
                let made = api.send("POST", path, Some(&make(number))).await?;
                ensure!(made.status.is_success(), "{}", made.text());
            }
            anyhow::Ok(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(())
}
