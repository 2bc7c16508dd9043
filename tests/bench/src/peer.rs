//! The peer: `wasmtime serve` with the same component or one of WASI 0.3 that answers the same, the same load and the same machine, in the same run.

use crate::Bench;
use crate::cores::{self, Cores};
use crate::traffic::{self, Row, Served};
use anyhow::{Context, Result};
use osier_tests::artifacts::component;
use serde_json::{Map, Value};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// The components that the peer serves.
const SERVED: [(&str, &str); 2] = [("WASI 0.2", "hello"), ("WASI 0.3", "tests/hello-wasi03")];

/// Measures the peer and says how many times as many requests Osier answered; `ours` are Osier's rows.
pub(crate) async fn compare(
    (bench, cores): (&Bench, Cores),
    ours: &[(usize, Row)],
) -> Result<Value> {
    let mut figures = Map::new();
    for (version, name) in SERVED {
        let Some((mut serving, served)) = serve(name, cores).await? else {
            println!(
                "\n  no wasmtime here to compare with; `cargo install wasmtime-cli --version 48.0.8` has it"
            );
            return Ok(Value::Null);
        };
        println!(
            "\n  wasmtime serve, {version}, {cores}\n{}   Osier to it: requests, CPU",
            Row::TITLES
        );
        let mut rows = Vec::new();
        for (connections, osier) in ours {
            let row = traffic::measure(&served, ("/", *connections), bench.seconds).await?;
            let (ratio, cpu) = (osier.rate / row.rate.max(1.0), row.cpu / osier.cpu.max(0.1));
            row.print(*connections);
            println!(" {ratio:>20.2}x {cpu:>6.2}x");
            let mut figure = row.json(*connections);
            figure["ratio"] = ratio.into();
            figure["cpu_ratio"] = cpu.into();
            rows.push(figure);
        }
        serving.kill().await?;
        figures.insert(version.to_owned(), Value::from(rows));
    }
    Ok(Value::Object(figures))
}

/// Starts the peer on a free port; `None` if it is not installed.
async fn serve(name: &str, cores: Cores) -> Result<Option<(Child, Served)>> {
    if tokio::process::Command::new("wasmtime")
        .arg("-V")
        .output()
        .await
        .is_err()
    {
        return Ok(None);
    }
    let mut child = cores::command(&cores.measured(), "wasmtime")
        .args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"])
        .arg(component(name)?)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("wasmtime serve")?;
    let said = child
        .stderr
        .take()
        .context("wasmtime serve has no stderr")?;
    let mut lines = BufReader::new(said).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, address)) = line.split_once("http://") {
            let address = address.trim_end_matches('/').to_owned();
            let pid = child.id().context("wasmtime serve has ended")?;
            return Ok(Some((
                child,
                Served {
                    address,
                    pid,
                    cores,
                },
            )));
        }
    }
    anyhow::bail!("wasmtime serve ended before it said where it listens")
}
