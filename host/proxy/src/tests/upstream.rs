//! Over the network: a service whose endpoints are addresses, with small servers behind them.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{StatusCode, Version};
use osier_process::serve::{Handle, Limits, Peer, Security, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Answers with the version and path of the request and its body, and counts connections.
#[derive(Clone, Default)]
struct Echo {
    peers: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Handle for Echo {
    async fn handle(&self, peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        {
            let mut peers = self.peers.lock();
            if !peers.contains(&peer.address) {
                peers.push(peer.address);
            }
        }
        let version = request.version();
        let host = request.headers().get("host").cloned();
        let host = host.map(|host| host.to_str().unwrap_or("?").to_owned());
        let host = host.or(request.uri().host().map(ToOwned::to_owned));
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let text = format!(
            "{version:?} {} {path} {}",
            host.unwrap_or_default(),
            String::from_utf8_lossy(&body)
        );
        Response::new(body::full(text))
    }
}

async fn echo(mesh: &Mesh) -> (u16, Echo) {
    let (listener, echo) = (bind().await, Echo::default());
    let port = listener.local_addr().unwrap().port();
    let (tasks, limits) = (mesh.tasks.clone(), Limits::default());
    let serving = serve(listener, Security::Plain, echo.clone(), tasks, limits);
    mesh.tasks.spawn("upstream-server", serving);
    (port, echo)
}

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A server that does what the test says with each connection.
async fn scripted<F, W>(mesh: &Mesh, script: F) -> u16
where
    F: Fn(usize, TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = bind().await;
    let port = listener.local_addr().unwrap().port();
    let tasks = mesh.tasks.clone();
    mesh.tasks.spawn("scripted", async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            tasks.spawn("scripted-connection", script(number, stream));
            number += 1;
        }
    });
    port
}

