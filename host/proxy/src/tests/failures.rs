//! Timeouts, retries, overload, lost callers: what the caller gets and what the report says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::*;

fn failing(error: PodError) -> impl Fn(Request<Body>) -> Boxed<'static, Answer> {
    move |_| {
        let error = error.clone();
        Box::pin(async move { Err(error) })
    }
}

async fn outcome(mesh: &Mesh, request: Request<Body>) -> (u16, &'static str) {
    let response = mesh.send(request).await;
    let status = response.status().as_u16();
    text(response).await;
    (status, mesh.reports().last().unwrap().flags)
}

#[tokio::test]
async fn each_failure_has_its_status_and_letters() {
    let mesh = Mesh::new(1, to_echo(json!({"retries": {"attempts": 0}})));
    for (error, wanted) in [
        (PodError::NotHere, (503, "UF")),
        (PodError::Overloaded, (503, "UO")),
        (
            PodError::Failed {
                reason: "trap".into(),
            },
            (503, "UC"),
        ),
        (PodError::Timeout, (504, "UT")),
    ] {
        mesh.pod("echo-0", failing(error.clone()));
        assert_eq!(outcome(&mesh, get("http://a/")).await, wanted, "{error:?}");
    }
    mesh.publish(0, to_echo(json!({})));
    assert_eq!(outcome(&mesh, get("http://a/")).await, (503, "UH"));
}

#[tokio::test(start_paused = true)]
async fn a_routes_time_covers_head_and_body() {
    let mesh = Mesh::new(1, to_echo(json!({"timeout": "2s"})));
    mesh.pod("echo-0", |_| Box::pin(std::future::pending()));
    assert_eq!(outcome(&mesh, get("http://a/")).await, (504, "UT"));
    assert_eq!(mesh.report().duration_ms, 2_000);
    mesh.pod("echo-0", |_| {
        let endless = futures::StreamExt::then(futures::stream::repeat(()), |()| async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            Ok(Bytes::from_static(b"x"))
        });
        Box::pin(async { Ok(Response::new(body::stream(endless))) })
    });
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let broken = response.into_body().collect().await.unwrap_err();
    assert!(broken.to_string().contains("timeout"), "{broken}");
    let report = mesh.reports()[1].clone();
    assert_eq!(
        (report.flags, report.duration_ms, report.response_bytes),
        ("UT", 2_000, 2)
    );
}

#[tokio::test]
async fn a_pod_that_is_gone_is_replaced_by_another_for_every_method() {
    let mesh = Mesh::new(2, to_echo(json!({})));
    mesh.echo("echo-1");
    for _ in 0..20 {
        assert_eq!(
            text(mesh.send(post("http://a/", "body")).await).await,
            "echo-1:body"
        );
    }
    assert!(
        mesh.called().contains(&"echo-0".to_owned()),
        "it was tried first in some of twenty requests"
    );
    assert!(
        mesh.reports()
            .iter()
            .all(|report| report.flags == "-" && report.destination == "echo-1")
    );
}

