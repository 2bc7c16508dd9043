//! What plugins hold: the resident memory of a node with more and more of them, all asked by every call.

use super::{apply, loaded, plugin, policy};
use crate::Bench;
use crate::cores::Cores;
use crate::process::resident;
use crate::traffic::{self, Served};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

const COUNTS: [usize; 4] = [1, 10, 50, 200];
/// Instances are made by the calls that need them.
const CALLS: u64 = 2;
/// Until the statuses of what was just applied are written.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) async fn grow(bench: &Bench) -> Result<Value> {
    let mut node = bench.node(Cores::Shared)?;
    traffic::hello_answers(&node).await?;
    let served = Served {
        address: node.address("gateway")?,
        pid: node.pid()?,
        cores: Cores::Shared,
    };
    traffic::measure(&served, ("/", 4), CALLS).await?;
    tokio::time::sleep(SETTLE).await;
    let before = resident(served.pid)?;
    println!(
        "\n  memory of a node whose every call asks all plugins\n  plugins      MiB more   CPU us of a call\n  {:>7} {:>13.1} {:>18}",
        0, 0.0, ""
    );
    let (mut figures, mut there) = (Vec::new(), 0);
    for count in COUNTS {
        let objects: Vec<Value> = (there..count).flat_map(one).collect();
        apply(&node, &objects)?;
        loaded(&node, count).await?;
        let row = traffic::measure(&served, ("/", 4), CALLS).await?;
        tokio::time::sleep(SETTLE).await;
        let more = resident(served.pid)?.saturating_sub(before) as f64 / 1024.0;
        println!("  {count:>7} {more:>13.1} {:>18.1}", row.cpu);
        figures.push(json!({"plugins": count, "mib_more": more, "cpu_us": row.cpu}));
        there = count;
    }
    node.terminate()?;
    Ok(figures.into())
}

/// A plugin with a list of its own, and the policy that asks it.
fn one(number: usize) -> [Value; 2] {
    let name = format!("list-{number}");
    let config = json!({"config": {"mode": "Deny", "entries": [format!("nobody-{number}")]}});
    let action =
        json!({"plugin": &name, "template": "listentry", "fields": {"value": "request.path"}});
    [
        plugin(&name, "builtin://list", config),
        policy(&name, "hello", action),
    ]
}
