//! WebSocket, and what else a connection may change over to: by a gateway, between workloads on other nodes over mutual TLS, to
//! programs of pods, and to hosts outside; asked for in HTTP/1.1 and in HTTP/2.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use osier_tests::artifacts::component;
use osier_tests::kubectl::installed;
use osier_tests::{Node, Options, objects, until};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

const SOON: Duration = Duration::from_secs(30);
/// A key and what a server makes of it (RFC 6455, 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const GROUP: &str = "networking.istio.io/v1";

/// A server that echoes over WebSocket, turns `chargen` into capitals, and does not change over where the path says so.
async fn server(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _gone = answer(stream).await;
            });
        }
    });
    port
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let head = head_of(&mut stream).await?;
    let plain = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nplain");
    for (path, status) in [("/plain", "200 OK"), ("/refused", "403 Forbidden")] {
        if head.starts_with(&format!("get {path} ")) {
            return Ok(stream.write_all(plain(status).as_bytes()).await?);
        }
    }
    ensure!(head.contains("connection: upgrade"), "{head}");
    let agreed = |protocol: &str, more: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n{more}\r\n"
        )
    };
    if head.contains("upgrade: capitals") {
        stream.write_all(agreed("capitals", "").as_bytes()).await?;
        let mut buffer = [0; 1_024];
        loop {
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            stream
                .write_all(&buffer[..count].to_ascii_uppercase())
                .await?;
        }
    }
    let accept = match head.contains(&format!("sec-websocket-key: {KEY}").to_ascii_lowercase()) {
        true => ACCEPT,
        false => "for a key of the proxy's own",
    };
    let more = format!("sec-websocket-accept: {accept}\r\nsec-websocket-protocol: chat\r\n");
    stream
        .write_all(agreed("websocket", &more).as_bytes())
        .await?;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(message) = socket.next().await {
        match message? {
            message if message.is_text() || message.is_binary() => socket.send(message).await?,
            _ => {}
        }
    }
    Ok(())
}

/// A head of HTTP/1.1 in lower case.
async fn head_of<S: AsyncRead + Unpin>(stream: &mut S) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.context("the head is not whole")?;
        head.push(byte);
        ensure!(head.len() < 8_192);
    }
    Ok(String::from_utf8(head)?.to_ascii_lowercase())
}

/// Asks for an upgrade; the connection, and the head of the answer.
async fn asked(
    address: &str,
    (target, host): (&str, &str),
    protocol: &str,
) -> Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\nsec-websocket-key: {KEY}\r\n\
         sec-websocket-version: 13\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let answer = tokio::time::timeout(SOON, head_of(&mut stream)).await??;
    Ok((stream, answer))
}

/// Asks until the answer begins so.
async fn answered(
    address: &str,
    to: (&str, &str),
    protocol: &str,
    status: u16,
) -> (TcpStream, String) {
    let ask = || async {
        let (stream, head) = asked(address, to, protocol).await?;
        ensure!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        Ok(Some((stream, head)))
    };
    until(
        &format!("{protocol} at {to:?} is answered {status}"),
        SOON,
        ask,
    )
    .await
    .unwrap()
}

/// Speaks WebSocket on a stream whose other side echoes.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let large = Message::binary(vec![7; 1 << 20]);
    for message in [Message::text("one"), large, Message::text("two")] {
        socket.send(message.clone()).await.unwrap();
        let echoed = tokio::time::timeout(SOON, socket.next()).await.unwrap();
        assert!(echoed.unwrap().unwrap() == message);
    }
    socket.close(None).await.unwrap();
    let ended = tokio::time::timeout(SOON, socket.next()).await.unwrap();
    assert!(
        matches!(ended, Some(Ok(Message::Close(_))) | None),
        "{ended:?}"
    );
}

