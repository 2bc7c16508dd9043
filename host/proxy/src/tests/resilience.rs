//! Stickiness, endpoints that fail, and bounds of repetition, through the door.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use osier_process::body::BodyError;

use super::*;

/// Three pods that say their names, under this policy.
fn mesh(policy: Value) -> Mesh {
    let mesh = Mesh::new(3, to_echo(json!({})));
    mesh.publish_with(3, to_echo(json!({})), policy);
    mesh.echo("echo-0").echo("echo-1").echo("echo-2");
    mesh
}

fn hashing(settings: Value) -> Mesh {
    mesh(json!({"loadBalancer": {"consistentHash": settings}}))
}

fn with(name: http::HeaderName, value: &str) -> Request<Body> {
    let mut request = get("http://a/");
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_header_keeps_its_callers_together() {
    let mesh = hashing(json!({"httpHeaderName": "x-user"}));
    let name = || http::HeaderName::from_static("x-user");
    let mut homes = std::collections::BTreeSet::new();
    for user in 0..20 {
        let user = user.to_string();
        let home = text(mesh.send(with(name(), &user)).await).await;
        for _ in 0..3 {
            assert_eq!(text(mesh.send(with(name(), &user)).await).await, home);
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "all pods are somebody's");
}

#[tokio::test]
async fn a_caller_without_the_cookie_gets_one_that_leads_back() {
    let mesh = hashing(json!({"httpCookie": {"name": "sid", "path": "/", "ttl": "30s"}}));
    for _ in 0..10 {
        let first = mesh.send(get("http://a/")).await;
        let given = first.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(given.contains("; Max-Age=30; Path=/; HttpOnly"), "{given}");
        let home = text(first).await;
        let (pair, _) = given.split_once(';').unwrap();
        for _ in 0..3 {
            let again = mesh.send(with(COOKIE, pair)).await;
            assert!(!again.headers().contains_key(SET_COOKIE));
            assert_eq!(text(again).await, home);
        }
    }
}

#[tokio::test]
async fn an_address_and_a_parameter_decide_too() {
    for (settings, uri) in [
        (json!({"useSourceIp": true}), "http://a/"),
        (
            json!({"httpQueryParameterName": "user", "maglev": {"tableSize": 251}}),
            "http://a/?user=7",
        ),
    ] {
        let mesh = hashing(settings);
        let home = text(mesh.send(get(uri)).await).await;
        for _ in 0..10 {
            assert_eq!(text(mesh.send(get(uri)).await).await, home);
        }
    }
}

/// Lets a pod fail with this status, and counts.
fn failing(mesh: &Mesh, name: &str, status: u16) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    mesh.pod(name, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            Ok(Response::builder()
                .status(status)
                .body(body::empty())
                .unwrap())
        })
    });
    calls
}

const TWICE: fn() -> Value = || json!({"outlierDetection": {"consecutive5xxErrors": 2, "baseEjectionTime": "10s", "maxEjectionPercent": 50}});

