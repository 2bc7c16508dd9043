//! How soon a pod is ready after it was asked for, and what an idle one costs.

use crate::process::resident;
use anyhow::Result;
use osier_tests::api::Api;
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PODS: &str = "/api/v1/namespaces/default/pods";
const CONTROLLER: &str = "/api/v1/namespaces/default/replicationcontrollers/hello";
const TIMES: usize = 20;
/// Pods that became ready a moment ago are not idle yet: their starts are still being reported and written.
const SETTLE: Duration = Duration::from_secs(10);
/// The instance that each pod was started with is kept warm for half a minute; after this they are gone.
const COOL: Duration = Duration::from_secs(35);

/// From the moment that `kubectl apply` is started to the moment that the pod is ready, and how much of it is left when kubectl has
/// ended; its component is compiled already.
pub(crate) async fn apply_to_ready(node: &Node) -> Result<Value> {
    let mut api = Api::open(node).await?;
    let (mut whole, mut after) = (Vec::new(), Vec::new());
    for number in 0..TIMES {
        let name = format!("timed-{number}");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "hello", "image": "hello:1.0"}]}});
        let began = Instant::now();
        node.apply_text(&pod.to_string())?;
        let applied = Instant::now();
        let path = format!("{PODS}/{name}");
        while objects::condition(&api.send("GET", &path, None).await?.json()?, "Ready")
            != Some("True")
        {
            anyhow::ensure!(
                began.elapsed() < Duration::from_secs(30),
                "{name} is not ready"
            );
        }
        whole.push(began.elapsed().as_secs_f64() * 1e3);
        after.push(applied.elapsed().as_secs_f64() * 1e3);
        api.send("DELETE", &path, None).await?;
    }
    let whole = Spread::of(whole);
    let after = Spread::of(after);
    println!("\n  from `kubectl apply` to ready: {whole}; {after} of it after kubectl had ended");
    Ok(json!({"from_start": whole.json(), "after_kubectl": after.json()}))
}

/// The middle and the worst of some times in milliseconds.
struct Spread {
    median: f64,
    worst: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            median: times[times.len() / 2],
            worst: times[times.len() - 1],
        }
    }

    fn json(&self) -> Value {
        json!({"median_ms": self.median, "worst_ms": self.worst})
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms (worst {:.1} ms)", self.median, self.worst)
    }
}

/// What each of so many idle pods adds to the node's resident memory.
pub(crate) async fn idle(node: &Node, count: usize) -> Result<Value> {
    let before = resident(node.pid()?)?;
    let began = Instant::now();
    objects::merge(node, CONTROLLER, &json!({"spec": {"replicas": count}})).await?;
    until_ready(node, CONTROLLER, count).await?;
    let took = began.elapsed().as_secs_f64();
    let each = |now: u64| now.saturating_sub(before) as f64 / count as f64;
    let at_once = each(resident(node.pid()?)?);
    tokio::time::sleep(SETTLE).await;
    let warm = each(resident(node.pid()?)?);
    tokio::time::sleep(COOL).await;
    let idle = each(resident(node.pid()?)?);
    println!(
        "  {count} pods: {at_once:.1} KiB each when the last became ready, after {took:.1} s; {warm:.1} KiB ten seconds later, {idle:.1} KiB idle for longer"
    );
    Ok(
        json!({"pods": count, "kib_each": idle, "kib_each_warm": warm, "kib_each_at_ready": at_once, "ready_after_s": took}),
    )
}

/// Waits until a controller has so many ready pods.
pub(crate) async fn until_ready(node: &Node, controller: &str, count: usize) -> Result<()> {
    let limit = Duration::from_secs(300).max(Duration::from_millis(30) * u32::try_from(count)?);
    let ready = || async {
        let controller = objects::get(node, controller).await?;
        let ready = controller["status"]["readyReplicas"].as_u64();
        Ok((ready == Some(count as u64)).then_some(()))
    };
    until(&format!("{count} ready pods"), limit, ready).await
}