/// Reads one request without a body.
async fn read_head(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// A mesh whose gateway sends everything to an address.
fn mesh_to(port: u16, app_protocol: &str) -> Mesh {
    let mesh = Mesh::new(0, to_echo(json!({})));
    publish_to(
        &mesh,
        port,
        app_protocol,
        json!({"retries": {"attempts": 0}}),
    );
    mesh
}

fn publish_to(mesh: &Mesh, port: u16, app_protocol: &str, extra: Value) {
    let meta = json!({"name": "echo", "namespace": "default"});
    let ports = json!([{"port": 80, "appProtocol": app_protocol}]);
    let service =
        object(json!({"metadata": meta, "spec": {"clusterIP": "10.96.0.1", "ports": ports}}));
    let subsets = json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": port}]}]);
    let endpoints = object(json!({"metadata": meta, "subsets": subsets}));
    let routes = object(json!({"metadata": meta,
        "spec": {"hosts": ["*"], "gateways": ["edge"], "http": to_echo(extra)}}));
    let edge = json!({"name": "edge", "namespace": "default"});
    let gateway = object(json!({"metadata": edge, "spec": {"servers": [{"hosts": ["*"]}]}}));
    let inputs = Inputs {
        services: &[service],
        endpoints: &[endpoints],
        virtual_services: &[routes],
        gateways: &[gateway],
        domain: "cluster.local",
        ..Inputs::default()
    };
    let (snapshot, findings) = compile(&inputs, Some(&mesh.proxy.snapshot()));
    assert_eq!(findings, []);
    mesh.proxy.publish(Arc::new(snapshot));
}

async fn outcome(mesh: &Mesh, request: Request<Body>) -> (u16, &'static str, String) {
    let response = mesh.send(request).await;
    let status = response.status().as_u16();
    let text = text(response).await;
    (status, mesh.reports().last().unwrap().flags, text)
}

#[tokio::test]
async fn an_address_is_called_over_one_kept_connection() {
    let mesh = mesh_to(1, "http");
    let (port, echo) = echo(&mesh).await;
    publish_to(&mesh, port, "http", json!({}));
    for number in 0..5 {
        let request = post(&format!("http://shop.test/a/{number}?q"), "hello");
        let (status, flags, text) = outcome(&mesh, request).await;
        assert_eq!((status, flags), (200, "-"), "{text}");
        assert_eq!(text, format!("HTTP/1.1 shop.test /a/{number} hello"));
    }
    assert_eq!(echo.peers.lock().len(), 1);
    let report = mesh.reports()[0].clone();
    assert_eq!(report.destination, "127.0.0.1");
    assert_eq!((report.request_bytes, report.response_bytes), (5, 29));
}

#[tokio::test]
async fn the_ports_protocol_chooses_the_version() {
    let mesh = mesh_to(1, "http");
    let (port, echo) = echo(&mesh).await;
    for (word, version) in [
        ("http", Version::HTTP_11),
        ("http2", Version::HTTP_2),
        ("grpc", Version::HTTP_2),
        ("kubernetes.io/h2c", Version::HTTP_2),
    ] {
        publish_to(&mesh, port, word, json!({}));
        let answers =
            futures::future::join_all((0..8).map(|_| outcome(&mesh, post("http://a.test/x", "y"))));
        for (status, _, text) in answers.await {
            assert_eq!(
                (status, text),
                (200, format!("{version:?} a.test /x y")),
                "{word}"
            );
        }
    }
    assert!(
        echo.peers.lock().len() <= 8 + 3,
        "one HTTP/2 connection each"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = bind().await;
    let mesh = mesh_to(listener.local_addr().unwrap().port(), "http");
    drop(listener);
    let (status, flags, text) = outcome(&mesh, get("http://a/")).await;
    assert_eq!((status, flags), (503, "UF"));
    assert!(text.contains("no connection to 127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn what_ends_before_an_answer_is_a_reset() {
    let mesh = mesh_to(1, "http");
    let port = scripted(&mesh, |_, mut stream| async move {
        read_head(&mut stream).await;
    });
    publish_to(
        &mesh,
        port.await,
        "http",
        json!({"retries": {"attempts": 0}}),
    );
    let (status, flags, text) = outcome(&mesh, get("http://a/")).await;
    assert_eq!((status, flags), (503, "UC"), "{text}");
}

#[tokio::test]
async fn what_is_no_http_is_a_bad_gateway() {
    let mesh = mesh_to(1, "http");
    let port = scripted(&mesh, |_, mut stream| async move {
        read_head(&mut stream).await;
        let _sent = stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await;
    });
    publish_to(
        &mesh,
        port.await,
        "http",
        json!({"retries": {"attempts": 0}}),
    );
    let (status, flags, text) = outcome(&mesh, get("http://a/")).await;
    assert_eq!((status, flags), (502, "UPE"), "{text}");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_fails_no_request() {
    let mesh = mesh_to(1, "http");
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    // Each connection answers once, says that it may be used again, and breaks at the second request.
    let port = scripted(&mesh, move |_, mut stream| {
        let counter = counter.clone();
        async move {
            read_head(&mut stream).await;
            let _sent = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            read_head(&mut stream).await;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    publish_to(
        &mesh,
        port.await,
        "http",
        json!({"retries": {"attempts": 0}}),
    );
    for _ in 0..4 {
        assert_eq!(outcome(&mesh, get("http://a/")).await.0, 200);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    let (status, flags, _) = outcome(&mesh, post("http://a/", "adds up")).await;
    assert_eq!(
        (status, flags),
        (503, "UC"),
        "what may have had an effect is not repeated"
    );
}

#[tokio::test]
async fn a_body_that_breaks_is_reported_and_its_connection_not_used_again() {
    let mesh = mesh_to(1, "http");
    let port = scripted(&mesh, |_, mut stream| async move {
        read_head(&mut stream).await;
        let _sent = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
    });
    publish_to(&mesh, port.await, "http", json!({}));
    let response = mesh.send(get("http://a/")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(mesh.report().flags, "UC");
}

#[tokio::test]
async fn connections_end_with_the_process() {
    let mesh = mesh_to(1, "http");
    let port = scripted(&mesh, |_, mut stream| async move {
        read_head(&mut stream).await;
        let _sent = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
        let _closed = stream.read(&mut [0]).await;
    });
    publish_to(&mesh, port.await, "http", json!({}));
    assert_eq!(outcome(&mesh, get("http://a/")).await.0, 200);
    let open = || {
        mesh.tasks
            .running()
            .iter()
            .any(|(name, _)| *name == "upstream")
    };
    assert!(open());
    mesh.tasks.stop();
    while open() {
        tokio::task::yield_now().await;
    }
}

/// As [`publish_to`], over a ServiceEntry with a DestinationRule.
fn publish_entry(mesh: &Mesh, port: u16, traffic: Value, extra: Value) {
    let meta = json!({"name": "echo", "namespace": "default"});
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]);
    let entry = object(
        json!({"metadata": meta, "spec": {"hosts": ["shop.example.com"], "resolution": "STATIC",
        "ports": ports, "endpoints": [{"address": "127.0.0.1"}]}}),
    );
    let rule = object(
        json!({"metadata": meta, "spec": {"host": "shop.example.com", "trafficPolicy": traffic}}),
    );
    let mut rules = to_echo(extra);
    rules[0]["route"][0]["destination"]["host"] = json!("shop.example.com");
    let routes = object(json!({"metadata": meta,
        "spec": {"hosts": ["*"], "gateways": ["edge"], "http": rules}}));
    let edge = json!({"name": "edge", "namespace": "default"});
    let gateway = object(json!({"metadata": edge, "spec": {"servers": [{"hosts": ["*"]}]}}));
    let inputs = Inputs {
        virtual_services: &[routes],
        destination_rules: &[rule],
        service_entries: &[entry],
        gateways: &[gateway],
        domain: "cluster.local",
        ..Inputs::default()
    };
    let (snapshot, findings) = compile(&inputs, Some(&mesh.proxy.snapshot()));
    assert_eq!(findings, []);
    mesh.proxy.publish(Arc::new(snapshot));
}

/// A server that answers each request on a connection when it is let, one after the other.
async fn held(mesh: &Mesh) -> (u16, Arc<tokio::sync::Semaphore>, Arc<AtomicUsize>) {
    let (gate, seen) = (
        Arc::new(tokio::sync::Semaphore::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (let_go, counter) = (gate.clone(), seen.clone());
    let port = scripted(mesh, move |_, mut stream| {
        let (gate, seen) = (gate.clone(), seen.clone());
        async move {
            while !read_head(&mut stream).await.is_empty() {
                seen.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                let _sent = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await;
            }
        }
    });
    (port.await, let_go, counter)
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_connection_one_waiting_and_the_third_is_refused() {
    let mesh = mesh_to(1, "http");
    let (port, gate, seen) = held(&mesh).await;
    let bounds = json!({"connectionPool": {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}});
    publish_entry(&mesh, port, bounds, json!({"retries": {"attempts": 0}}));
    let (first, second) = (mesh.send(get("http://a/1")), mesh.send(get("http://a/2")));
    tokio::pin!(first, second);
    assert!(futures::poll!(first.as_mut()).is_pending());
    while seen.load(Ordering::SeqCst) == 0 {
        assert!(futures::poll!(first.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(futures::poll!(second.as_mut()).is_pending());
    let refused = mesh.send(get("http://a/3")).await;
    assert_eq!(refused.headers()["x-envoy-overloaded"], "true");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    text(refused).await;
    assert_eq!(mesh.report().flags, "UO");
    gate.add_permits(2);
    assert_eq!(text(first.await).await, "ok");
    assert_eq!(text(second.await).await, "ok");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn requests_at_once_are_bounded_and_counted_down() {
    let mesh = mesh_to(1, "http");
    let (port, gate, seen) = held(&mesh).await;
    let bounds =
        json!({"connectionPool": {"http": {"http2MaxRequests": 1, "maxRequestsPerConnection": 1}}});
    publish_entry(&mesh, port, bounds, json!({"retries": {"attempts": 0}}));
    let proxy = mesh.proxy.clone();
    let first = mesh.tasks.spawn("first", async move {
        text(proxy.handle(outside(), get("http://a/")).await).await
    });
    until(|| seen.load(Ordering::SeqCst) == 1).await;
    let (status, flags, text) = outcome(&mesh, get("http://a/")).await;
    assert_eq!((status, flags), (503, "UO"));
    assert!(text.contains("http2MaxRequests"), "{text}");
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), "ok");
    assert_eq!(outcome(&mesh, get("http://a/")).await.0, 200);
}

/// Sends the request's trailers back behind its body.
#[derive(Clone)]
struct Trailing;

impl Handle for Trailing {
    async fn handle(&self, _peer: &Arc<Peer>, request: Request<Body>) -> Response<Body> {
        let collected = request.into_body().collect().await.unwrap();
        let trailers = collected.trailers().cloned();
        let body = body::full(collected.to_bytes());
        let trailers = trailers.map(Ok);
        Response::new(body::boxed(
            body.with_trailers(std::future::ready(trailers)),
        ))
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let mesh = mesh_to(1, "http");
    let listener = bind().await;
    let port = listener.local_addr().unwrap().port();
    let (tasks, limits) = (mesh.tasks.clone(), Limits::default());
    let serving = serve(listener, Security::Plain, Trailing, tasks, limits);
    mesh.tasks.spawn("upstream-server", serving);
    publish_to(&mesh, port, "grpc", json!({}));
    let trailers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let body = body::full("hello").with_trailers(std::future::ready(Some(Ok(trailers))));
    let request = Request::post("http://a.test/x")
        .body(body::boxed(body))
        .unwrap();
    let collected = mesh
        .send(request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "hello");
}

#[tokio::test]
async fn a_websocket_is_carried_both_ways_and_reported_at_its_end() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    let port = scripted(&mesh, |_, mut stream| async move {
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"));
        assert!(head.contains("sec-websocket-key: k"), "{head}");
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\r\nhello";
        stream.write_all(answer).await.unwrap();
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    publish_to(&mesh, port, "http", json!({}));
    let mut client = asking(&mesh).await;
    let head = read_head(&mut client).await.to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 101") && head.contains("sec-websocket-accept: a"),
        "{head}"
    );
    client.write_all(b"ping").await.unwrap();
    let mut answer = [0; 9];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"helloping");
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    let reported = async {
        while mesh.reports().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(5);
    tokio::time::timeout(patience, reported).await.unwrap();
    let report = mesh.report();
    assert_eq!(
        (
            report.status,
            report.flags,
            report.request_bytes,
            report.response_bytes
        ),
        (101, "-", 4, 9)
    );
}

#[tokio::test]
async fn a_pod_takes_no_upgrade() {
    let mesh = Mesh::new(1, to_echo(json!({})));
    mesh.echo("echo-0");
    let head = read_head(&mut asking(&mesh).await).await;
    assert!(head.starts_with("HTTP/1.1 501"), "{head}");
    assert_eq!(mesh.called(), Vec::<String>::new());
}

/// A client that has asked a gateway for a WebSocket.
async fn asking(mesh: &Mesh) -> TcpStream {
    let listener = bind().await;
    let address = listener.local_addr().unwrap();
    let stopping = mesh.tasks.stopping();
    let handle = crate::GatewayListener::new(mesh.proxy.clone(), ListenerKey::Main, stopping);
    let (tasks, limits) = (mesh.tasks.clone(), Limits::default());
    let serving = serve(listener, Security::Plain, handle, tasks, limits);
    mesh.tasks.spawn("gateway", serving);
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"GET /chat HTTP/1.1\r\nhost: echo\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: k\r\n\r\n";
    client.write_all(request).await.unwrap();
    client
}
