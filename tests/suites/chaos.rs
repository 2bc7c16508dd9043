//! Backends and nodes that fail while requests flow: how many requests fail for it, within bounds that are stated here.
//!
//! A failure costs at most what was under way with the one that failed, and what is sent there until that is noticed; what a route may
//! repeat costs nobody anything. Each row prints its figures.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_tests::artifacts::component;
use osier_tests::load::{Outcome, Plan};
use osier_tests::{Node, objects, server, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const SOON: Duration = Duration::from_secs(30);
/// What takes a node's absence to be noticed, and its pods to come back.
const LONG: Duration = Duration::from_secs(90);
/// Requests at the same time.
const LOAD: usize = 8;
/// Failures in a row after which an endpoint is left out.
const JUDGED: usize = 3;

/// What a backend does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Fate {
    /// Answers.
    Well,
    /// Breaks the connection off without an answer.
    Reset,
    /// Answers a second late.
    Slow,
    /// Reads, and never says anything.
    Blackhole,
    /// Breaks the connection off in the middle of an answer.
    Cut,
    /// Answers with what is no HTTP.
    Garbage,
}

/// A backend whose fate changes.
struct Backend {
    port: u16,
    fate: Arc<AtomicU8>,
    /// Requests that came since its fate changed.
    asked: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fate = Arc::new(AtomicU8::new(Fate::Well as u8));
        let asked = Arc::<AtomicUsize>::default();
        let (meets, counts) = (Arc::clone(&fate), Arc::clone(&asked));
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&meets), Arc::clone(&counts)));
            }
        });
        Self {
            port,
            fate,
            asked,
            accepting,
        }
    }

    fn meet(&self, fate: Fate) {
        self.asked.store(0, Ordering::SeqCst);
        self.fate.store(fate as u8, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// It is gone, with its connections and its port.
    fn kill(&self) {
        self.accepting.abort();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(mut stream: TcpStream, fate: Arc<AtomicU8>, asked: Arc<AtomicUsize>) {
    let mut held = Vec::new();
    while let Ok(count) = stream.read_buf(&mut held).await {
        if count == 0 {
            return;
        }
        while let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            held.drain(..end + 4);
            asked.fetch_add(1, Ordering::SeqCst);
            if !answer(&mut stream, fate.load(Ordering::SeqCst)).await {
                return;
            }
        }
    }
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, fate: u8) -> bool {
    let whole: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell";
    let (said, goes_on): (&[u8], _) = match fate {
        fate if fate == Fate::Reset as u8 => {
            // An unread linger of zero makes the end a reset.
            let _broken = stream.set_zero_linger();
            return false;
        }
        fate if fate == Fate::Slow as u8 => {
            server::takes(Duration::from_secs(1)).await;
            (whole, true)
        }
        fate if fate == Fate::Blackhole as u8 => return std::future::pending().await,
        fate if fate == Fate::Cut as u8 => (&whole[..whole.len() - 2], false),
        fate if fate == Fate::Garbage as u8 => (b"\0\x01no HTTP at all\r\n\r\n", false),
        _ => (whole, true),
    };
    stream.write_all(said).await.is_ok() && goes_on
}

/// A node whose gateway leads to these backends, with these retries.
async fn shop(backends: &[&Backend], retries: Value) -> Node {
    let node = Node::start().unwrap();
    let object = |kind: &str, spec: Value| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "shop"}, "spec": spec}).to_string()
    };
    let endpoint = |one: &&Backend| json!({"address": "127.0.0.1", "ports": {"http": one.port}});
    let endpoints: Vec<Value> = backends.iter().map(endpoint).collect();
    let host = "shop.example.com";
    let outlier = json!({"consecutive5xxErrors": JUDGED, "interval": "1s", "baseEjectionTime": "300s", "maxEjectionPercent": 50});
    let all = [
        object(
            "Gateway",
            json!({"servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}),
        ),
        object(
            "ServiceEntry",
            json!({"hosts": [host], "resolution": "STATIC", "endpoints": endpoints,
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}),
        ),
        object(
            "DestinationRule",
            json!({"host": host, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": outlier}}),
        ),
        object(
            "VirtualService",
            json!({"hosts": ["*"], "gateways": ["shop"],
            "http": [{"route": [{"destination": {"host": host}}], "timeout": "10s", "retries": retries}]}),
        ),
    ];
    node.apply_text(&all.join("\n---\n")).unwrap();
    let gateway = node.address("gateway").unwrap();
    let all_answer = || async {
        osier_tests::http::get(&gateway, "/").await?;
        ensure!(
            backends.iter().all(|one| one.asked() > 1),
            "not all were asked"
        );
        Ok(Some(()))
    };
    until("all backends are asked", SOON, all_answer)
        .await
        .unwrap();
    node
}

/// Lets one of three backends meet its fate under load, until the others have answered `more` requests since.
async fn under_load(backends: [&Backend; 3], node: &Node, fate: Option<Fate>) -> Outcome {
    let gateway = node.address("gateway").unwrap();
    let load = Plan::get(&gateway, "/", LOAD).start();
    let flows = || async { Ok((load.count(200, Duration::ZERO) > 300).then_some(())) };
    until("requests flow", SOON, flows).await.unwrap();
    match fate {
        Some(fate) => backends[0].meet(fate),
        None => backends[0].kill(),
    }
    let since = load.elapsed();
    // Long enough for what is under way to end, and for the bad one to be left out.
    let over = || async {
        let on = load.elapsed() > since + Duration::from_secs(3);
        Ok((on && load.count(200, since) > 600).then_some(()))
    };
    until("requests go on", SOON, over).await.unwrap();
    load.finish().await
}

fn told(what: &str, outcome: &Outcome, backend: &Backend) -> usize {
    let good = outcome.by_status().get(&200).copied().unwrap_or_default();
    let failed = outcome.total() - good;
    let asked = backend.asked();
    println!(
        "{what}: {failed} of {} requests failed, {asked} came to the one that failed",
        outcome.total()
    );
    failed
}

async fn three() -> [Backend; 3] {
    [
        Backend::start().await,
        Backend::start().await,
        Backend::start().await,
    ]
}

/// With retries nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_backend_costs_nothing_where_requests_are_repeated() {
    for (fate, most) in [
        (None, 0),
        (Some(Fate::Reset), 0),
        (Some(Fate::Slow), 0),
        (Some(Fate::Blackhole), 0),
        (Some(Fate::Garbage), 0),
    ] {
        let all = three().await;
        let backends = all.each_ref();
        let retries = json!({"attempts": 2, "perTryTimeout": "0.5s", "retryOn": "5xx"});
        let node = shop(&backends, retries).await;
        let outcome = under_load(backends, &node, fate).await;
        let failed = told(&format!("{fate:?} with retries"), &outcome, &all[0]);
        assert!(failed <= most, "{:?}", outcome.unexpected(&[200]));
        if fate.is_some() {
            let (asked, bound) = (all[0].asked(), JUDGED + LOAD);
            assert!(
                asked <= bound,
                "{asked} requests came to the one that failed, at most {bound}"
            );
        }
    }
}

/// Without retries it costs what was under way there, and what is sent until it is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_backend_costs_what_was_under_way_where_nothing_is_repeated() {
    for fate in [None, Some(Fate::Reset), Some(Fate::Garbage)] {
        let all = three().await;
        let backends = all.each_ref();
        let node = shop(&backends, json!({"attempts": 0})).await;
        let outcome = under_load(backends, &node, fate).await;
        let failed = told(&format!("{fate:?} without retries"), &outcome, &all[0]);
        let (bound, faults) = (JUDGED + LOAD, outcome.unexpected(&[200]));
        assert!(
            failed <= bound,
            "{failed} failed, at most {bound}: {faults:?}"
        );
        assert!(failed > 0, "the row does what it says");
    }
}

/// An answer that is cut cannot be repeated, for its beginning was passed on; but it speaks against the backend, which is left out. It costs
/// the requests that come there until then, and none of the others.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_cut_cost_themselves_and_no_others() {
    let all = three().await;
    let backends = all.each_ref();
    let retries = json!({"attempts": 2, "perTryTimeout": "0.5s", "retryOn": "5xx"});
    let node = shop(&backends, retries).await;
    let outcome = under_load(backends, &node, Some(Fate::Cut)).await;
    let failed = told("Cut with retries", &outcome, &all[0]);
    let (asked, bound) = (all[0].asked(), JUDGED + LOAD);
    assert!(failed <= asked, "{:?}", outcome.unexpected(&[200]));
    assert!(asked <= bound, "{asked} came there, at most {bound}");
    assert!(failed > 0, "the row does what it says");
}

