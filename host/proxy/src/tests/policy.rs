//! The gate on both sides of a call.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use osier_snapshot::HeaderOperation;

use super::*;
use crate::{Decision, Denial};

fn deny(status: StatusCode) -> Verdict {
    Verdict::Deny(Denial {
        status,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        policy: "default/closed".into(),
        plugin: "denier".into(),
        reason: "closed today".into(),
        failed: false,
        decisions: Vec::new(),
    })
}

fn set(name: &'static str, value: &'static str) -> HeaderOperation {
    HeaderOperation::Set(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}

#[tokio::test]
async fn each_side_is_asked_once() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    text(mesh.send(get("http://a/")).await).await;
    let asked = mesh.gate.asked.lock().clone();
    assert_eq!(
        asked,
        [
            (Direction::Outbound, "echo".into()),
            (Direction::Inbound, "echo-0".into())
        ]
    );
}

#[tokio::test]
async fn a_denial_on_either_side_keeps_the_request_from_the_pod() {
    for side in [Direction::Outbound, Direction::Inbound] {
        let mesh = Mesh::new(
            2,
            to_echo(json!({"retries": {"attempts": 3, "retryOn": "5xx"}})),
        );
        mesh.echo("echo-0").echo("echo-1");
        *mesh.gate.check.lock() = Box::new(move |call| match call.direction == side {
            true => deny(StatusCode::SERVICE_UNAVAILABLE),
            false => Verdict::Allow(Approval::default()),
        });
        let response = mesh.send(get("http://a/")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let words = text(response).await;
        // Why is for logs and `osier why`.
        let told = "Service Unavailable\nrequest id: ";
        assert!(words.starts_with(told), "{words}");
        assert_eq!(mesh.called().len(), 0, "a verdict is not retried");
        let report = mesh.report();
        assert_eq!(
            (report.verdict, report.policy.as_str(), report.flags),
            ("deny", "default/closed", "UAEX")
        );
    }
}

#[tokio::test]
async fn a_denial_may_bring_its_own_answer() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    *mesh.gate.check.lock() = Box::new(|_| {
        let Verdict::Deny(denial) = deny(StatusCode::TOO_MANY_REQUESTS) else {
            unreachable!()
        };
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("retry-after"),
            HeaderValue::from_static("1"),
        )]);
        Verdict::Deny(Denial {
            headers,
            body: Bytes::from_static(b"{}"),
            ..denial
        })
    });
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(text(response).await, "{}");
    assert_eq!(mesh.report().flags, "RL");
}

#[tokio::test]
async fn who_calls_learns_of_a_failure_how_to_find_out_why() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    *mesh.gate.check.lock() = Box::new(|_| {
        let Verdict::Deny(denial) = deny(StatusCode::INTERNAL_SERVER_ERROR) else {
            unreachable!()
        };
        Verdict::Deny(Denial {
            failed: true,
            ..denial
        })
    });
    let response = mesh.send(get("http://a/")).await;
    let kind = response.headers()["content-type"].clone();
    let words = text(response).await;
    assert_eq!(kind, "text/plain; charset=utf-8");
    assert!(
        words.contains("osier why") && words.contains("\nrequest id: "),
        "{words}"
    );
    assert!(!words.contains("closed today"), "{words}");
    assert_eq!(mesh.report().verdict, "error");
}

#[tokio::test]
async fn approvals_change_headers_on_their_side() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.pod("echo-0", |request| {
        let seen = request.headers()["x-user"].to_str().unwrap().to_owned();
        Box::pin(async move { Ok(Response::new(body::full(seen))) })
    });
    *mesh.gate.check.lock() = Box::new(|call| {
        let before = call.head.headers.contains_key("x-user");
        assert_eq!(
            before,
            call.direction == Direction::Inbound,
            "the destination sees what the source's policy set"
        );
        let user = if before { "inbound" } else { "outbound" };
        let response_headers = vec![set("x-last", user)];
        let request_headers = vec![set("x-user", user)];
        Verdict::Allow(Approval {
            request_headers,
            response_headers,
            policy: Some(user.into()),
            ..Approval::default()
        })
    });
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(
        response.headers()["x-last"],
        "outbound",
        "the source's side speaks last"
    );
    assert_eq!(text(response).await, "inbound");
    assert_eq!(mesh.report().policy, "inbound");
}

#[tokio::test]
async fn a_denied_grpc_call_gets_a_grpc_status() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    *mesh.gate.check.lock() = Box::new(|_| deny(StatusCode::FORBIDDEN));
    let request = Request::post("http://a/svc/M")
        .header("content-type", "application/grpc")
        .body(body::empty())
        .unwrap();
    let response = mesh.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "7");
    assert_eq!(response.headers()["grpc-message"], "Forbidden");
}

#[tokio::test]
async fn policy_is_asked_before_a_missing_route_is_told() {
    let mesh = Mesh::new(
        0,
        json!([{"match": [{"uri": {"exact": "/x"}}], "directResponse": {"status": 200}}]),
    );
    *mesh.gate.check.lock() = Box::new(|_| deny(StatusCode::UNAUTHORIZED));
    assert_eq!(
        mesh.send(get("http://a/secret")).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn policy_and_pod_read_the_same_normal_path() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.pod("echo-0", |request| {
        let path = request.uri().path().to_owned();
        Box::pin(async move { Ok(Response::new(body::full(path))) })
    });
    *mesh.gate.check.lock() = Box::new(|call| match call.head.uri.path().starts_with("/admin") {
        true => deny(StatusCode::FORBIDDEN),
        false => Verdict::Allow(Approval::default()),
    });
    for path in ["/public/../admin", "/public/%2e%2e/admin", "/./admin"] {
        assert_eq!(
            mesh.send(get(&format!("http://a{path}"))).await.status(),
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
    assert_eq!(
        text(mesh.send(get("http://a/x/../public?q")).await).await,
        "/public"
    );
}

#[tokio::test(start_paused = true)]
async fn another_try_tells_what_was_decided_before() {
    let retries = json!({"retries": {"attempts": 1, "retryOn": "5xx"}});
    let mesh = Mesh::new(1, to_echo(retries));
    mesh.pod("echo-0", |_| {
        Box::pin(async {
            let response = Response::builder().status(503);
            Ok(response.body(osier_process::body::empty()).unwrap())
        })
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    *mesh.gate.check.lock() = Box::new(move |call| {
        let granted = Decision {
            direction: call.direction,
            policy: "default/limit".into(),
            plugin: "default/quota".into(),
            template: "quota".into(),
            place: 0,
            outcome: "allow",
            reason: String::new(),
            cached: false,
            began: None,
            took: Duration::ZERO,
            memo: None,
        };
        told.lock().push((call.direction, call.before.len()));
        Verdict::Allow(Approval {
            decisions: vec![granted],
            ..Approval::default()
        })
    });
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (inbound, outbound) = (Direction::Inbound, Direction::Outbound);
    assert_eq!(*seen.lock(), [(outbound, 0), (inbound, 1), (inbound, 2)]);
}
