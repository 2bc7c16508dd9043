//! Components of wasi:http as filters: an unmodified one around a service, and what becomes of calls when one fails.

#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use osier_tests::artifacts::{component, example};
use osier_tests::http::{Answer, Connection, get};
use osier_tests::{Node, objects, until};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ECHO: &str = include_str!("manifests/echo.yaml");
const LIMIT: Duration = Duration::from_secs(30);

/// A node with one service behind its gateway.
async fn serving(guest: &str) -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component(guest).unwrap()).unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let gateway = node.address("gateway").unwrap();
    let answers = || async { Ok((get(&gateway, "/").await?.status == 200).then_some(())) };
    until("the service answers", LIMIT, answers).await.unwrap();
    (node, gateway)
}

async fn post(gateway: &str, path: &str, body: Bytes) -> Answer {
    let request = Request::post(path).body(Full::new(body)).unwrap();
    let mut connection = Connection::open(gateway).await.unwrap();
    connection.send(request).await.unwrap()
}

/// Reads so many bytes of an answer, and goes away.
async fn read(gateway: &str, path: &str, wanted: usize) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(gateway).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: echo\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let (mut buffer, mut found) = (vec![0; 64 << 10], 0);
    while found < wanted {
        match connection.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            more => found += more,
        }
    }
    Ok(())
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_wasi_http_stands_around_a_service() {
    let (node, gateway) = serving("tests/http").await;
    node.import("shield:1", &component("shield").unwrap())
        .unwrap();
    node.apply(&example("shield/shield.yaml")).unwrap();
    let shielded = || async {
        let answer = get(&gateway, "/hello").await?;
        Ok((header(&answer, "x-frame-options") == "DENY").then_some(answer))
    };
    let answer = until("responses are shielded", LIMIT, shielded)
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "hello")
    );
    assert_eq!(header(&answer, "referrer-policy"), "no-referrer");

    // What it answers itself never reaches the service.
    let refused = get(&gateway, "/.git/config").await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.text().as_str()),
        (404, "There is nothing here.\n")
    );

    let body = Bytes::from_static(b"what is sent comes back");
    let echoed = post(&gateway, "/echo", body.clone()).await;
    assert_eq!((echoed.status.as_u16(), &echoed.body), (200, &body));
    assert_eq!(header(&echoed, "x-content-type-options"), "nosniff");

    // A response that never ends streams through: far more of it than the plugin has memory.
    let streamed = tokio::time::timeout(LIMIT, read(&gateway, "/drip", 40 << 20)).await;
    streamed.unwrap().unwrap();

    let policies = "/apis/policy.osier.dev/v1alpha1/namespaces/default/policies/shield";
    objects::delete(&node, policies).await.unwrap();
    let bare = || async {
        let answer = get(&gateway, "/hello").await?;
        Ok(header(&answer, "x-frame-options").is_empty().then_some(()))
    };
    until("the middleware is gone", LIMIT, bare).await.unwrap();
}

const FAILING: &str = "
apiVersion: policy.osier.dev/v1alpha1
kind: Plugin
metadata: {name: failing}
spec: {image: failing:1, failurePolicy: FAILURE, limits: {deadline: 50ms}}
---
apiVersion: policy.osier.dev/v1alpha1
kind: Policy
metadata: {name: failing}
spec:
  targetRefs: [{kind: Service, name: echo}]
  actions: [{plugin: failing, hook: filter}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_middleware_that_fails_costs_its_own_request_and_goes_by_the_failure_policy() {
    let (node, gateway) = serving("tests/echo").await;
    // As a middleware it answers some paths itself, and fails on others in one way each.
    node.import("failing:1", &component("tests/http").unwrap())
        .unwrap();
    node.apply_text(&FAILING.replace("FAILURE", "Fail"))
        .unwrap();
    let there = || async { Ok((get(&gateway, "/hello").await?.text() == "hello").then_some(())) };
    until("the middleware answers", LIMIT, there).await.unwrap();
    for path in ["/trap", "/spin", "/refuse", "/silent"] {
        let answer = get(&gateway, path).await.unwrap();
        assert_eq!(answer.status, 500, "{path}: {}", answer.text());
        assert_eq!(answer.text(), "A filter gave no answer.\n", "{path}");
    }
    assert_eq!(get(&gateway, "/hello").await.unwrap().text(), "hello");

    // Its first call is the next step whatever name it calls, and there is no second.
    let called = get(&gateway, "/call/elsewhere/nowhere").await.unwrap();
    for wanted in ["\"path\":\"/hello\"", "+ErrorCode::HttpRequestDenied"] {
        let told = called.text();
        assert!(told.contains(wanted), "{wanted} is not in {told}");
    }

    node.apply_text(&FAILING.replace("FAILURE", "Ignore"))
        .unwrap();
    let passed = || async {
        let answer = get(&gateway, "/trap").await?;
        Ok((answer.status == 200).then_some(answer))
    };
    let answer = until("failures are ignored", LIMIT, passed).await.unwrap();
    assert_eq!(answer.json().unwrap()["path"], "/trap");
}

/// How often the metrics say that the plugin `failing` gave a verdict.
async fn verdicts(metrics: &str, verdict: &str) -> anyhow::Result<u64> {
    let text = get(metrics, "/metrics").await?.text();
    let own = |line: &&str| {
        line.starts_with("osier_plugin_calls_total{")
            && line.contains("default/failing")
            && line.contains(&format!("\"{verdict}\""))
    };
    let counts = text.lines().filter(own);
    Ok(counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_mode_a_middleware_is_asked_and_nothing_comes_of_it() {
    let (node, gateway) = serving("tests/echo").await;
    node.import("failing:1", &component("tests/http").unwrap())
        .unwrap();
    let shadow = FAILING.replace("FAILURE", "Fail") + "  mode: Shadow\n";
    node.apply_text(&shadow).unwrap();
    let metrics = node.address("admin").unwrap();
    // It would answer `/hello` itself, and fail on `/trap`.
    for (path, verdict) in [("/hello", "deny"), ("/trap", "failed")] {
        let counted = || async {
            let answer = get(&gateway, path).await?;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json().unwrap()["path"], path);
            Ok((verdicts(&metrics, verdict).await? > 0).then_some(()))
        };
        until(&format!("{path} counts as {verdict}"), LIMIT, counted)
            .await
            .unwrap();
    }
    // What has a body reaches the service, and is not judged by a guest that wants to read it first.
    let before = verdicts(&metrics, "deny").await.unwrap();
    let posted = post(
        &gateway,
        "/grpc.health.v1.Health",
        Bytes::from_static(b"sick"),
    )
    .await;
    assert_eq!(posted.json().unwrap()["method"], "POST");
    assert_eq!(get(&gateway, "/hello").await.unwrap().status, 200);
    let counted = || async {
        let now = verdicts(&metrics, "deny").await?;
        Ok((now > before).then_some(now))
    };
    let now = until("the next one counts", LIMIT, counted).await.unwrap();
    assert_eq!(now, before + 1);
    assert_eq!(verdicts(&metrics, "allow").await.unwrap(), 0);
}