/// Four pods on two nodes behind the gateway of the first, and the load on it.
struct Pair {
    control: Node,
    joined: Node,
}

impl Pair {
    async fn start() -> Self {
        let control = Node::start().unwrap();
        let image = component("tests/echo").unwrap();
        control.import("echo:1.0", &image).unwrap();
        let joined = control.joined("second").unwrap();
        let pair = Self { control, joined };
        let echo = include_str!("manifests/echo.yaml").replace("replicas: 1", "replicas: 4");
        pair.control.apply_text(&echo).unwrap();
        objects::ready(&pair.control, "app=echo", 4).await.unwrap();
        pair.all_answer().await;
        pair
    }

    fn gateway(&self) -> String {
        self.control.address("gateway").unwrap()
    }

    /// Waits until pods of both nodes answer.
    async fn all_answer(&self) {
        let gateway = self.gateway();
        let all = || async {
            let mut seen = BTreeSet::new();
            for _ in 0..40 {
                let answer = osier_tests::http::get(&gateway, "/").await?;
                ensure!(answer.status == 200, "{}", answer.text());
                seen.insert(answer.json()?["pod"].to_string());
            }
            ensure!(seen.len() == 4, "{seen:?}");
            Ok(Some(()))
        };
        until("pods of both nodes answer", LONG, all).await.unwrap();
    }

