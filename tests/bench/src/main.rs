//! `cargo xtask bench`: how fast a release build answers, measured from outside over real connections.
//!
//! First figure: the hello pod through the gateway, by the number of connections that ask at the same time.

use anyhow::{Result, bail, ensure};
use osier_tests::artifacts::component;
use osier_tests::load::{Outcome, Plan};
use osier_tests::{Node, Options, http, until};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

const MANIFEST: &str = include_str!("hello.yaml");
const WARM_UP: Duration = Duration::from_secs(2);

/// Measure a release build.
#[derive(clap::Parser)]
struct Bench {
    /// The binary to measure.
    #[arg(long)]
    binary: std::path::PathBuf,
    /// How long each measurement lasts.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Connections at work at the same time, one row each.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,
    /// Where the figures go as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: std::path::PathBuf,
}

/// One row of the table.
struct Row {
    connections: usize,
    rate: f64,
    p50: Duration,
    p99: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    match <Bench as clap::Parser>::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Bench {
    async fn run(&self) -> Result<()> {
        let rows = self.measure().await?;
        println!("\n  connections   requests/s      p50 ms      p99 ms");
        for row in &rows {
            println!(
                "  {:>11} {:>12.0} {:>11.3} {:>11.3}",
                row.connections,
                row.rate,
                millis(row.p50),
                millis(row.p99)
            );
        }
        let rows: Vec<_> = rows.iter().map(|row| json!({"connections": row.connections, "requests_per_second": row.rate, "p50_ms": millis(row.p50), "p99_ms": millis(row.p99)})).collect();
        std::fs::write(
            &self.json,
            format!("{:#}\n", json!({"hello_through_gateway": rows})),
        )?;
        println!("\n  as JSON: {}", self.json.display());
        Ok(())
    }

    async fn measure(&self) -> Result<Vec<Row>> {
        let mut node = Node::start_with(&Options {
            binary: Some(self.binary.clone()),
            ..Options::default()
        })?;
        node.import("hello:1.0", &component("hello")?)?;
        let manifest = node.data_dir().join("hello.yaml");
        std::fs::write(&manifest, MANIFEST)?;
        node.apply(&manifest)?;
        let gateway = node.address("gateway")?;
        until("hello answers", Duration::from_secs(60), || async {
            let answer = http::get(&gateway, "/").await?;
            ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
            Ok(Some(()))
        })
        .await?;
        let mut rows = Vec::new();
        for connections in &self.connections {
            rows.push(self.row(&gateway, *connections).await?);
        }
        node.terminate()?;
        Ok(rows)
    }

    async fn row(&self, gateway: &str, connections: usize) -> Result<Row> {
        let load = Plan::get(gateway, "/", connections).start();
        tokio::time::sleep(WARM_UP + Duration::from_secs(self.seconds)).await;
        let outcome = load.finish().await;
        let faults = outcome.unexpected(&[200]);
        if !faults.is_empty() {
            bail!("with {connections} connections: {}", faults.join("; "));
        }
        Ok(row(connections, &outcome))
    }
}

fn row(connections: usize, outcome: &Outcome) -> Row {
    let quantile = |share| outcome.quantile(share, 200, WARM_UP).unwrap_or_default();
    Row {
        connections,
        rate: outcome.rate(WARM_UP),
        p50: quantile(0.5),
        p99: quantile(0.99),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
