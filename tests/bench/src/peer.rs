//! The peer: `wasmtime serve` with the same component, the same load and the same machine, in the same run.

use crate::Bench;
use crate::traffic::{self, Row};
use anyhow::{Context, Result};
use osier_tests::artifacts::component;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Measures the peer and says how many times as many requests Osier answered; `ours` are Osier's rows.
pub(crate) async fn compare(bench: &Bench, ours: &[(usize, Row)]) -> Result<Value> {
    let Some((mut serving, address)) = serve().await? else {
        println!(
            "\n  no wasmtime here to compare with; `cargo install wasmtime-cli --version 48.0.8` has it"
        );
        return Ok(Value::Null);
    };
    println!(
        "\n  wasmtime serve, the same component\n  connections   requests/s      p99 ms       ratio"
    );
    let mut rows = Vec::new();
    for (connections, osier) in ours {
        let row = traffic::measure(&address, ("/", *connections), bench.seconds).await?;
        let ratio = osier.rate / row.rate.max(1.0);
        println!(
            "  {connections:>11} {:>12.0} {:>11.3} {ratio:>10.2}x",
            row.rate,
            traffic::millis(row.p99)
        );
        rows.push(
            json!({"connections": connections, "requests_per_second": row.rate, "ratio": ratio}),
        );
    }
    serving.kill().await?;
    Ok(Value::from(rows))
}

/// Starts the peer on a free port; `None` if it is not installed.
async fn serve() -> Result<Option<(Child, String)>> {
    let started = Command::new("wasmtime")
        .args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"])
        .arg(component("hello")?)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.context("wasmtime serve")?,
    };
    let said = child
        .stderr
        .take()
        .context("wasmtime serve has no stderr")?;
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("http://") {
            let address = address.trim_end_matches('/').to_owned();
            return Ok(Some((child, address)));
        }
    }
    anyhow::bail!("wasmtime serve ended before it said where it listens")
}
