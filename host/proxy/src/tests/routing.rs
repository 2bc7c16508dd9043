//! Where requests go, and what routes do to them.

use http::StatusCode;

use super::*;

#[tokio::test]
async fn a_request_from_outside_reaches_a_pod() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    let response = mesh.send(post("http://shop.example/x", "hello")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "echo-0:hello");
    let report = mesh.report();
    assert_eq!(
        (report.status, report.flags, report.verdict),
        (200, "-", "allow")
    );
    assert_eq!((report.request_bytes, report.response_bytes), (5, 12));
    assert_eq!(report.route, "default/echo-outside/all");
    assert_eq!(
        report.cluster,
        "outbound|80||echo.default.svc.cluster.local"
    );
    assert_eq!(report.destination, "echo-0");
}

#[tokio::test]
async fn a_pod_calls_a_service_by_name_and_nothing_outside() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    let response = mesh.proxy.handle(caller(), get("http://echo/")).await;
    assert_eq!(text(response).await, "echo-0:");
    let refused = mesh
        .proxy
        .handle(caller(), get("http://nowhere.default.svc.cluster.local/"))
        .await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let words = text(refused).await;
    assert!(
        words.contains("BlackHoleCluster")
            && words.contains("ServiceEntry")
            && words.contains("request id: "),
        "{words}"
    );
    assert_eq!(mesh.reports()[1].flags, "NR");
    assert_eq!(mesh.called(), ["echo-0"]);
}

#[tokio::test]
async fn requests_without_a_route_say_what_to_apply() {
    let mesh = Mesh::new(
        1,
        json!([{"match": [{"uri": {"prefix": "/only"}}], "route": [{"destination": {"host": "echo"}}]}]),
    );
    let response = mesh.send(get("http://a/other")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(
        text(response)
            .await
            .contains("no rule of the routes for host \"a\"")
    );
    mesh.proxy
        .publish(Arc::new(osier_snapshot::Snapshot::default()));
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(text(response).await.contains("apply an HTTPRoute"));
}

#[tokio::test]
async fn round_robin_is_even_and_weights_are_near() {
    let mesh = Mesh::new(2, to_echo(json!({})));
    mesh.echo("echo-0").echo("echo-1");
    for _ in 0..200 {
        text(mesh.send(get("http://a/")).await).await;
    }
    let first = mesh
        .called()
        .iter()
        .filter(|name| *name == "echo-0")
        .count();
    assert!(
        (50..=150).contains(&first),
        "least request without load is random: {first} of 200"
    );
}

#[tokio::test]
async fn least_request_avoids_the_busy_pod() {
    let mesh = Mesh::new(2, to_echo(json!({})));
    mesh.echo("echo-0").echo("echo-1");
    let snapshot = mesh.proxy.snapshot();
    let busy = snapshot
        .endpoints()
        .find(|endpoint| &*endpoint.workload.name == "echo-0")
        .unwrap()
        .clone();
    let _load: Vec<_> = (0..10).map(|_| busy.enter()).collect();
    for _ in 0..20 {
        text(mesh.send(get("http://a/")).await).await;
    }
    assert!(
        mesh.called().iter().all(|name| name == "echo-1"),
        "{:?}",
        mesh.called()
    );
}

#[tokio::test]
async fn in_flight_counts_until_the_last_byte() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    let snapshot = mesh.proxy.snapshot();
    let endpoint = snapshot.endpoints().next().unwrap();
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(endpoint.in_flight(), 1);
    text(response).await;
    assert_eq!(endpoint.in_flight(), 0);
    drop(mesh.send(get("http://a/")).await);
    assert_eq!(endpoint.in_flight(), 0);
}

