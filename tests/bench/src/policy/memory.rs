//! What plugins hold: the memory of a proxy with more and more of them, all asked by every call. Osier with components and with modules of proxy-wasm, and
//! Envoy with the same modules, in a VM each and in one for all.

use super::{apply, envoy, loaded, plugin, policy, row, table};
use crate::Bench;
use crate::cores::Cores;
use crate::process::held;
use crate::traffic::{self, Served};
use anyhow::Result;
use osier_tests::artifacts::component;
use osier_tests::objects;
use serde_json::{Value, json};
use std::time::Duration;

const COUNTS: [usize; 4] = [1, 10, 50, 200];
/// Instances are made by the calls that need them.
const CALLS: u64 = 2;
/// Until the statuses of what was just applied are written.
const SETTLE: Duration = Duration::from_secs(4);
/// Memory that must be free before an Envoy with so many VMs is started, in KiB: about 8 MiB each were seen.
const EACH_VM: u64 = 12 << 10;

/// MiB more than without any plugin, by [`COUNTS`]; none where it was not measured.
type More = [Option<f64>; COUNTS.len()];

pub(super) async fn grow(bench: &Bench) -> Result<Value> {
    table(
        "Memory of a proxy whose every call asks all plugins: MiB more than with none, a page counted once however often it is mapped (target: under 50 more at 200)",
        &[
            "plugins",
            "Osier, components",
            "Osier, modules of proxy-wasm",
            "Envoy, a VM for each module",
            "Envoy, one VM for all",
        ],
    );
    let mut columns: Vec<More> = Vec::new();
    for kind in [list as Kind, module] {
        columns.push(osier(bench, kind).await?);
    }
    for apart in [true, false] {
        columns.push(in_envoy(bench, apart).await?);
    }
    let mut figures = Vec::new();
    for (place, count) in COUNTS.iter().enumerate() {
        let cells = columns.iter().map(|more| more[place]);
        let words = cells.clone().map(|more| {
            more.map_or_else(|| "not measured".to_owned(), |more| format!("{more:.1}"))
        });
        row(&[vec![count.to_string()], words.collect()].concat());
        let cells: Vec<Option<f64>> = cells.collect();
        figures.push(
            json!({"plugins": count, "mib_more": {"components": cells[0], "modules": cells[1],
            "envoy_a_vm_each": cells[2], "envoy_one_vm": cells[3]}}),
        );
    }
    if columns[2].iter().all(Option::is_none) {
        println!("\n{}", envoy::MISSING);
    }
    Ok(figures.into())
}

/// A plugin with a configuration of its own, and the policy that asks it.
type Kind = fn(usize) -> [Value; 2];

fn list(number: usize) -> [Value; 2] {
    let name = format!("plugin-{number}");
    let config = json!({"config": {"mode": "Deny", "entries": [format!("nobody-{number}")]}});
    let action =
        json!({"plugin": &name, "template": "listentry", "fields": {"value": "request.path"}});
    [
        plugin(&name, "builtin://list", config),
        policy(&name, "hello", action),
    ]
}

fn module(number: usize) -> [Value; 2] {
    let name = format!("plugin-{number}");
    let config = json!({"config": format!("{} {number}", envoy::CONFIG), "limits": {"memory": "8Mi", "deadline": "20ms"}});
    [
        plugin(&name, "module:1", config),
        policy(&name, "hello", json!({"plugin": &name, "hook": "filter"})),
    ]
}

async fn osier(bench: &Bench, kind: Kind) -> Result<More> {
    let mut node = bench.node(Cores::Shared)?;
    node.import("module:1", &component(envoy::MODULE)?)?;
    traffic::hello_answers(&node).await?;
    let served = Served {
        address: node.address("gateway")?,
        pid: node.pid()?,
        cores: Cores::Shared,
    };
    // What the store remembers of changes is no plugin's.
    objects::fill_history(&node).await?;
    traffic::measure(&served, ("/", 4), CALLS).await?;
    tokio::time::sleep(SETTLE).await;
    let before = held(served.pid)?;
    let (mut more, mut there) = (More::default(), 0);
    for (place, count) in COUNTS.into_iter().enumerate() {
        let objects: Vec<Value> = (there..count).flat_map(kind).collect();
        apply(&node, &objects)?;
        loaded(&node, count).await?;
        traffic::measure(&served, ("/", 4), CALLS).await?;
        tokio::time::sleep(SETTLE).await;
        more[place] = Some(mebibytes(held(served.pid)?, before));
        there = count;
    }
    node.terminate()?;
    Ok(more)
}

async fn in_envoy(bench: &Bench, apart: bool) -> Result<More> {
    let (mut more, mut before) = (More::default(), 0);
    let counts = [&[0][..], &COUNTS[..]].concat();
    for (place, count) in counts.into_iter().enumerate() {
        if apart && free() < count as u64 * EACH_VM {
            break;
        }
        let Some((_envoy, served)) = envoy::start(count, apart).await? else {
            break;
        };
        traffic::measure(&served, ("/", 4), CALLS.min(bench.seconds)).await?;
        let now = held(served.pid)?;
        match place {
            0 => before = now,
            place => more[place - 1] = Some(mebibytes(now, before)),
        }
    }
    Ok(more)
}

fn mebibytes(now: u64, before: u64) -> f64 {
    now.saturating_sub(before) as f64 / 1024.0
}

/// Memory that can be had without swapping, in KiB.
fn free() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
