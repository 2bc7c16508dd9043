//! What is seen from outside: metrics with Istio's names and labels, health, and a line per request.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::bookinfo::deploy;
use osier_tests::http::get;
use osier_tests::{Node, until};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_with_istios_names() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    let (gateway, admin) = (
        node.address("gateway").unwrap(),
        node.address("admin").unwrap(),
    );
    for _ in 0..10 {
        assert_eq!(get(&gateway, "/productpage").await.unwrap().status, 200);
    }
    let wanted = [
        (
            "istio_requests_total{",
            [
                "destination_service_name=\"productpage\"",
                "response_code=\"200\"",
                "reporter=",
            ],
        ),
        (
            "istio_requests_total{",
            [
                "source_workload=\"productpage-v1\"",
                "destination_service_name=\"reviews\"",
                "destination_workload=\"reviews-v",
            ],
        ),
        (
            "istio_requests_total{",
            [
                "destination_service=\"details.default.svc.cluster.local\"",
                "request_protocol=\"http\"",
                "response_flags=",
            ],
        ),
        (
            "istio_request_duration_milliseconds_bucket{",
            [
                "destination_workload=\"productpage-v1\"",
                "le=\"+Inf\"",
                "destination_version=",
            ],
        ),
    ];
    let counted = || async {
        let metrics = get(&admin, "/metrics").await?.text();
        for (name, labels) in &wanted {
            let found = metrics.lines().any(|line| {
                line.starts_with(name) && labels.iter().all(|label| line.contains(label))
            });
            anyhow::ensure!(found, "no {name} with {labels:?} in:\n{metrics}");
        }
        Ok(Some(metrics))
    };
    let metrics = until("metrics of every hop", LIMIT, counted).await.unwrap();
    assert!(metrics.ends_with("# EOF\n"), "OpenMetrics ends with # EOF");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_and_paths_that_are_not_there_are_404() {
    let node = Node::start().unwrap();
    let admin = node.address("admin").unwrap();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&admin, path).await.unwrap().status, 200, "{path}");
    }
    assert_eq!(get(&admin, "/nothing").await.unwrap().status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_leaves_a_line() {
    let node = Node::start().unwrap();
    deploy(&node).await.unwrap();
    get(
        &node.address("gateway").unwrap(),
        "/productpage?mark=seen-in-the-log",
    )
    .await
    .unwrap();
    let line = || async {
        let log = node.log();
        Ok(log
            .lines()
            .find(|line| line.contains("seen-in-the-log"))
            .map(str::to_owned))
    };
    let line = until("a line for the request", LIMIT, line).await.unwrap();
    for part in ["osier::access", "GET", "200", "productpage"] {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
}