#[tokio::test]
async fn targets_and_headers_change_as_the_route_says() {
    let rules = json!([{
        "match": [{"uri": {"prefix": "/api/"}}],
        "rewrite": {"uri": "/", "authority": "inner"},
        "headers": {"request": {"set": {"x-set": "new"}, "add": {"x-add": "2"}, "remove": ["x-gone"]}, "response": {"set": {"x-route": "r"}}},
        "route": [{"destination": {"host": "echo"}, "headers": {"response": {"add": {"x-destination": "d"}, "remove": ["server"]}}}],
    }]);
    let mesh = Mesh::new(1, rules);
    mesh.pod("echo-0", |request| {
        Box::pin(async move {
            let values = |name| {
                request
                    .headers()
                    .get_all(name)
                    .iter()
                    .map(|v| v.to_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(",")
            };
            let seen = format!(
                "{} set={} add={} gone={}",
                request.uri(),
                values("x-set"),
                values("x-add"),
                values("x-gone")
            );
            Ok(Response::builder()
                .header("server", "pod")
                .body(body::full(seen))
                .unwrap())
        })
    });
    let request = Request::get("http://outer/api/v1?q=1")
        .header("x-set", "old")
        .header("x-add", "1")
        .header("x-gone", "1");
    let response = mesh.send(request.body(body::empty()).unwrap()).await;
    assert_eq!(response.headers()["x-route"], "r");
    assert_eq!(response.headers()["x-destination"], "d");
    assert!(!response.headers().contains_key("server"));
    assert_eq!(
        text(response).await,
        "http://inner/v1?q=1 set=new add=1,2 gone="
    );
}

#[tokio::test]
async fn redirects_and_fixed_answers_come_from_the_route() {
    let rules = json!([
        {"match": [{"uri": {"prefix": "/old"}}], "redirect": {"uri": "/new", "redirectCode": 308}},
        {"directResponse": {"status": 418, "body": {"string": "teapot"}}},
    ]);
    let mesh = Mesh::new(0, rules);
    let response = mesh.send(get("http://a:8080/old?q=1")).await;
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(response.headers()["location"], "http://a:8080/new?q=1");
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(
        (response.status(), text(response).await.as_str()),
        (StatusCode::IM_A_TEAPOT, "teapot")
    );
}

#[tokio::test(start_paused = true)]
async fn faults_are_injected() {
    let share = json!({"value": 100});
    let mesh = Mesh::new(
        1,
        to_echo(json!({"fault": {"delay": {"fixedDelay": "3s", "percentage": share}}})),
    );
    mesh.echo("echo-0");
    assert_eq!(text(mesh.send(get("http://a/")).await).await, "echo-0:");
    assert_eq!(mesh.report().duration_ms, 3_000);
    mesh.publish(
        1,
        to_echo(json!({"fault": {"abort": {"httpStatus": 555, "percentage": share}}})),
    );
    assert_eq!(mesh.send(get("http://a/")).await.status().as_u16(), 555);
    mesh.publish(
        1,
        to_echo(json!({"fault": {"abort": {"grpcStatus": "UNAVAILABLE", "percentage": share}}})),
    );
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &"14".parse().unwrap())
    );
    assert_eq!(mesh.called().len(), 1);
    assert_eq!(mesh.reports()[1].flags, "FI");
}

#[tokio::test]
async fn a_new_snapshot_does_not_touch_requests_under_way() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let receive = Mutex::new(Some(receive));
    mesh.pod("echo-0", move |_| {
        let wait = receive.lock().take().unwrap();
        Box::pin(async move {
            wait.await.unwrap();
            Ok(Response::new(body::full("old")))
        })
    });
    let request = mesh.send(get("http://a/"));
    let change = async {
        mesh.publish(0, json!([{"directResponse": {"status": 410}}]));
        assert_eq!(mesh.send(get("http://a/")).await.status(), StatusCode::GONE);
        send.send(()).unwrap();
    };
    let (response, ()) = tokio::join!(request, change);
    assert_eq!(text(response).await, "old");
}

