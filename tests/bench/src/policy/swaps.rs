//! A plugin swapped a thousand times under load: what fails, and what the node grows by.

use super::{PLUGINS, apply, loaded, plugin, policy, row, table};
use crate::Bench;
use crate::cores::Cores;
use crate::process::resident;
use crate::traffic;
use anyhow::{Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::http::Connection;
use osier_tests::load::Plan;
use osier_tests::{Node, objects};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SWAPS: usize = 1_000;
/// Until then caches, pools and the allocator find their size; that of the store is full before ([`objects::fill_history`]).
const WARM: usize = 200;
/// The allocator gives spare pages back after a second.
const SETTLE: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(20);

pub(super) async fn swap(bench: &Bench) -> Result<Value> {
    let mut node = bench.node(Cores::Shared)?;
    traffic::hello_answers(&node).await?;
    let images = images(&node)?;
    let action = json!({"plugin": "version", "hook": "filter"});
    apply(
        &node,
        &[
            plugin("version", &images[0], version(0)),
            policy("version", "hello", action),
        ],
    )?;
    loaded(&node, 1).await?;
    let gateway = node.address("gateway")?;
    let mut connection = Connection::open(&gateway).await?;
    met(&mut connection, 0).await?;
    objects::fill_history(&node).await?;
    let load = Plan::get(&gateway, "/", 4)
        .paced(Duration::from_millis(2))
        .start();
    let (began, mut warm) = (Instant::now(), 0);
    for number in 1..=SWAPS {
        let mut spec = version(number);
        spec["image"] = images[number % 2].as_str().into();
        let path = format!("{PLUGINS}/version");
        objects::merge(&node, &path, &json!({"spec": spec})).await?;
        met(&mut connection, number).await?;
        if number == WARM {
            warm = settled(&node).await?;
        }
    }
    let took = began.elapsed().saturating_sub(SETTLE);
    let grown = settled(&node).await?.saturating_sub(warm);
    let outcome = load.finish().await;
    let failed = outcome.total() - outcome.by_status().get(&200).copied().unwrap_or_default();
    let each = grown as f64 / (SWAPS - WARM) as f64;
    table(
        "Swaps of a plugin under load, code and configuration (target: no failed request, no growth)",
        &[
            "swaps",
            "seconds",
            "requests",
            "failed",
            "KiB that the node grew by, each after the first 200 (its store's memory was full before)",
        ],
    );
    row(&[
        SWAPS.to_string(),
        format!("{:.1}", took.as_secs_f64()),
        outcome.total().to_string(),
        failed.to_string(),
        format!("{each:.2}"),
    ]);
    node.terminate()?;
    Ok(
        json!({"swaps": SWAPS, "seconds": took.as_secs_f64(), "requests": outcome.total(), "failed": failed, "kib_each": each}),
    )
}

/// The memory of a node whose allocator has given back what it does not need, in KiB.
async fn settled(node: &Node) -> Result<u64> {
    tokio::time::sleep(SETTLE).await;
    resident(node.pid()?)
}

/// Two components that do the same and are not the same: every swap is one of code and of configuration.
fn images(node: &Node) -> Result<[String; 2]> {
    let bytes = std::fs::read(component("plugins/header-rewrite")?)?;
    let other = node.data_dir().join("other.wasm");
    // A custom section: id 0, its length, the length of its name, the name.
    std::fs::write(&other, [&bytes[..], &[0, 6, 5], b"other"].concat())?;
    node.import("other:1", &other)?;
    Ok(["builtin://header-rewrite".into(), "other:1".into()])
}

fn version(number: usize) -> Value {
    json!({"config": {"response": {"set": {"x-version": number.to_string()}}}})
}

/// Waits for the first answer of this version.
async fn met(connection: &mut Connection, number: usize) -> Result<()> {
    let (number, limit) = (number.to_string(), Instant::now() + LIMIT);
    loop {
        let request = http::Request::get("/").body(http_body_util::Full::default())?;
        let answer = connection.send(request).await?;
        let version = answer.headers.get("x-version");
        if version.is_some_and(|version| *version == *number) {
            return Ok(());
        }
        ensure!(
            Instant::now() < limit,
            "version {number} did not come within {LIMIT:?}"
        );
    }
}
