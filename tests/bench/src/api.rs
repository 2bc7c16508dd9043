//! The API server: what an idle node needs, how long writes, reads, lists and the news of a change take, and what objects hold in memory.

use crate::Bench;
use crate::process::{resident, used};
use anyhow::{Result, ensure};
use http::StatusCode;
use http_body_util::BodyExt;
use osier_tests::api::{Api, Streams};
use osier_tests::{Node, objects};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Callers at the same time.
const CALLERS: usize = 16;
/// Watches on one connection.
const ON_ONE: usize = 100;
/// Changes in a second that all watches are told of.
const CHANGES: u32 = 5;
/// Changes in a second of objects that one watch each is told of.
const EVENTS: usize = 1000;
/// A node that became ready a moment ago is not idle yet.
const SETTLES: Duration = Duration::from_secs(20);
/// How long an idle node is watched.
const WATCHED: Duration = Duration::from_secs(60);
const MERGE: &str = "application/merge-patch+json";
const PODS: &str = "/api/v1/pods";
/// What kubectl asks for.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Everything that is measured of the API.
pub(crate) async fn measure(node: &Node, bench: &Bench) -> Result<Value> {
    let idle = idle(node).await?;
    let writes = calls(node, bench.seconds, Call::Create).await?;
    println!("\n  {CALLERS} callers create ConfigMaps of 2 KB: {writes}");
    let changes = calls(node, bench.seconds, Call::Change).await?;
    println!("  {CALLERS} callers change one each, by merge patch: {changes}");
    let reads = calls(node, bench.seconds, Call::Read).await?;
    println!("  {CALLERS} callers read one: {reads}");
    let news = fan_out(node, bench).await?;
    println!(
        "  {} watches hear of {CHANGES} changes in a second: {news}",
        bench.watches
    );
    let own = apart(node, bench).await?;
    println!(
        "  {} watches, each of an object of its own, and {EVENTS} changes in a second: {own}",
        bench.watches
    );
    let memory = memory(node, bench.objects).await?;
    let lists = lists(node).await?;
    Ok(
        json!({"idle": idle, "writes": writes.json(), "changes": changes.json(), "reads": reads.json(), "fan_out": news.json(),
        "apart": own.json(), "memory": memory, "lists": lists}),
    )
}

/// What a node needs on which nothing is deployed, a while after it became ready.
async fn idle(node: &Node) -> Result<Value> {
    let pid = node.pid()?;
    tokio::time::sleep(SETTLES).await;
    let (before, began) = (used(pid)?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let share = (used(pid)? - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let kib = resident(pid)?;
    let (mib, seconds) = (kib as f64 / 1024.0, WATCHED.as_secs());
    println!(
        "\n  nothing deployed: {mib:.1} MiB resident, {share:.2} % of a core over {seconds} s"
    );
    Ok(json!({"resident_kib": kib, "core_percent": share}))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Create,
    Change,
    Read,
}

/// Times of one kind, in milliseconds.
struct Times {
    sorted: Vec<f64>,
    seconds: f64,
}

impl Times {
    fn of(mut times: Vec<f64>, took: Duration) -> Self {
        times.sort_by(f64::total_cmp);
        Self {
            sorted: times,
            seconds: took.as_secs_f64(),
        }
    }

    /// The time that so many of a thousand did not exceed.
    fn at(&self, thousandth: usize) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let place = (self.sorted.len() * thousandth / 1000).min(last);
        self.sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.seconds
    }

    fn json(&self) -> Value {
        json!({"per_second": self.rate(), "p50_ms": self.at(500), "p99_ms": self.at(990), "max_ms": self.at(1000)})
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, half, most, all) = (self.rate(), self.at(500), self.at(990), self.at(1000));
        write!(
            formatter,
            "{rate:.0}/s, p50 {half:.2} ms, p99 {most:.2} ms, max {all:.1} ms"
        )
    }
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"filler": "x".repeat(2000)}})
}

/// Calls for some seconds.
async fn calls(node: &Node, seconds: u64, call: Call) -> Result<Times> {
    let (began, end) = (
        Instant::now(),
        Instant::now() + Duration::from_secs(seconds),
    );
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let mut api = Api::open(node).await?;
        callers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < end {
                let name = format!("w{caller}-{}", times.len());
                let asked = Instant::now();
                let own = format!("{MAPS}/w{caller}-0");
                let answer = match call {
                    Call::Create => api.send("POST", MAPS, Some(&map(&name))).await?,
                    Call::Change => {
                        let change = json!({"data": {"change": name}}).to_string();
                        api.send_as("PATCH", &own, MERGE, change).await?
                    }
                    Call::Read => api.send("GET", &own, None).await?,
                };
                ensure!(answer.status.is_success(), "{}", answer.text());
                times.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            anyhow::Ok(times)
        }));
    }
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await??);
    }
    Ok(Times::of(all, began.elapsed()))
}

/// Many watches, and when what they hear was asked for.
struct Audience {
    times: Arc<Mutex<Vec<f64>>>,
    origin: Instant,
    watches: Vec<JoinHandle<Result<()>>>,
}

