//! How soon a pod is ready after it was asked for, and what an idle one costs.

use anyhow::{Context, Result};
use osier_tests::api::Api;
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PODS: &str = "/api/v1/namespaces/default/pods";
const CONTROLLER: &str = "/api/v1/namespaces/default/replicationcontrollers/hello";
const TIMES: usize = 20;

/// From the moment a pod is sent to the API to the moment it is ready; its component is compiled already.
pub(crate) async fn apply_to_ready(node: &Node) -> Result<Value> {
    let mut api = Api::open(node).await?;
    let mut times = Vec::new();
    for number in 0..TIMES {
        let name = format!("timed-{number}");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "hello", "image": "hello:1.0"}]}});
        let began = Instant::now();
        api.send("POST", PODS, Some(&pod)).await?;
        let path = format!("{PODS}/{name}");
        while objects::condition(&api.send("GET", &path, None).await?.json()?, "Ready")
            != Some("True")
        {
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(30),
                "{name} is not ready"
            );
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
        api.send("DELETE", &path, None).await?;
    }
    times.sort_by(f64::total_cmp);
    let (median, worst) = (times[TIMES / 2], times[TIMES - 1]);
    println!(
        "\n  a pod is ready {median:.1} ms after it was asked for (worst of {TIMES}: {worst:.1} ms)"
    );
    Ok(json!({"median_ms": median, "worst_ms": worst}))
}

/// What each of so many idle pods adds to the node's resident memory.
pub(crate) async fn idle(node: &Node, count: usize) -> Result<Value> {
    let before = resident(node)?;
    let began = Instant::now();
    objects::merge(node, CONTROLLER, &json!({"spec": {"replicas": count}})).await?;
    until(
        &format!("{count} ready pods"),
        Duration::from_secs(300),
        || async {
            let controller = objects::get(node, CONTROLLER).await?;
            Ok(
                (controller["status"]["readyReplicas"].as_u64() == Some(count as u64))
                    .then_some(()),
            )
        },
    )
    .await?;
    let each = (resident(node)?.saturating_sub(before)) as f64 / count as f64;
    println!(
        "  {count} idle pods: {each:.1} KiB each, all ready after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    Ok(json!({"pods": count, "kib_each": each, "ready_after_s": began.elapsed().as_secs_f64()}))
}

/// Resident memory in KiB.
fn resident(node: &Node) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid()?))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("a number")?
        .parse()?)
}