#[tokio::test]
async fn a_copy_goes_along_and_its_answer_is_not_seen() {
    let mesh = Mesh::new(2, to_echo(json!({"mirror": {"host": "echo"}})));
    let seen = Arc::new(Mutex::new(Vec::new()));
    for name in ["echo-0", "echo-1"] {
        let seen = seen.clone();
        mesh.pod(name, move |request| {
            let seen = seen.clone();
            Box::pin(async move {
                let host = request.uri().host().unwrap().to_owned();
                let words = request.into_body().collect().await.unwrap().to_bytes();
                seen.lock()
                    .push(format!("{host} {}", String::from_utf8_lossy(&words)));
                Ok(Response::new(body::full(host)))
            })
        });
    }
    let request = Request::post("http://shop:8080/").header("content-length", "5");
    let response = mesh.send(request.body(body::full("hello")).unwrap()).await;
    assert_eq!(text(response).await, "shop");
    while mesh.reports().len() < 2 {
        tokio::task::yield_now().await;
    }
    let mut seen = seen.lock().clone();
    seen.sort_unstable();
    assert_eq!(seen, ["shop hello", "shop-shadow hello"]);
    let copies: Vec<_> = mesh
        .reports()
        .into_iter()
        .filter(|report| report.route.ends_with("/mirror"))
        .collect();
    assert_eq!(
        (copies.len(), copies[0].status, copies[0].flags),
        (1, 200, "-")
    );
    let inbound = mesh
        .gate
        .asked
        .lock()
        .iter()
        .filter(|(direction, _)| *direction == Direction::Inbound)
        .count();
    assert_eq!(
        inbound, 2,
        "a copy passes the policy of its destination too"
    );
}

#[tokio::test]
async fn a_preflight_ends_at_the_proxy_and_allowed_calls_are_marked() {
    let policy = json!({"allowOrigins": [{"exact": "https://shop.example"}], "allowMethods": ["GET", "PUT"],
        "allowHeaders": ["x-a"], "exposeHeaders": ["x-b"], "maxAge": "10m", "allowCredentials": true});
    let mesh = Mesh::new(1, to_echo(json!({"corsPolicy": policy})));
    mesh.echo("echo-0");
    let from = |method, origin| {
        Request::builder()
            .method(method)
            .uri("http://a/")
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .body(body::empty())
            .unwrap()
    };
    let answer = mesh.send(from("OPTIONS", "https://shop.example")).await;
    assert_eq!((answer.status(), mesh.called().len()), (StatusCode::OK, 0));
    let told = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(
        told("access-control-allow-origin"),
        Some("https://shop.example")
    );
    assert_eq!(told("access-control-allow-methods"), Some("GET,PUT"));
    assert_eq!(told("access-control-allow-headers"), Some("x-a"));
    assert_eq!(told("access-control-max-age"), Some("600"));
    assert_eq!(told("access-control-expose-headers"), None);
    let answer = mesh.send(from("GET", "https://shop.example")).await;
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://shop.example"
    );
    assert_eq!(answer.headers()["access-control-expose-headers"], "x-b");
    let stranger = mesh.send(from("OPTIONS", "https://evil.example")).await;
    assert_eq!(
        mesh.called().len(),
        2,
        "it goes on to the pod, which may know better"
    );
    assert!(
        !stranger
            .headers()
            .contains_key("access-control-allow-origin")
    );
    mesh.publish(0, to_echo(json!({"corsPolicy": policy})));
    let failed = mesh.send(from("GET", "https://shop.example")).await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        failed.headers().contains_key("access-control-allow-origin"),
        "a page may see why"
    );
}

#[tokio::test]
async fn a_fixed_answer_may_be_bytes() {
    let direct = json!([{"directResponse": {"status": 200, "body": {"bytes": "AP8B"}}}]);
    let response = Mesh::new(0, direct).send(get("http://a/")).await;
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&*bytes, [0, 255, 1]);
}