impl Audience {
    /// Opens so many watches, each at a path of its own, and waits until all have begun.
    async fn gather(node: &Node, count: usize, path: impl Fn(usize) -> String) -> Result<Self> {
        let mut audience = Self {
            times: Arc::default(),
            origin: Instant::now(),
            watches: Vec::new(),
        };
        let started = Arc::new(AtomicUsize::new(0));
        while audience.watches.len() < count {
            let streams = Streams::open(node).await?;
            for _ in 0..ON_ONE.min(count - audience.watches.len()) {
                let path = path(audience.watches.len());
                let hears = audience.hears(streams.clone(), path, started.clone());
                audience.watches.push(tokio::spawn(hears));
            }
        }
        let begun = || async { Ok((started.load(Ordering::SeqCst) == count).then_some(())) };
        osier_tests::until("all watches", Duration::from_secs(120), begun).await?;
        Ok(audience)
    }

    fn hears(
        &self,
        streams: Streams,
        path: String,
        started: Arc<AtomicUsize>,
    ) -> impl Future<Output = Result<()>> + use<> {
        let (times, origin) = (self.times.clone(), self.origin);
        async move {
            let response = streams.get(&path).await?;
            ensure!(response.status() == StatusCode::OK, "{}", response.status());
            started.fetch_add(1, Ordering::SeqCst);
            let mut body = response.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                let now = origin.elapsed().as_secs_f64() * 1e3;
                let data = frame.into_data().unwrap_or_default();
                let own: Vec<f64> = asked(&data).map(|asked| now - asked).collect();
                all(&times).extend(own);
            }
            Ok(())
        }
    }

    /// Changes an object; the change says when it was due, so that who asks late counts as late.
    async fn change(&self, api: &mut Api, name: &str, due: Instant) -> Result<()> {
        change(api, due - self.origin, name).await
    }

    /// Waits until all is heard.
    async fn heard(self, wanted: usize, took: Duration) -> Result<Times> {
        let times = &self.times;
        let heard = || async { Ok((all(times).len() >= wanted).then_some(())) };
        osier_tests::until("all news", Duration::from_secs(60), heard).await?;
        for watch in &self.watches {
            watch.abort();
        }
        let heard = std::mem::take(&mut *all(&self.times));
        Ok(Times::of(heard, took))
    }
}

/// What was heard so far.
fn all(times: &Mutex<Vec<f64>>) -> MutexGuard<'_, Vec<f64>> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn change(api: &mut Api, due: Duration, name: &str) -> Result<()> {
    let at = due.as_secs_f64() * 1e3;
    let change = json!({"data": {"at": format!("{at:.3}")}}).to_string();
    let path = format!("{MAPS}/{name}");
    let answer = api.send_as("PATCH", &path, MERGE, change).await?;
    ensure!(answer.status.is_success(), "{}", answer.text());
    Ok(())
}

async fn newest(node: &Node) -> Result<String> {
    let list = objects::get(node, &format!("{MAPS}?limit=1")).await?;
    let version = list["metadata"]["resourceVersion"].as_str();
    Ok(version.unwrap_or("0").to_owned())
}

/// How long after a change was due each of many watches of one object has it.
async fn fan_out(node: &Node, bench: &Bench) -> Result<Times> {
    let mut api = Api::open(node).await?;
    api.send("POST", MAPS, Some(&map("news"))).await?;
    let from = newest(node).await?;
    let path = format!("{MAPS}?watch=1&fieldSelector=metadata.name=news&resourceVersion={from}");
    let audience = Audience::gather(node, bench.watches, |_| path.clone()).await?;
    let began = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / CHANGES);
    let mut changes = 0;
    while began.elapsed() < Duration::from_secs(bench.seconds) {
        let due = pace.tick().await.into_std();
        audience.change(&mut api, "news", due).await?;
        changes += 1;
    }
    let took = began.elapsed();
    audience.heard(changes * bench.watches, took).await
}

/// The same where each watch is of an object of its own, as those of agents are, and all objects together change often.
async fn apart(node: &Node, bench: &Bench) -> Result<Times> {
    let name = |number: usize| format!("own-{number}");
    let mut callers = callers(node).await?;
    each(&mut callers, bench.watches, async |api, number| {
        let made = api.send("POST", MAPS, Some(&map(&name(number)))).await?;
        ensure!(made.status.is_success(), "{}", made.text());
        Ok(())
    })
    .await?;
    let from = newest(node).await?;
    let path = |number| {
        format!(
            "{MAPS}?watch=1&fieldSelector=metadata.name={}&resourceVersion={from}",
            name(number)
        )
    };
    let audience = Audience::gather(node, bench.watches, path).await?;
    let (began, origin) = (Instant::now(), audience.origin);
    let changes = EVENTS * usize::try_from(bench.seconds)?;
    each(&mut callers, changes, async |api, number| {
        // Each has its moment, whoever is late.
        let due = Duration::from_secs_f64(number as f64 / EVENTS as f64);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        change(api, began + due - origin, &name(number % bench.watches)).await
    })
    .await?;
    let took = began.elapsed();
    audience.heard(changes, took).await
}