#[tokio::test(start_paused = true)]
async fn a_pod_that_fails_gets_no_calls_until_its_time_is_over() {
    let mesh = mesh(TWICE());
    let calls = failing(&mesh, "echo-1", 500);
    for _ in 0..200 {
        mesh.send(get("http://a/")).await;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let metrics = mesh.metrics.encode();
    let cluster = r#"cluster_name="outbound|80||echo.default.svc.cluster.local""#;
    let name = "envoy_cluster_outlier_detection_ejections";
    for line in [
        format!("{name}_active{{{cluster}}} 1"),
        format!(r#"{name}_enforced_total{{{cluster},detector="consecutive_5xx"}} 1"#),
        format!("{name}_overflow_total{{{cluster}}} 0"),
    ] {
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    tokio::time::advance(Duration::from_secs(11)).await;
    mesh.echo("echo-1");
    for _ in 0..100 {
        assert_eq!(mesh.send(get("http://a/")).await.status(), 200);
    }
    let last = mesh.called().split_off(200);
    assert!(last.contains(&"echo-1".to_owned()), "it is back");
}

#[tokio::test]
async fn callers_see_nothing_of_a_pod_that_breaks_where_calls_are_repeated() {
    let mesh = mesh(TWICE());
    let rules = to_echo(json!({"retries": {"attempts": 2, "retryOn": "5xx,reset"}}));
    mesh.publish_with(3, rules, TWICE());
    mesh.pod("echo-1", |_| {
        Box::pin(async {
            Err(PodError::Failed {
                reason: "trap".into(),
            })
        })
    });
    for _ in 0..50 {
        assert_eq!(mesh.send(get("http://a/")).await.status(), 200);
    }
    let broken = mesh
        .called()
        .iter()
        .filter(|name| *name == "echo-1")
        .count();
    assert_eq!(broken, 2);
}

#[tokio::test]
async fn a_new_snapshot_does_not_forgive() {
    let mesh = mesh(TWICE());
    let calls = failing(&mesh, "echo-1", 503);
    for round in 0..3 {
        let rules =
            to_echo(json!({"timeout": format!("{}s", round + 5), "retries": {"attempts": 0}}));
        mesh.publish_with(3, rules, TWICE());
        for _ in 0..60 {
            mesh.send(get("http://a/")).await;
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

/// An answer whose head is good and whose body ends so.
fn ending(mesh: &Mesh, name: &str, end: fn() -> Result<http_body::Frame<Bytes>, BodyError>) {
    mesh.pod(name, move |_| {
        let first = Ok(http_body::Frame::data(Bytes::from_static(b"begun")));
        let frames = futures::stream::iter([first, end()]);
        let body = body::boxed(http_body_util::StreamBody::new(frames));
        Box::pin(async move { Ok(Response::new(body)) })
    });
}

#[tokio::test]
async fn an_answer_that_breaks_off_speaks_against_its_pod() {
    let mesh = mesh(TWICE());
    ending(&mesh, "echo-1", || Err("the guest trapped".into()));
    let mut broken = 0;
    for _ in 0..60 {
        let answer = mesh.send(get("http://a/")).await;
        assert_eq!(answer.status(), 200);
        broken += usize::from(answer.into_body().collect().await.is_err());
    }
    assert_eq!(broken, 2);
}

#[tokio::test]
async fn trailers_of_grpc_speak_for_and_against_a_pod() {
    for (status, calls) in [("14", 2), ("5", 20)] {
        let mesh = mesh(TWICE());
        let end: fn() -> Result<http_body::Frame<Bytes>, BodyError> = match status {
            "14" => || Ok(http_body::Frame::trailers(trailer("14"))),
            _ => || Ok(http_body::Frame::trailers(trailer("5"))),
        };
        ending(&mesh, "echo-1", end);
        for _ in 0..60 {
            let _read = mesh
                .send(get("http://a/"))
                .await
                .into_body()
                .collect()
                .await;
        }
        let called = mesh.called();
        let called = called.iter().filter(|name| *name == "echo-1").count();
        assert!(called == calls || (called > 2 && calls > 2), "{called}");
    }
}

fn trailer(status: &'static str) -> http::HeaderMap {
    let name = http::HeaderName::from_static("grpc-status");
    http::HeaderMap::from_iter([(name, http::HeaderValue::from_static(status))])
}

#[tokio::test]
async fn a_caller_that_goes_away_says_nothing_of_the_pod() {
    let mesh = mesh(TWICE());
    ending(&mesh, "echo-1", || Err("never read".into()));
    for _ in 0..60 {
        drop(mesh.send(get("http://a/")).await);
    }
    let called = mesh.called();
    assert!(called.iter().filter(|name| *name == "echo-1").count() > 2);
}

#[tokio::test]
async fn nobody_healthy_is_said() {
    let only = json!({"outlierDetection": {"consecutive5xxErrors": 1, "maxEjectionPercent": 100}});
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.publish_with(1, to_echo(json!({"retries": {"attempts": 0}})), only);
    failing(&mesh, "echo-0", 500);
    assert_eq!(mesh.send(get("http://a/")).await.status(), 500);
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), 503);
    let words = text(response).await;
    assert!(words.contains("none of 1 endpoints is healthy"), "{words}");
    assert_eq!(mesh.reports()[1].flags, "UH");
}

#[tokio::test]
async fn a_budget_bounds_repetitions_under_way() {
    let mesh = Mesh::new(2, to_echo(json!({})));
    let rules = || to_echo(json!({"retries": {"attempts": 3, "retryOn": "5xx"}}));
    let budget = |least: u32| json!({"retryBudget": {"percent": 0, "minRetryConcurrency": least}});
    mesh.publish_with(2, rules(), budget(0));
    let calls = [failing(&mesh, "echo-0", 500), failing(&mesh, "echo-1", 500)];
    let total = || {
        calls
            .iter()
            .map(|calls| calls.load(Ordering::SeqCst))
            .sum::<usize>()
    };
    assert_eq!(mesh.send(get("http://a/")).await.status(), 500);
    assert_eq!(total(), 1, "no repetition is allowed");
    mesh.publish_with(2, rules(), budget(1));
    mesh.send(get("http://a/")).await;
    assert_eq!(total(), 5);
}