fn of(kind: &str, name: &str, spec: Value) -> String {
    json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

/// The workloads `vm`, which has the server, and `other`, the hosts `chat.internal` and `outside.example.com`, and a gateway to both.
fn mesh(port: u16) -> String {
    let workload = |name: &str| {
        of(
            "WorkloadEntry",
            name,
            json!({"address": "127.0.0.1", "labels": {"app": name}, "serviceAccount": name, "ports": {"http": port}}),
        )
    };
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]);
    let to = |host: &str| json!({"hosts": [host], "gateways": ["web"], "http": [{"route": [{"destination": {"host": host, "port": {"number": 80}}}]}]});
    let all = [
        workload("vm"),
        workload("other"),
        of(
            "ServiceEntry",
            "chat",
            json!({"hosts": ["chat.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports,
            "workloadSelector": {"labels": {"app": "vm"}}}),
        ),
        of(
            "ServiceEntry",
            "outside",
            json!({"hosts": ["outside.example.com"], "resolution": "STATIC", "ports": ports,
            "endpoints": [{"address": "127.0.0.1"}]}),
        ),
        of(
            "Gateway",
            "web",
            json!({"servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}),
        ),
        of("VirtualService", "chat", to("chat.internal")),
        of("VirtualService", "outside", to("outside.example.com")),
    ];
    all.join("\n---\n")
}

/// A control plane with its gateway, and the companions of `vm` and `other`.
async fn stage() -> [Node; 3] {
    let port = server("127.0.0.1").await;
    let control = Node::start().unwrap();
    control.apply_text(&mesh(port)).unwrap();
    let companion = |name: &str| control.companion(name, Options::default()).unwrap();
    let (vm, other) = (companion("default/vm"), companion("default/other"));
    [control, vm, other]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_passes_a_gateway_and_nodes() {
    let [control, vm, other] = stage().await;
    let gateway = control.address("gateway").unwrap();
    for host in ["chat.internal", "outside.example.com"] {
        let (stream, head) = answered(&gateway, ("/chat", host), "websocket", 101).await;
        assert!(head.contains(&ACCEPT.to_ascii_lowercase()), "{head}");
        assert!(
            head.contains("sec-websocket-protocol: chat") && head.contains("upgrade: websocket")
        );
        assert!(!head.contains("x-osier-mesh"), "{head}");
        converse(stream).await;
    }
    // Between the workloads, by the proxy of the one that calls: as a request to it, and inside a CONNECT.
    let outbound = other.address("outbound").unwrap();
    let (stream, _) = answered(
        &outbound,
        ("http://chat.internal/chat", "chat.internal"),
        "websocket",
        101,
    )
    .await;
    converse(stream).await;
    let mut stream = TcpStream::connect(&outbound).await.unwrap();
    stream
        .write_all(b"CONNECT chat.internal:80 HTTP/1.1\r\nhost: chat.internal:80\r\n\r\n")
        .await
        .unwrap();
    assert!(
        head_of(&mut stream)
            .await
            .unwrap()
            .starts_with("http/1.1 200")
    );
    let wish = format!(
        "GET /chat HTTP/1.1\r\nhost: chat.internal\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: {KEY}\r\n\r\n"
    );
    stream.write_all(wish.as_bytes()).await.unwrap();
    assert!(
        head_of(&mut stream)
            .await
            .unwrap()
            .starts_with("http/1.1 101")
    );
    converse(stream).await;
    // Both sides tell of it when it is over.
    for (node, from) in [(&control, "source=\"gateway\""), (&vm, "source=\"other\"")] {
        let line = |line: &str| {
            line.contains("osier::access") && line.contains(from) && line.contains("status=101")
        };
        let told = || async { Ok(node.log().lines().any(line).then_some(())) };
        until(&format!("a line with {from}"), SOON, told)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_change_over_is_answered_as_it_is() {
    let [control, _vm, _other] = stage().await;
    let gateway = control.address("gateway").unwrap();
    answered(&gateway, ("/chat", "chat.internal"), "websocket", 101).await;
    for host in ["chat.internal", "outside.example.com"] {
        for (path, status) in [("/plain", 200), ("/refused", 403)] {
            let (mut stream, head) = answered(&gateway, (path, host), "websocket", status).await;
            assert!(!head.contains("x-osier-mesh"), "{head}");
            let mut body = [0; 5];
            stream.read_exact(&mut body).await.unwrap();
            assert_eq!(&body, b"plain", "{host}{path}");
        }
        // Another protocol than WebSocket.
        let (mut stream, head) = answered(&gateway, ("/other", host), "capitals", 101).await;
        assert!(head.contains("upgrade: capitals"), "{head}");
        stream.write_all(b"hello").await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HELLO");
    }
    // Where the workload is, its policies are asked about the request that asks.
    let plugin = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
        "spec": {"image": "builtin://denier", "config": {"status": 451}}});
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "deny"},
        "spec": {"direction": "Inbound", "match": "destination.workload.name == \"vm\" && request.method == \"GET\"",
            "actions": [{"plugin": "denier", "template": "checknothing"}]}});
    control
        .apply_text(&format!("{plugin}\n---\n{policy}\n"))
        .unwrap();
    answered(&gateway, ("/chat", "chat.internal"), "websocket", 451).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_from_the_mesh_is_cut_off_from_what_it_had_opened() {
    let [control, vm, other] = stage().await;
    let outbound = other.address("outbound").unwrap();
    let to = ("http://chat.internal/chat", "chat.internal");
    let (stream, _) = answered(&outbound, to, "websocket", 101).await;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    socket.send(Message::text("one")).await.unwrap();
    let echoed = tokio::time::timeout(SOON, socket.next()).await.unwrap();
    assert_eq!(echoed.unwrap().unwrap(), Message::text("one"));
    let line = ["delete", "workloadentry", "other"];
    let kubectl = installed().unwrap();
    kubectl.ok(&control.kubeconfig(), &line, None).unwrap();
    let ended = tokio::time::timeout(SOON, socket.next()).await.unwrap();
    assert!(matches!(ended, Some(Err(_)) | None), "{ended:?}");
    let told = || async {
        let log = vm.log();
        let mut lines = log.lines();
        let cut = |line: &str| line.contains("is cut off") && line.contains("sa/other");
        Ok(lines.any(cut).then_some(()))
    };
    until("the workload's proxy says so", SOON, told)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_opened_to_who_is_removed_from_the_mesh_is_cut_off() {
    let [control, vm, other] = stage().await;
    let (gateway, outbound) = (control.address("gateway"), other.address("outbound"));
    let ways = [
        (gateway.unwrap(), "/chat", &control),
        (outbound.unwrap(), "http://chat.internal/chat", &other),
    ];
    let mut opened = Vec::new();
    for (address, path, node) in ways {
        let to = (path, "chat.internal");
        let (stream, _) = answered(&address, to, "websocket", 101).await;
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        socket.send(Message::text("one")).await.unwrap();
        let echoed = tokio::time::timeout(SOON, socket.next()).await.unwrap();
        assert_eq!(echoed.unwrap().unwrap(), Message::text("one"));
        opened.push((socket, node));
    }
    let kubectl = installed().unwrap();
    let line = ["delete", "workloadentry", "vm"];
    kubectl.ok(&control.kubeconfig(), &line, None).unwrap();
    for (mut socket, node) in opened {
        let ended = tokio::time::timeout(SOON, socket.next()).await.unwrap();
        assert!(matches!(ended, Some(Err(_)) | None), "{ended:?}");
        let told = || async {
            let log = node.log();
            let cut = |line: &str| line.contains("left the mesh") && line.contains("cut off");
            Ok(log.lines().any(cut).then_some(()))
        };
        until("the caller's node says so", SOON, told)
            .await
            .unwrap();
    }
    drop(vm);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_asks_by_extended_connect() {
    let [control, _vm, _other] = stage().await;
    let gateway = control.address("gateway").unwrap();
    answered(&gateway, ("/chat", "chat.internal"), "websocket", 101).await;
    let stream = TcpStream::connect(&gateway).await.unwrap();
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let ask = |host: &str, path: &str| {
        let uri = format!("http://{host}{path}");
        let request = Request::builder().method(Method::CONNECT).uri(uri);
        let request = request.extension(Protocol::from_static("websocket"));
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    for host in ["chat.internal", "outside.example.com"] {
        let response = sender.send_request(ask(host, "/chat")).await.unwrap();
        assert_eq!(response.status(), 200, "{host}");
        let headers = response.headers();
        assert!(!headers.contains_key("sec-websocket-accept"), "{headers:?}");
        assert_eq!(headers["sec-websocket-protocol"], "chat");
        let stream = hyper::upgrade::on(response).await.unwrap();
        converse(TokioIo::new(stream)).await;
        // A success would say that the protocol changed.
        let response = sender.send_request(ask(host, "/plain")).await.unwrap();
        assert_eq!(response.status(), 502, "{host}");
        assert!(!response.headers().contains_key("x-osier-mesh-status"));
        let response = sender.send_request(ask(host, "/refused")).await.unwrap();
        assert_eq!(response.status(), 403, "{host}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "plain");
    }
}

/// A pod of an image with its service, on a node.
fn pod((name, image): (&str, &str), on: &str, args: &[&str]) -> [String; 2] {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "nodeName": on, "terminationGracePeriodSeconds": 1,
        "containers": [{"name": name, "image": image, "args": args}]}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {
        "selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}});
    [pod.to_string(), service.to_string()]
}

/// A gateway to services of these names, each by the host `NAME.test`.
fn gateway_to(names: &[&str]) -> Vec<String> {
    let servers = json!({"servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]});
    let route = |name: &&str| {
        let host = format!("{name}.test");
        let to = json!({"hosts": [host], "gateways": ["web"], "http": [{"route": [{"destination": {"host": name}}]}]});
        of("VirtualService", name, to)
    };
    let gateway = of("Gateway", "web", servers);
    std::iter::once(gateway)
        .chain(names.iter().map(route))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_pods_speak_websocket_and_components_of_wasi_http_say_that_they_cannot() {
    let node = Node::start().unwrap();
    for (name, guest) in [
        ("sockets:1.0", "tests/fixture-sockets"),
        ("echo:1.0", "tests/echo"),
    ] {
        node.import(name, &component(guest).unwrap()).unwrap();
    }
    let nodes = objects::get(&node, "/api/v1/nodes").await.unwrap();
    let first = nodes["items"][0]["metadata"]["name"].as_str().unwrap();
    let _second = node.joined("second").unwrap();
    let program = ["websocket", "0.0.0.0:8080"];
    let mut all: Vec<String> = [
        pod(("here", "sockets:1.0"), first, &program),
        pod(("there", "sockets:1.0"), "second", &program),
        pod(("client", "sockets:1.0"), first, &["sleep"]),
        pod(("echo", "echo:1.0"), first, &[]),
        pod(("far", "echo:1.0"), "second", &[]),
    ]
    .concat();
    all.extend(gateway_to(&["here", "there", "echo", "far"]));
    node.apply_text(&all.join("\n---\n")).unwrap();
    for app in ["here", "there", "client", "echo", "far"] {
        objects::ready(&node, &format!("app={app}"), 1)
            .await
            .unwrap();
    }
    let gateway = node.address("gateway").unwrap();
    for host in ["here.test", "there.test"] {
        let (stream, head) = answered(&gateway, ("/chat", host), "websocket", 101).await;
        assert!(head.contains(&ACCEPT.to_ascii_lowercase()), "{head}");
        converse(stream).await;
        let stream = TcpStream::connect(&gateway).await.unwrap();
        let builder = http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let ask = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://{host}/chat"));
        let ask = ask.extension(Protocol::from_static("websocket"));
        let answer = sender.send_request(ask.body(Empty::<Bytes>::new()).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
        let stream = hyper::upgrade::on(answer).await.unwrap();
        converse(TokioIo::new(stream)).await;
    }
    // From pod to pod, on the same node and on another.
    let kubectl = installed().unwrap();
    for (to, heard) in [
        ("here", "hello"),
        ("there", "hello"),
        ("echo", "501"),
        ("far", "501"),
    ] {
        let at = format!("{to}:80");
        let line = [
            "exec", "client", "--", "main", "converse", &at, "/chat", "hello",
        ];
        let told = kubectl.ok(&node.kubeconfig(), &line, None).unwrap();
        assert!(told.contains(heard), "{to}: {told}");
    }
    for host in ["echo.test", "far.test"] {
        let (mut stream, head) = answered(&gateway, ("/chat", host), "websocket", 501).await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut said = vec![0; length.unwrap().parse().unwrap()];
        stream.read_exact(&mut said).await.unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("wasi:sockets"), "{host}: {said}");
    }
}