/// All callers, connected: what their handshakes take is not the news' to answer for.
async fn callers(node: &Node) -> Result<Vec<Api>> {
    futures::future::try_join_all((0..CALLERS).map(|_| Api::open(node))).await
}

/// Does something for each number, by all callers in turn.
async fn each(
    callers: &mut [Api],
    count: usize,
    act: impl AsyncFn(&mut Api, usize) -> Result<()>,
) -> Result<()> {
    let act = &act;
    let all = callers.iter_mut().enumerate();
    let all = all.map(|(caller, api)| async move {
        for number in (caller..count).step_by(CALLERS) {
            act(api, number).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(all).await.map(drop)
}

/// The moments that the events in some bytes say they were asked for at.
fn asked(data: &[u8]) -> impl Iterator<Item = f64> {
    // A search that costs little: the watches run on the cores of the server whose time is measured.
    let text = std::str::from_utf8(data).unwrap_or_default();
    let places = text.split("\"data\":{\"at\":\"").skip(1);
    places.filter_map(|rest| rest.split_once('"')?.0.parse().ok())
}

/// What pods and nodes hold that are stored and on which nothing acts: nobody schedules them.
async fn memory(node: &Node, count: usize) -> Result<Value> {
    let before = resident(node.pid()?)?;
    let pod = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number}"), "labels": {"app": format!("app-{}", number % 100)}},
            "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "registry.example/app:1.0",
                "env": [{"name": "ZONE", "value": "a"}], "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}})
    };
    let machine = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("machine-{number}")},
            "status": {"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}}})
    };
    let began = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let mut api = Api::open(node).await?;
        callers.push(tokio::spawn(async move {
            for number in (caller..count).step_by(CALLERS) {
                // A node for every thirty pods, as in a cluster of 5,000 nodes and 150,000 pods.
                if number % 30 == 0 {
                    let made = api
                        .send("POST", "/api/v1/nodes", Some(&machine(number)))
                        .await?;
                    ensure!(made.status.is_success(), "{}", made.text());
                }
                let path = "/api/v1/namespaces/default/pods";
                let made = api.send("POST", path, Some(&pod(number))).await?;
                ensure!(made.status.is_success(), "{}", made.text());
            }
            anyhow::Ok(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    let took = began.elapsed().as_secs_f64();
    let after = resident(node.pid()?)?;
    let (rate, mib) = (count as f64 / took, |kib: u64| kib / 1024);
    println!(
        "  {count} pods and {} nodes: {} MiB before, {} MiB after; created at {rate:.0}/s",
        count / 30,
        mib(before),
        mib(after)
    );
    Ok(
        json!({"pods": count, "nodes": count / 30, "before_kib": before, "after_kib": after, "created_per_second": rate}),
    )
}

/// How long it takes to list all of the pods: in pages of 500 as whole objects, in the same as rows, and at once.
async fn lists(node: &Node) -> Result<Value> {
    let pages = pages(node, "application/json").await?;
    println!("  all pods in pages of 500: {pages}");
    let rows = self::pages(node, TABLE).await?;
    println!("  the same as tables: {rows}");
    let streams = Streams::open(node).await?;
    let (asked, mut bytes) = (Instant::now(), 0);
    let mut body = streams.get(PODS).await?.into_body();
    while let Some(frame) = body.frame().await {
        bytes += frame?.into_data().map_or(0, |data| data.len());
    }
    let (took, mib) = (asked.elapsed().as_secs_f64(), bytes as f64 / 1048576.0);
    let held = resident(node.pid()?)?;
    println!(
        "  all at once: {mib:.0} MiB in {took:.2} s; {} MiB resident after it",
        held / 1024
    );
    Ok(
        json!({"pages": pages.json(), "tables": rows.json(), "at_once_s": took, "at_once_bytes": bytes, "resident_kib": held}),
    )
}

/// Reads all pods page by page.
async fn pages(node: &Node, accept: &str) -> Result<Times> {
    let mut api = Api::open(node).await?;
    let (began, mut times, mut token) = (Instant::now(), Vec::new(), String::new());
    loop {
        let path = format!("{PODS}?limit=500&continue={token}");
        let asked = Instant::now();
        let answer = api.accepting(&path, accept).await?;
        ensure!(answer.status.is_success(), "{}", answer.text());
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        let page: Value = serde_json::from_str(&answer.text())?;
        match page["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => token = next.to_owned(),
            _ => return Ok(Times::of(times, began.elapsed())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_found_in_events() {
        let data = br#"{"object":{"data":{"at":"12.500","filler":"x"}}}
{"object":{"data":{"at":"13.000"}}}"#;
        assert_eq!(asked(data).collect::<Vec<_>>(), [12.5, 13.0]);
        assert_eq!(asked(b"{}").count(), 0);
    }

    #[test]
    fn hundredths_are_of_what_was_measured() {
        let times = Times::of((1..=1000).map(f64::from).collect(), Duration::from_secs(2));
        assert_eq!(
            (times.at(500), times.at(990), times.at(1000)),
            (501.0, 991.0, 1000.0)
        );
        assert!((times.rate() - 500.0).abs() < 0.1);
    }
}
