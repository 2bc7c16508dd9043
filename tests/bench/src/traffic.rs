//! Requests per second and their times, through the gateway and from pod to pod.

use crate::Bench;
use anyhow::{Result, bail, ensure};
use osier_tests::load::Plan;
use osier_tests::{Node, http, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Samples before this are not counted: pools fill, code gets warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// What one load brought.
pub(crate) struct Row {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Median.
    pub(crate) p50: Duration,
    /// 99th percentile.
    pub(crate) p99: Duration,
}

/// The hello pod through the gateway, by the number of connections.
pub(crate) async fn hello(node: &Node, bench: &Bench) -> Result<(Vec<(usize, Row)>, Value)> {
    let gateway = node.address("gateway")?;
    answers(&gateway, "/").await?;
    println!("\n  hello through the gateway\n  connections   requests/s      p50 ms      p99 ms");
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    for connections in &bench.connections {
        let row = measure(&gateway, ("/", *connections), bench.seconds).await?;
        println!(
            "  {connections:>11} {:>12.0} {:>11.3} {:>11.3}",
            row.rate,
            millis(row.p50),
            millis(row.p99)
        );
        figures.push(json!({"connections": connections, "requests_per_second": row.rate, "p50_ms": millis(row.p50), "p99_ms": millis(row.p99)}));
        rows.push((*connections, row));
    }
    Ok((rows, Value::from(figures)))
}

/// What a call from one pod to another adds, routed and checked in memory.
pub(crate) async fn hop(node: &Node, bench: &Bench) -> Result<Value> {
    let gateway = node.address("gateway")?;
    for path in ["/http/hello", "/http/call/http.default"] {
        answers(&gateway, path).await?;
    }
    let alone = measure(&gateway, ("/http/hello", 1), bench.seconds).await?;
    let called = measure(&gateway, ("/http/call/http.default", 1), bench.seconds).await?;
    let added = called.p50.saturating_sub(alone.p50);
    println!(
        "\n  a call from pod to pod adds {:.3} ms (median {:.3} ms instead of {:.3} ms)",
        millis(added),
        millis(called.p50),
        millis(alone.p50)
    );
    Ok(
        json!({"added_p50_ms": millis(added), "alone_p50_ms": millis(alone.p50), "called_p50_ms": millis(called.p50)}),
    )
}

async fn answers(gateway: &str, path: &str) -> Result<()> {
    let asked = || async {
        let answer = http::get(gateway, path).await?;
        ensure!(
            answer.status == 200,
            "{path}: {}: {}",
            answer.status,
            answer.text()
        );
        Ok(Some(()))
    };
    until(&format!("{path} answers"), Duration::from_secs(60), asked).await
}

/// Asks for a while and counts what came after the warm-up.
pub(crate) async fn measure(
    gateway: &str,
    (path, connections): (&str, usize),
    seconds: u64,
) -> Result<Row> {
    let load = Plan::get(gateway, path, connections).start();
    tokio::time::sleep(WARM_UP + Duration::from_secs(seconds)).await;
    let outcome = load.finish().await;
    let faults = outcome.unexpected(&[200]);
    if !faults.is_empty() {
        bail!(
            "{path} with {connections} connections: {}",
            faults.join("; ")
        );
    }
    let quantile = |share| outcome.quantile(share, 200, WARM_UP).unwrap_or_default();
    Ok(Row {
        rate: outcome.rate(WARM_UP),
        p50: quantile(0.5),
        p99: quantile(0.99),
    })
}

pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
