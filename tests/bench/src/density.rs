//! How many pods one node holds: all ready, each asked once, and what all of it takes then.

use crate::Bench;
use crate::pods::until_ready;
use crate::process::{maps, resident};
use anyhow::{Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::http::Connection;
use osier_tests::{Node, Options, objects};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const CONTROLLER: &str = "/api/v1/namespaces/default/replicationcontrollers/dense";
const PODS: &str = include_str!("density.yaml");
/// Callers at the same time.
const CALLERS: usize = 16;
/// Some pods are asked more than once before the last one was.
const MOST: usize = 4;
/// Instances that nobody needs are dropped after 30 seconds.
const COOLED: Duration = Duration::from_secs(40);

/// Starts so many pods on a node of its own, asks each, and tells what they take.
pub(crate) async fn measure(bench: &Bench) -> Result<Value> {
    let count = bench.live_pods;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, format!("maxPods: {count}\n"))?;
    let mut node = Node::start_with(&Options {
        binary: Some(bench.binary.clone()),
        args: vec!["--config".to_owned(), config.display().to_string()],
        ..Options::default()
    })?;
    node.import("echo:1.0", &component("tests/echo")?)?;
    node.apply_text(PODS)?;
    until_ready(&node, CONTROLLER, 1).await?;
    let figures = fill(&node, count).await;
    let log = node.log_tail(20);
    let ended = node.terminate();
    let figures = figures.map_err(|error| error.context(log))?;
    ended?;
    Ok(figures)
}

/// What is known when all is done, in seconds and KiB.
struct Figures {
    pods: usize,
    requests: usize,
    ready: f64,
    asked: f64,
    /// Before, when all were ready, when all were asked, and later.
    memory: [u64; 4],
    maps: usize,
}

async fn fill(node: &Node, count: usize) -> Result<Value> {
    let pid = node.pid()?;
    let before = resident(pid)?;
    let began = Instant::now();
    objects::merge(node, CONTROLLER, &json!({"spec": {"replicas": count}})).await?;
    until_ready(node, CONTROLLER, count).await?;
    let (ready, at_ready) = (began.elapsed().as_secs_f64(), resident(pid)?);
    let began = Instant::now();
    let requests = ask_each(node, count).await?;
    let (asked, at_asked) = (began.elapsed().as_secs_f64(), resident(pid)?);
    let maps = maps(pid)?;
    tokio::time::sleep(COOLED).await;
    let figures = Figures {
        pods: count,
        requests,
        ready,
        asked,
        memory: [before, at_ready, at_asked, resident(pid)?],
        maps,
    };
    Ok(figures.tell())
}

impl Figures {
    fn tell(&self) -> Value {
        let [before, ready, asked, settled] = self.memory.map(|kib| kib / 1024);
        println!(
            "\n  {} live pods: ready after {:.1} s, each asked once within {:.1} s ({} requests, none failed)",
            self.pods, self.ready, self.asked, self.requests
        );
        println!(
            "  {before} MiB before, {ready} MiB when all were ready, {asked} MiB when all were asked, {settled} MiB after {} s more; {} memory maps of {}",
            COOLED.as_secs(),
            self.maps,
            most_maps()
        );
        json!({
            "pods": self.pods, "ready_after_s": self.ready, "requests": self.requests, "asked_within_s": self.asked,
            "kib": {"before": self.memory[0], "ready": self.memory[1], "asked": self.memory[2], "settled": self.memory[3]},
            "maps": self.maps, "max_map_count": most_maps(),
        })
    }
}

/// The names of those who have answered, and how many answers there were.
type Answered = Mutex<(BTreeSet<String>, usize)>;

/// Asks through the gateway, in turns, until every pod has answered; how many requests that took.
async fn ask_each(node: &Node, count: usize) -> Result<usize> {
    let gateway = node.address("gateway")?;
    let seen = Arc::new(Answered::default());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (gateway, seen) = (gateway.clone(), seen.clone());
        callers.push(tokio::spawn(
            async move { ask(&gateway, &seen, count).await },
        ));
    }
    for caller in callers {
        caller.await??;
    }
    let (pods, asked) = &*seen.lock().await;
    ensure!(pods.len() >= count, "only {} pods answered", pods.len());
    Ok(*asked)
}

async fn ask(gateway: &str, seen: &Answered, count: usize) -> Result<()> {
    let mut connection = Connection::open(gateway).await?;
    loop {
        let request = http::Request::get("/").header("host", "dense");
        let request = request.body(http_body_util::Full::default())?;
        let answer = connection.send(request).await?;
        let status = answer.status;
        ensure!(status == 200, "{status}: {}", answer.text());
        let pod = answer.json()?["pod"].as_str().map(str::to_owned);
        let (pods, asked) = &mut *seen.lock().await;
        pods.extend(pod);
        *asked += 1;
        if pods.len() >= count || *asked > count * MOST {
            return Ok(());
        }
    }
}

/// What the machine allows a process.
fn most_maps() -> String {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    text.unwrap_or_default().trim().to_owned()
}