    /// Requests that may be repeated, and are given a second each.
    async fn repeat(&self) {
        let rule = json!({"route": [{"destination": {"host": "echo"}}], "timeout": "10s",
            "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "connect-failure,reset,gateway-error"}});
        let routes = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "echo"},
            "spec": {"hosts": ["*"], "gateways": ["web"], "http": [rule]}});
        self.control.apply_text(&routes.to_string()).unwrap();
        let path = "/apis/networking.istio.io/v1/namespaces/default/virtualservices/echo";
        let in_force = || async {
            let routes = objects::get(&self.control, path).await?;
            let newest = routes["status"]["observedGeneration"] == routes["metadata"]["generation"];
            Ok(newest.then_some(()))
        };
        until("requests are repeated", SOON, in_force)
            .await
            .unwrap();
    }

    /// Load while something happens, and some seconds more: the link's own pings take eight to tell that nobody is there.
    async fn under_load(&self, seconds: u64, happens: impl FnOnce(&Self)) -> Outcome {
        let load = Plan::get(&self.gateway(), "/", LOAD).start();
        let flows = || async { Ok((load.count(200, Duration::ZERO) > 200).then_some(())) };
        until("requests flow", SOON, flows).await.unwrap();
        happens(self);
        let since = load.elapsed();
        let over =
            || async { Ok((load.elapsed() > since + Duration::from_secs(seconds)).then_some(())) };
        until("time goes by", LONG, over).await.unwrap();
        load.finish().await
    }
}

fn failed(what: &str, outcome: &Outcome) -> usize {
    let good = outcome.by_status().get(&200).copied().unwrap_or_default();
    let failed = outcome.total() - good;
    println!("{what}: {failed} of {} requests failed", outcome.total());
    failed
}