#[tokio::test]
async fn another_try_may_meet_the_same_pod_where_the_route_does_not_mind() {
    for (ignores_previous, wanted) in [(true, 200), (false, 503)] {
        let retries = json!({"attempts": 1, "retryOn": "connect-failure", "retryIgnorePreviousHosts": ignores_previous});
        let mesh = Mesh::new(2, to_echo(json!({"retries": retries})));
        mesh.echo("echo-1");
        // The pod that answers is so busy that the balancer prefers the other one, which is gone.
        let snapshot = mesh.proxy.snapshot();
        let mut endpoints = snapshot.endpoints();
        let busy = endpoints
            .find(|endpoint| &*endpoint.workload.name == "echo-1")
            .unwrap();
        let _load: Vec<_> = (0..5).map(|_| busy.enter()).collect();
        assert_eq!(mesh.send(get("http://a/")).await.status(), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_send_the_body_again_and_count() {
    let mesh = Mesh::new(
        1,
        to_echo(json!({"retries": {"attempts": 2, "retryOn": "5xx"}})),
    );
    let tries = Arc::new(AtomicUsize::new(0));
    let counter = tries.clone();
    mesh.pod("echo-0", move |request| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            let status = if number < 2 { 503 } else { 200 };
            Ok(Response::builder()
                .status(status)
                .body(body::full(bytes))
                .unwrap())
        })
    });
    let response = mesh.send(post("http://a/", "again")).await;
    assert_eq!(
        (response.status(), text(response).await.as_str()),
        (StatusCode::OK, "again")
    );
    assert_eq!(tries.load(Ordering::SeqCst), 3);
    assert_eq!(
        mesh.report().request_bytes,
        5,
        "what the client sent, not what was repeated"
    );
    tries.store(0, Ordering::SeqCst);
    mesh.publish(
        1,
        to_echo(json!({"retries": {"attempts": 1, "retryOn": "5xx"}})),
    );
    assert_eq!(
        outcome(&mesh, post("http://a/", "again")).await,
        (503, "-"),
        "the last answer stands"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_try_is_given_up_and_repeated() {
    let rules = to_echo(
        json!({"timeout": "10s", "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"}}),
    );
    let mesh = Mesh::new(2, rules);
    mesh.echo("echo-1")
        .pod("echo-0", |_| Box::pin(std::future::pending()));
    for _ in 0..10 {
        assert_eq!(text(mesh.send(get("http://a/")).await).await, "echo-1:");
    }
    let slow = mesh
        .reports()
        .iter()
        .filter(|report| report.duration_ms >= 1_000)
        .count();
    assert_eq!(
        slow,
        mesh.called()
            .iter()
            .filter(|name| *name == "echo-0")
            .count()
    );
}

#[tokio::test]
async fn a_body_too_large_to_keep_is_sent_once() {
    let rules = to_echo(json!({"retries": {"attempts": 2, "retryOn": "5xx"}}));
    let mesh = Mesh::with(
        1,
        rules,
        Settings {
            replay_bytes: 3,
            ..Settings::default()
        },
    );
    mesh.pod("echo-0", |request| {
        Box::pin(async move {
            let _read = request.into_body().collect().await;
            Ok(Response::builder().status(500).body(body::empty()).unwrap())
        })
    });
    assert_eq!(outcome(&mesh, post("http://a/", "four")).await, (500, "-"));
    assert_eq!(mesh.called().len(), 1);
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_announced_or_not() {
    let mesh = Mesh::with(
        1,
        to_echo(json!({})),
        Settings {
            body_bytes: 4,
            ..Settings::default()
        },
    );
    mesh.echo("echo-0");
    let announced = Request::post("http://a/")
        .header("content-length", "5")
        .body(body::full("hello"))
        .unwrap();
    assert_eq!(outcome(&mesh, announced).await, (413, "DPE"));
    assert_eq!(
        outcome(&mesh, post("http://a/", "hello")).await,
        (413, "DPE")
    );
    assert_eq!(outcome(&mesh, post("http://a/", "four")).await, (200, "-"));
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_pod_and_is_reported() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mesh = Mesh::new(1, to_echo(json!({})));
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counter = cancelled.clone();
    mesh.pod("echo-0", move |_| {
        let guard = Dropped(counter.clone());
        Box::pin(async move {
            let _guard = guard;
            std::future::pending().await
        })
    });
    {
        let request = mesh.send(get("http://a/"));
        tokio::pin!(request);
        assert!(futures::poll!(request.as_mut()).is_pending());
    }
    assert_eq!(cancelled.load(Ordering::SeqCst), 1);
    let report = mesh.report();
    assert_eq!((report.status, report.flags), (0, "DC"));
    mesh.pod("echo-0", |_| {
        let endless = futures::stream::repeat_with(|| Ok(Bytes::from_static(b"xx")));
        Box::pin(async { Ok(Response::new(body::stream(endless))) })
    });
    let mut response = mesh.send(get("http://a/")).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    let report = mesh.reports()[1].clone();
    assert_eq!(
        (report.status, report.flags, report.response_bytes),
        (200, "DC", 2)
    );
}

#[tokio::test]
async fn a_body_that_breaks_is_reported() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.pod("echo-0", |_| {
        let broken = futures::stream::iter([Ok(Bytes::from_static(b"x")), Err("trap".into())]);
        Box::pin(async { Ok(Response::new(body::stream(broken))) })
    });
    assert!(
        mesh.send(get("http://a/"))
            .await
            .into_body()
            .collect()
            .await
            .is_err()
    );
    assert_eq!((mesh.report().status, mesh.report().flags), (200, "UC"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_wait_gets_it_up_to_a_bound() {
    let rules = to_echo(json!({"retries": {"attempts": 3, "retryOn": "5xx", "backoff": "1ms"}}));
    for (asked, tries, waited) in [("1", 2, 1_000..1_100), ("600", 1, 0..1)] {
        let mesh = Mesh::new(1, rules.clone());
        let (numbers, seen) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(0));
        let (kept, seen) = (numbers.clone(), Arc::new(seen));
        mesh.pod("echo-0", move |request| {
            kept.lock()
                .push(request.headers()["x-envoy-attempt-count"].clone());
            *seen.lock() += 1;
            let status = if *seen.lock() == 1 { 503 } else { 200 };
            let answer = Response::builder()
                .status(status)
                .header("retry-after", asked);
            Box::pin(async move { Ok(answer.body(body::empty()).unwrap()) })
        });
        text(mesh.send(get("http://a/")).await).await;
        assert!(
            waited.contains(&mesh.report().duration_ms),
            "{:?}",
            mesh.report()
        );
        assert_eq!(*numbers.lock(), ["1", "2"][..tries]);
    }
}
