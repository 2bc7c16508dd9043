//! A thousand idle containers. In a process of its own, because it reads the process's memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "engine/guests.rs"]
#[expect(dead_code, reason = "shared with the other tests of the engine")]
mod guests;

use guests::{HELLO, container, eventually, text, wasm};
use osier_engine::{Engine, Settings};
use osier_process::Tasks;
use std::time::Duration;

const PODS: u64 = 1000;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_idle_container_costs_less_than_100_kib() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        idle: Duration::from_millis(50),
        ..Settings::new(dir.path(), Tasks::new())
    };
    let engine = Engine::start(settings).unwrap();
    let workload = engine.workload(&wasm(HELLO)).unwrap();
    let warm_up = workload.http(container()).unwrap();
    text(&warm_up, "/").await;
    let before = resident_kib();
    let mut pods = Vec::new();
    for _ in 0..PODS {
        let http = workload.http(container()).unwrap();
        assert_eq!(text(&http, "/").await, "Hello, mesh!\n");
        pods.push(http);
    }
    eventually("all cool", || {
        pods.iter().all(|http| http.usage().instances == 0)
    })
    .await;
    let each = resident_kib().saturating_sub(before) / PODS;
    println!("{each} KiB each");
    assert!(each < 100, "{each} KiB each");
}