/// The other node's process stands still, as if its cable were cut: nothing is refused, and nothing is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_costs_what_was_under_way_and_nothing_where_requests_are_repeated() {
    let pair = Pair::start().await;
    let cut = |pair: &Pair| pair.joined.signal(Signal::STOP).unwrap();
    let outcome = pair.under_load(11, cut).await;
    pair.joined.signal(Signal::CONT).unwrap();
    let cost = failed("a link that is cut, nothing repeated", &outcome);
    // What was under way, and what its callers sent again before all of them were told that the link has ended.
    assert!(cost <= 2 * LOAD, "{:?}", outcome.unexpected(&[200]));
    pair.all_answer().await;
    pair.repeat().await;
    let outcome = pair.under_load(11, cut).await;
    pair.joined.signal(Signal::CONT).unwrap();
    let cost = failed("a link that is cut, requests repeated", &outcome);
    assert_eq!(cost, 0, "{:?}", outcome.unexpected(&[200]));
    pair.all_answer().await;
    let mut pair = pair;
    let outcome = {
        let (load, joined) = (
            Plan::get(&pair.gateway(), "/", LOAD).start(),
            &mut pair.joined,
        );
        let flows = || async { Ok((load.count(200, Duration::ZERO) > 200).then_some(())) };
        until("requests flow", SOON, flows).await.unwrap();
        joined.kill().unwrap();
        let since = load.elapsed();
        let on = || async { Ok((load.count(200, since) > 600).then_some(())) };
        until("requests go on", LONG, on).await.unwrap();
        load.finish().await
    };
    let cost = failed("a node that is killed, requests repeated", &outcome);
    assert_eq!(cost, 0, "{:?}", outcome.unexpected(&[200]));
}

/// Pods that are deleted finish what they have; those that are ended at once cost what they had, or nothing where it is repeated.
#[tokio::test(flavor = "multi_thread")]
async fn pods_that_are_deleted_cost_nothing_and_those_that_are_killed_what_they_had() {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    let echo = include_str!("manifests/echo.yaml").replace("replicas: 1", "replicas: 3");
    node.apply_text(&echo).unwrap();
    let gateway = node.address("gateway").unwrap();
    for (seconds, most) in [(None, 0), (Some(0), LOAD)] {
        let pods = objects::ready(&node, "app=echo", 3).await.unwrap();
        // Pods are ready a moment before their service has them.
        let routed = || async {
            let mut seen = BTreeSet::new();
            for _ in 0..30 {
                let answer = osier_tests::http::get(&gateway, "/").await?;
                ensure!(answer.status == 200, "{}", answer.text());
                seen.insert(answer.json()?["pod"].to_string());
            }
            Ok((seen.len() == 3).then_some(()))
        };
        until("all three answer", LONG, routed).await.unwrap();
        let load = Plan::get(&gateway, "/slow?ms=20", LOAD).start();
        let flows = || async { Ok((load.count(200, Duration::ZERO) > 100).then_some(())) };
        until("requests flow", SOON, flows).await.unwrap();
        let grace = seconds.map(|seconds| format!("?gracePeriodSeconds={seconds}"));
        for pod in pods.iter().take(2) {
            let path = format!(
                "/api/v1/namespaces/default/pods/{}{}",
                objects::name(pod),
                grace.as_deref().unwrap_or_default()
            );
            objects::delete(&node, &path).await.unwrap();
        }
        let since = load.elapsed();
        let on = || async { Ok((load.count(200, since) > 300).then_some(())) };
        until("requests go on", LONG, on).await.unwrap();
        let outcome = load.finish().await;
        let cost = failed(
            &format!("two of three pods deleted, grace {seconds:?}"),
            &outcome,
        );
        assert!(cost <= most, "{:?}", outcome.unexpected(&[200]));
    }
}
