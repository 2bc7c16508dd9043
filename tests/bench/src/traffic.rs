//! Requests per second and their times, through the gateway and from pod to pod.

use crate::cores::Cores;
use crate::{Bench, process, wrk};
use anyhow::{Context, Result, bail, ensure};
use osier_tests::load::Plan;
use osier_tests::{Node, http, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Samples before this are not counted: pools fill, code gets warm.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);

/// What is measured: where it listens and which process it is.
pub(crate) struct Served {
    pub(crate) address: String,
    pub(crate) pid: u32,
    pub(crate) cores: Cores,
}

/// What one load brought.
pub(crate) struct Row {
    /// Requests per second.
    pub(crate) rate: f64,
    /// Median.
    pub(crate) p50: Duration,
    /// 99th percentile.
    pub(crate) p99: Duration,
    /// Microseconds of processor time that the server used for each request.
    pub(crate) cpu: f64,
}

impl Row {
    pub(crate) const TITLES: &str =
        "  connections   requests/s      p50 ms      p99 ms   CPU us each";

    pub(crate) fn json(&self, connections: usize) -> Value {
        json!({"connections": connections, "requests_per_second": self.rate,
            "p50_ms": millis(self.p50), "p99_ms": millis(self.p99), "cpu_us": self.cpu})
    }

    pub(crate) fn print(&self, connections: usize) {
        let (p50, p99) = (millis(self.p50), millis(self.p99));
        print!(
            "  {connections:>11} {:>12.0} {p50:>11.3} {p99:>11.3} {:>13.1}",
            self.rate, self.cpu
        );
    }
}

/// The hello pod through the gateway, by the number of connections.
pub(crate) async fn hello(
    (node, cores): (&Node, Cores),
    bench: &Bench,
) -> Result<(Vec<(usize, Row)>, Value)> {
    let gateway = gateway(node, cores)?;
    answers(&gateway, "/").await?;
    println!("\n  hello through the gateway, {cores}\n{}", Row::TITLES);
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    for connections in &bench.connections {
        let row = measure(&gateway, ("/", *connections), bench.seconds).await?;
        row.print(*connections);
        println!();
        figures.push(row.json(*connections));
        rows.push((*connections, row));
    }
    Ok((rows, Value::from(figures)))
}

fn gateway(node: &Node, cores: Cores) -> Result<Served> {
    Ok(Served {
        address: node.address("gateway")?,
        pid: node.pid()?,
        cores,
    })
}

/// What a call from one pod to another adds, routed and checked in memory.
pub(crate) async fn hop(node: &Node, bench: &Bench) -> Result<Value> {
    let gateway = gateway(node, Cores::Apart)?;
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

/// Waits until the hello pod is served: everything is compiled then.
pub(crate) async fn hello_answers(node: &Node) -> Result<()> {
    answers(&gateway(node, Cores::Shared)?, "/").await
}

async fn answers(gateway: &Served, path: &str) -> Result<()> {
    let asked = || async {
        let answer = http::get(&gateway.address, path).await?;
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

/// Asks for a while: by `wrk` where it is installed, else by a slower generator of our own.
pub(crate) async fn measure(
    served: &Served,
    (path, connections): (&str, usize),
    seconds: u64,
) -> Result<Row> {
    measure_of(served, (path, None, connections), seconds).await
}

/// The same under another host's name, where there is one.
pub(crate) async fn measure_of(
    served: &Served,
    load: (&str, Option<&str>, usize),
    seconds: u64,
) -> Result<Row> {
    // Pools fill, code gets warm.
    if wrk::run((&served.address, served.cores), load, WARM_UP.as_secs())
        .await?
        .is_none()
    {
        return own(served, load, seconds).await;
    }
    let before = process::used(served.pid)?;
    let outcome = wrk::run((&served.address, served.cores), load, seconds).await?;
    let outcome = outcome.context("wrk was here a moment ago")?;
    let cpu = process::used(served.pid)?.saturating_sub(before);
    Ok(Row {
        rate: outcome.rate,
        p50: outcome.p50,
        p99: outcome.p99,
        cpu: cpu.as_secs_f64() * 1e6 / outcome.requests.max(1) as f64,
    })
}

async fn own(
    served: &Served,
    (path, host, connections): (&str, Option<&str>, usize),
    seconds: u64,
) -> Result<Row> {
    let before = process::used(served.pid)?;
    let mut plan = Plan::get(&served.address, path, connections);
    if let Some(host) = host {
        plan = plan.header("host", host);
    }
    let load = plan.start();
    tokio::time::sleep(WARM_UP + Duration::from_secs(seconds)).await;
    let outcome = load.finish().await;
    let cpu = process::used(served.pid)?.saturating_sub(before);
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
        cpu: cpu.as_secs_f64() * 1e6 / outcome.total().max(1) as f64,
    })
}

pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
