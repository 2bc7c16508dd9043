//! The one form of a request's head.

use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::*;

/// The head that the pod saw.
async fn seen(source: Source, request: Request<Body>) -> Result<http::request::Parts, StatusCode> {
    let mesh = Mesh::new(1, to_echo(json!({})));
    let slot = Arc::new(Mutex::new(None));
    let keep = slot.clone();
    mesh.pod("echo-0", move |request| {
        *keep.lock() = Some(request.into_parts().0);
        Box::pin(async { Ok(Response::new(body::empty())) })
    });
    let status = mesh.proxy.handle(source, request).await.status();
    let head = slot.lock().take();
    head.ok_or(status)
}

fn request(headers: &[(&str, &str)]) -> Request<Body> {
    let request = headers
        .iter()
        .fold(Request::get("/p?q"), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(body::empty()).unwrap()
}

#[tokio::test]
async fn the_target_is_absolute_and_host_moves_into_it() {
    let head = seen(outside(), request(&[("host", "a:8080")]))
        .await
        .unwrap();
    assert_eq!(head.uri, "http://a:8080/p?q");
    assert!(!head.headers.contains_key("host"));
}

#[tokio::test]
async fn unusable_targets_are_refused() {
    for headers in [
        &[][..],
        &[("host", "")],
        &[("host", "a b")],
        &[("host", "a"), ("host", "b")],
    ] {
        assert_eq!(
            seen(outside(), request(headers)).await.unwrap_err(),
            StatusCode::BAD_REQUEST,
            "{headers:?}"
        );
    }
    let connect = Request::connect("a:80").body(body::empty()).unwrap();
    assert_eq!(
        seen(outside(), connect).await.unwrap_err(),
        StatusCode::NOT_IMPLEMENTED
    );
}

#[tokio::test]
async fn hop_by_hop_headers_stay_on_their_hop() {
    let head = seen(
        outside(),
        request(&[
            ("host", "a"),
            ("connection", "x-private, keep-alive, authorization"),
            ("x-private", "1"),
            ("keep-alive", "5"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("authorization", "kept"),
        ]),
    );
    let headers = head.await.unwrap().headers;
    let mut names: Vec<_> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "te",
            "x-envoy-attempt-count",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id"
        ]
    );
}

#[tokio::test]
async fn the_gateway_says_who_called_and_a_pod_does_not() {
    let headers: HeaderMap = seen(
        outside(),
        request(&[
            ("host", "shop"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "gopher"),
        ]),
    )
    .await
    .unwrap()
    .headers;
    assert_eq!(headers["x-forwarded-for"], "198.51.100.1, 192.0.2.7");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-host"], "shop");
    let headers = seen(caller(), request(&[("host", "echo")]))
        .await
        .unwrap()
        .headers;
    assert!(
        headers
            .keys()
            .all(|name| !name.as_str().starts_with("x-forwarded"))
    );
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() {
    let id = |head: http::request::Parts| head.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(
        id(seen(
            outside(),
            request(&[("host", "a"), ("x-request-id", "mine")])
        )
        .await
        .unwrap()),
        "mine"
    );
    let made = [
        id(seen(outside(), request(&[("host", "a")])).await.unwrap()),
        id(seen(
            outside(),
            request(&[("host", "a"), ("x-request-id", "two words")]),
        )
        .await
        .unwrap()),
    ];
    for id in &made {
        let parts: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "4", "{id}");
    }
    assert_ne!(made[0], made[1]);
}

#[tokio::test]
async fn heads_over_the_limit_are_refused() {
    let long = "x".repeat(70_000);
    let refused = seen(outside(), request(&[("host", "a"), ("x-long", &long)]))
        .await
        .unwrap_err();
    assert_eq!(refused, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn responses_lose_hop_by_hop_headers_and_interim_statuses() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.pod("echo-0", |request| {
        let interim = request.uri().path() == "/interim";
        let mut response = Response::builder()
            .header("connection", "close")
            .header("x-kept", "1")
            .body(body::empty())
            .unwrap();
        *response.status_mut() = if interim {
            StatusCode::CONTINUE
        } else {
            StatusCode::OK
        };
        *response.version_mut() = Version::HTTP_11;
        Box::pin(async { Ok(response) })
    });
    let response = mesh.send(get("http://a/")).await;
    assert!(!response.headers().contains_key("connection"));
    assert_eq!(response.headers()["x-kept"], HeaderValue::from_static("1"));
    assert_eq!(
        mesh.send(get("http://a/interim")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}
