//! What a plugin that loops, traps or hoards does to the calls of others: their 99th percentile, beside that of a quiet node.

use super::{apply, loaded, plugin, policy, row, table};
use crate::Bench;
use crate::cores::Cores;
use crate::traffic::{self, Served, millis};
use anyhow::Result;
use osier_tests::artifacts::component;
use osier_tests::http;
use osier_tests::load::Plan;
use osier_tests::until;
use serde_json::{Value, json};
use std::time::Duration;

const MISDEEDS: [(&str, &str); 3] = [
    ("loop", "loops"),
    ("trap", "traps"),
    ("hoard", "allocates without end"),
];
/// Connections whose calls are measured.
const CONNECTIONS: usize = 4;
/// Where the bad plugin stands.
const BAD: &str = "/http/hello";

pub(super) async fn disturb(bench: &Bench) -> Result<Value> {
    let mut node = bench.node(Cores::Shared)?;
    node.import("hostile:1", &component("tests/hostile")?)?;
    let action = json!({"plugin": "hostile", "template": "listentry", "fields": {"value": "request.headers['x-behave'].orValue('')"}});
    let limits = json!({"limits": {"memory": "8Mi", "deadline": "5ms"}});
    apply(
        &node,
        &[
            plugin("hostile", "hostile:1", limits),
            policy("hostile", "http", action),
        ],
    )?;
    loaded(&node, 1).await?;
    traffic::hello_answers(&node).await?;
    let served = Served {
        address: node.address("gateway")?,
        pid: node.pid()?,
        cores: Cores::Shared,
    };
    let fails = || async {
        let bad = [("x-behave", "trap")];
        let answer = http::get_with(&served.address, BAD, &bad).await?;
        Ok((answer.status == 500).then_some(()))
    };
    until("the bad plugin is asked", Duration::from_secs(60), fails).await?;
    let quiet = traffic::measure(&served, ("/", CONNECTIONS), bench.seconds).await?;
    table(
        "Calls of others while one call at a time meets a bad plugin (target: their p99 within 1.20 of the quiet one)",
        &[
            "the plugin",
            "p99 ms",
            "of the quiet p99",
            "its own calls that failed",
        ],
    );
    row(&["does nothing", &format!("{:.3}", millis(quiet.p99)), "", ""]);
    let mut figures = vec![json!({"misdeed": null, "p99_ms": millis(quiet.p99)})];
    for (misdeed, words) in MISDEEDS {
        let bad = Plan::get(&served.address, BAD, 1)
            .header("x-behave", misdeed)
            .start();
        let found = traffic::measure(&served, ("/", CONNECTIONS), bench.seconds).await?;
        let met = bad.finish().await.by_status();
        let ratio = found.p99.as_secs_f64() / quiet.p99.as_secs_f64().max(f64::MIN_POSITIVE);
        let p99 = millis(found.p99);
        let failed = met.get(&500).copied().unwrap_or_default();
        row(&[
            words,
            &format!("{p99:.3}"),
            &format!("{ratio:.2}"),
            &failed.to_string(),
        ]);
        figures.push(json!({"misdeed": misdeed, "p99_ms": p99, "ratio": ratio, "failed": failed}));
    }
    node.terminate()?;
    Ok(figures.into())
}
