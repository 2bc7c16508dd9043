//! A plugin swapped a thousand times under load: every request is answered, the next one meets the new version, and memory stays flat.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::component;
use osier_tests::http::{Connection, get};
use osier_tests::load::Plan;
use osier_tests::objects;
use osier_tests::{Node, until};
use serde_json::{Value, json};
use std::time::Duration;

const ECHO: &str = include_str!("manifests/echo.yaml");
const PLUGIN: &str = "/apis/policy.osier.dev/v1alpha1/namespaces/default/plugins/version";
const LIMIT: Duration = Duration::from_secs(20);
const SWAPS: usize = 1_000;
/// Until then caches, pools and the allocator find their size; that of the store is full before.
const WARM: usize = 200;
/// Kibibytes that the node may have grown from then on: under load the allocator's spare pages come and go by some. A version that leaks an instance leaks
/// at least a page of 64 KiB, eight hundred of them 50 MiB.
const GROWTH: u64 = 12 * 1024;

/// Two components that do the same and are not the same: every swap is one of code and of configuration.
fn images(node: &Node) -> [String; 2] {
    let bytes = std::fs::read(component("plugins/header-rewrite").unwrap()).unwrap();
    let other = node.data_dir().join("other.wasm");
    // A custom section: id 0, its length, the length of its name, the name.
    std::fs::write(&other, [&bytes[..], &[0, 6, 5], b"other"].concat()).unwrap();
    node.import("other:1", &other).unwrap();
    ["builtin://header-rewrite".into(), "other:1".into()]
}

fn version(image: &str, number: usize) -> Value {
    let config = json!({"response": {"set": {"x-version": number.to_string()}}});
    json!({"spec": {"image": image, "config": config}})
}

/// Resident memory of the node in KiB.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_fail_no_request_and_leave_nothing_behind() {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    let images = images(&node);
    let mut plugin = version(&images[0], 0);
    plugin["apiVersion"] = json!("policy.osier.dev/v1alpha1");
    plugin["kind"] = json!("Plugin");
    plugin["metadata"] = json!({"name": "version"});
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "version"},
        "spec": {"targetRefs": [{"kind": "Service", "name": "echo"}], "actions": [{"plugin": "version", "hook": "filter"}]}});
    for object in [plugin, policy] {
        node.apply_text(&object.to_string()).unwrap();
    }
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let marked = || async {
        let answer = get(&gateway, "/").await?;
        Ok(answer.headers.contains_key("x-version").then_some(()))
    };
    until("the plugin is asked", LIMIT, marked).await.unwrap();

    objects::fill_history(&node).await.unwrap();
    let load = Plan::get(&gateway, "/", 4)
        .paced(Duration::from_millis(2))
        .start();
    let mut connection = Connection::open(&gateway).await.unwrap();
    let mut warm = 0;
    for number in 1..=SWAPS {
        let image = &images[number % 2];
        objects::merge(&node, PLUGIN, &version(image, number))
            .await
            .unwrap();
        met(&mut connection, number).await;
        if number == WARM {
            warm = resident(&node);
        }
    }
    let (grown, took) = (resident(&node).saturating_sub(warm), load.elapsed());
    let outcome = load.finish().await;
    println!(
        "{SWAPS} swaps in {took:?} under {} requests: {:?}; from {warm} KiB after {WARM} swaps the node grew by {grown} KiB; p50 {:?}, p99 {:?}",
        outcome.total(),
        outcome.by_status(),
        outcome.quantile(0.5, 200, Duration::ZERO),
        outcome.quantile(0.99, 200, Duration::ZERO),
    );
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
    assert!(outcome.total() > SWAPS, "{} requests", outcome.total());
    assert!(
        grown < GROWTH,
        "the node grew by {grown} KiB in {} swaps",
        SWAPS - WARM
    );
}

/// Waits for the first answer of this version.
async fn met(connection: &mut Connection, number: usize) {
    let number = number.to_string();
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let request = http::Request::get("/").body(http_body_util::Full::default());
        let answer = connection.send(request.unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        if answer.headers["x-version"] == *number {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "version {number} did not come within {LIMIT:?}; the last answer is of {:?}",
            answer.headers["x-version"]
        );
    }
}
