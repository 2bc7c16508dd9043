//! Hosts outside: through a gateway and from a pod, plain and over TLS, granted and not.

#![expect(clippy::unwrap_used, reason = "tests")]

use ::http::{Method, Request, Response, StatusCode};
use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use osier_identity::{Authority, Subject};
use osier_tests::artifacts::component;
use osier_tests::server::Server;
use osier_tests::tls::{certificate, secret};
use osier_tests::{Node, http, objects, until};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(20);
const GATEWAY: &str = r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
"#;

/// A host outside on port 80 that is served by a port of this machine.
fn entry(host: &str, port: u16, extra: &Value) -> Value {
    let name = host.replace('.', "-");
    let mut spec = json!({"hosts": [host], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]});
    for (key, value) in extra.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name}, "spec": spec})
}

fn route(host: &str) -> Value {
    let name = host.replace('.', "-");
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name},
        "spec": {"hosts": [host], "gateways": ["web"], "http": [{"route": [{"destination": {"host": host}}]}]}})
}

fn rule(host: &str, traffic: &Value) -> Value {
    let name = host.replace('.', "-");
    json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name},
        "spec": {"host": host, "trafficPolicy": traffic}})
}

fn apply(node: &Node, objects: &[Value]) {
    let all: Vec<String> = objects.iter().map(ToString::to_string).collect();
    node.apply_text(&all.join("\n---\n")).unwrap();
}

async fn ask(node: &Node, host: &str, path: &str) -> Result<(u16, String)> {
    let gateway = node.address("gateway")?;
    let answer = http::get_with(&gateway, path, &[("host", host)]).await?;
    Ok((answer.status.as_u16(), answer.text()))
}

/// Asks until the answer has this status; objects take a moment to come into force.
async fn answered(node: &Node, host: &str, status: u16) -> String {
    let asked = || async {
        let (found, text) = ask(node, host, "/x").await?;
        ensure!(found == status, "{found}: {text}");
        Ok(Some(text))
    };
    until(&format!("{host} answers {status}"), SOON, asked)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_routes_to_hosts_outside() {
    let (node, server) = (Node::start().unwrap(), Server::plain().await.unwrap());
    node.apply_text(GATEWAY).unwrap();
    let one = "one.example.com";
    apply(&node, &[entry(one, server.port, &json!({})), route(one)]);
    assert_eq!(
        answered(&node, one, 200).await,
        "HTTP/1.1 one.example.com /x "
    );
    let before = server.connections();
    for _ in 0..20 {
        assert_eq!(ask(&node, one, "/again").await.unwrap().0, 200);
    }
    assert_eq!(server.connections(), before, "its connection is kept");
    // The same by WorkloadEntry, over HTTP/2.
    let two = "two.example.com";
    let selected = json!({"endpoints": null, "workloadSelector": {"labels": {"app": "two"}},
        "ports": [{"number": 80, "name": "http2", "protocol": "HTTP2"}]});
    let workload = json!({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "two"},
        "spec": {"address": "127.0.0.1", "labels": {"app": "two"}, "ports": {"http2": server.port}}});
    apply(
        &node,
        &[entry(two, server.port, &selected), workload, route(two)],
    );
    assert_eq!(
        answered(&node, two, 200).await,
        "HTTP/2.0 two.example.com /x "
    );
    let status = || async {
        let path = "/apis/networking.istio.io/v1/namespaces/default/serviceentries/one-example-com";
        let entry = objects::get(&node, path).await?;
        ensure!(
            objects::condition(&entry, "Accepted") == Some("True"),
            "{entry}"
        );
        Ok(Some(()))
    };
    until("the entry says that it is in force", SOON, status)
        .await
        .unwrap();
    drop(server);
    // The first may break a connection that was kept; from then on none is made.
    let refused = || async {
        let said = answered(&node, one, 503).await;
        Ok(said.contains("no connection to 127.0.0.1:").then_some(()))
    };
    until("no connection is made", SOON, refused).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_originated_and_the_server_verified() {
    let node = Node::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let credential = certificate(&authority, "api.example.com").unwrap();
    let server = Server::secure(authority.certificate_pem(), &credential)
        .await
        .unwrap();
    node.apply_text(GATEWAY).unwrap();
    let believed = ("ca.crt", authority.certificate_pem());
    node.apply_text(&secret("ca", &[believed])).unwrap();
    node.apply_text(&secret("listed", &[believed, ("ca.crl", "no list")]))
        .unwrap();
    let tls = |extra: Value| {
        let mut tls = json!({"mode": "SIMPLE", "credentialName": "ca"});
        for (key, value) in extra.as_object().unwrap() {
            tls[key] = value.clone();
        }
        json!({"tls": tls})
    };
    let host = "api.example.com";
    apply(
        &node,
        &[
            entry(host, server.port, &json!({})),
            route(host),
            rule(host, &tls(json!({}))),
        ],
    );
    assert_eq!(
        answered(&node, host, 200).await,
        "HTTP/1.1 api.example.com /x "
    );
    let pool = json!({"http": {"h2UpgradePolicy": "UPGRADE"}});
    let mut upgraded = tls(json!({}));
    upgraded["connectionPool"] = pool;
    apply(&node, &[rule(host, &upgraded)]);
    let second = || async {
        let (_, text) = ask(&node, host, "/x").await?;
        ensure!(text.starts_with("HTTP/2.0"), "{text}");
        Ok(Some(()))
    };
    until("the server chooses HTTP/2 by ALPN", SOON, second)
        .await
        .unwrap();
    for wrong in [
        json!({"subjectAltNames": ["other.example.com"]}),
        json!({"sni": "other.example.com"}),
        json!({"credentialName": null}),
        json!({"credentialName": "absent"}),
        // What is revoked there cannot be read: nobody is believed.
        json!({"credentialName": "listed"}),
        json!({"caCrl": "/absent/ca.crl"}),
    ] {
        apply(&node, &[rule(host, &tls(wrong.clone()))]);
        let refused = answered(&node, host, 503).await;
        assert!(refused.contains("no TLS connection"), "{wrong}: {refused}");
    }
    apply(
        &node,
        &[rule(
            host,
            &tls(json!({"sni": "x.example.com", "subjectAltNames": [host]})),
        )],
    );
    answered(&node, host, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_calls_only_what_is_granted() {
    let (node, server) = (Node::start().unwrap(), Server::plain().await.unwrap());
    node.import("http:1.0", &component("tests/http").unwrap())
        .unwrap();
    let pod = include_str!("manifests/echo.yaml").replace("echo:1.0", "http:1.0");
    node.apply_text(&pod).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    apply(
        &node,
        &[
            entry(
                "granted.example.com",
                server.port,
                &json!({"exportTo": ["."]}),
            ),
            entry(
                "hidden.example.com",
                server.port,
                &json!({"exportTo": ["other"]}),
            ),
        ],
    );
    let gateway = node.address("gateway").unwrap();
    let said = |host: &'static str, words: &'static str| {
        let gateway = gateway.clone();
        async move {
            let called = || async {
                let text = http::get(&gateway, &format!("/call/{host}")).await?.text();
                ensure!(text.contains(words), "{text}");
                Ok(Some(()))
            };
            until(&format!("{host} says {words}"), SOON, called)
                .await
                .unwrap();
        }
    };
    said("granted.example.com", "HTTP/1.1 granted.example.com /hello").await;
    for refused in ["hidden.example.com", "unknown.example.com"] {
        said(refused, "grant the host by a ServiceEntry").await;
    }
    said("granted.example.com:81", "has no port 81").await;
    assert_eq!(server.connections(), 1);
}

/// Waits until an object says this reason of being accepted; gives the message with it.
async fn says(node: &Node, path: &str, reason: &str) -> String {
    let told = || async {
        let object = objects::get(node, path).await?;
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let said = conditions.find(|one| one["type"] == "Accepted" && one["reason"] == reason);
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        ensure!(current && said.is_some(), "{object}");
        Ok(said.map(|said| said["message"].to_string()))
    };
    until(&format!("{path} says {reason}"), SOON, told)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_outside_are_shown_who_calls_in_the_mesh_and_no_plain_call_reaches_one() {
    let (node, plain) = (Node::start().unwrap(), Server::plain().await.unwrap());
    // A host that has an identity of the mesh, as whoever holds its authority gives it one.
    let authority = Authority::open(&node.data_dir().join("pki")).unwrap();
    let name = "spiffe://cluster.local/ns/legacy/sa/out";
    let own = Subject {
        spiffe: Some(name.to_owned()),
        ..Subject::default()
    };
    let own = authority.issue(&own).unwrap();
    let known = Server::mutual(authority.certificate_pem(), &own)
        .await
        .unwrap();
    node.import("http:1.0", &component("tests/http").unwrap())
        .unwrap();
    let pod = include_str!("manifests/echo.yaml").replace("echo:1.0", "http:1.0");
    node.apply_text(&pod).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let tls = |more: Value| {
        let mut tls = json!({"tls": {"mode": "ISTIO_MUTUAL"}});
        let more = more.as_object().unwrap().clone();
        tls["tls"].as_object_mut().unwrap().extend(more);
        tls
    };
    let (in_plain, in_mesh) = ("plain.example.com", "mesh.example.com");
    apply(
        &node,
        &[
            entry(in_plain, plain.port, &json!({})),
            route(in_plain),
            rule(in_plain, &tls(json!({}))),
            entry(in_mesh, known.port, &json!({})),
            route(in_mesh),
            rule(in_mesh, &tls(json!({}))),
            rule("echo", &tls(json!({}))),
        ],
    );
    let shown = || async {
        let (_, text) = ask(&node, in_mesh, "/x").await?;
        let who = "by spiffe://cluster.local/ns/osier-system/sa/gateway";
        let told = format!("HTTP/1.1 {in_mesh} /x  {who}");
        ensure!(text == told, "{text}");
        Ok(Some(()))
    };
    until("the host is shown the gateway", SOON, shown)
        .await
        .unwrap();
    let said = answered(&node, in_plain, 503).await;
    assert!(said.contains("no TLS connection"), "{said}");
    let before = plain.requests();
    answered(&node, in_plain, 503).await;
    assert_eq!(plain.requests(), before);
    let gateway = node.address("gateway").unwrap();
    let text = http::get(&gateway, &format!("/call/{in_mesh}"))
        .await
        .unwrap()
        .text();
    let who = "by spiffe://cluster.local/ns/default/sa/default";
    assert!(text.contains(who), "{text}");
    for (names, status) in [
        (json!(["spiffe://cluster.local/ns/legacy/sa/other"]), 503),
        (json!([name]), 200),
    ] {
        let named = tls(json!({"subjectAltNames": names}));
        apply(&node, &[rule(in_mesh, &named)]);
        answered(&node, in_mesh, status).await;
    }
    let rules = "/apis/networking.istio.io/v1/namespaces/default/destinationrules";
    says(&node, &format!("{rules}/mesh-example-com"), "Accepted").await;
    says(&node, &format!("{rules}/echo"), "Accepted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_prove_themselves_to_each_other_whatever_is_asked() {
    let node = Node::start().unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(include_str!("manifests/echo.yaml"))
        .unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    let peers = |mode: &str| {
        json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"},
            "spec": {"mtls": {"mode": mode}}})
    };
    let path = "/apis/security.istio.io/v1/namespaces/default/peerauthentications/default";
    apply(&node, &[peers("STRICT")]);
    says(&node, path, "Accepted").await;
    answered(&node, "echo.test", 200).await;
    apply(&node, &[peers("PERMISSIVE")]);
    let told = says(&node, path, "PartlyInForce").await;
    assert!(told.contains("as with STRICT"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_is_an_upstream_like_another() {
    if Command::new("nginx")
        .arg("-v")
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: nginx is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (node, nginx) = (Node::start().unwrap(), Nginx::start(folder.path()).unwrap());
    node.apply_text(GATEWAY).unwrap();
    let host = "files.example.com";
    apply(&node, &[entry(host, nginx.port, &json!({})), route(host)]);
    assert_eq!(answered(&node, host, 200).await, "from nginx");
    assert_eq!(ask(&node, host, "/large").await.unwrap().1.len(), 4 << 20);
    assert_eq!(ask(&node, host, "/none").await.unwrap().0, 404);
}

/// A running nginx, which ends with the value.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &std::path::Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; \
             client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n\
             server {{ listen 127.0.0.1:{port}; location = /x {{ return 200 'from nginx'; }} location = /large {{ root .; }} \
             location / {{ return 404; }} }} }}\n"
        );
        let config = config.replace("root .;", &format!("root {};", folder.display()));
        std::fs::write(folder.join("nginx.conf"), config)?;
        std::fs::write(folder.join("large"), vec![b'x'; 4 << 20])?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).args(["-c", "nginx.conf"]);
        let child = command.stderr(Stdio::null()).spawn()?;
        Ok(Self { child, port })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A server that answers with the hexadecimal bytes that stand before the request.
async fn beginnings() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_beginning(stream));
        }
    });
    port
}

async fn answer_beginning(mut stream: tokio::net::TcpStream) -> Result<()> {
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        ensure!(stream.read_buf(&mut read).await? > 0, "closed");
        let found = |what: &[u8]| read.windows(what.len()).position(|part| part == what);
        let Some(start) = found(b"GET ") else {
            continue;
        };
        if !read.ends_with(b"\r\n\r\n") {
            continue;
        }
        let hex: String = read[..start]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hex = before.get_or_insert(hex).clone();
        let length = hex.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{hex}");
        stream.write_all(answer.as_bytes()).await?;
        read.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_wants_it_is_told_who_calls() {
    let node = Node::start().unwrap();
    node.apply_text(GATEWAY).unwrap();
    let host = "told.example.com";
    let port = beginnings().await;
    apply(&node, &[entry(host, port, &json!({})), route(host)]);
    assert_eq!(answered(&node, host, 200).await, "");
    let begins = |version: &str, with: String| {
        apply(
            &node,
            &[rule(host, &json!({"proxyProtocol": {"version": version}}))],
        );
        let node = &node;
        async move {
            let told = || async {
                let (_, text) = ask(node, host, "/x").await?;
                ensure!(text.starts_with(&with), "{text}");
                Ok(Some(()))
            };
            until("the header stands before the request", SOON, told)
                .await
                .unwrap();
        }
    };
    let line: String = b"PROXY TCP4 127.0.0.1 127.0.0.1 "
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    begins("V1", line).await;
    let binary = "0d0a0d0a000d0a515549540a2111000c7f0000017f000001";
    begins("V2", binary.to_owned()).await;
}

/// A forward proxy over HTTP/1.1 that leads every tunnel back to its client, CONNECT or POST, and refuses those to `refused`; what it
/// was asked for.
async fn forward_proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let noted = Arc::clone(&noted);
            let service = service_fn(move |request: Request<Incoming>| {
                let host = request.headers()["host"].to_str().unwrap();
                noted.lock().unwrap().push(format!(
                    "{} {} {host}",
                    request.method(),
                    request.uri()
                ));
                std::future::ready(Ok::<_, Infallible>(led_back(request)))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    (port, asked)
}

fn led_back(mut request: Request<Incoming>) -> Response<Either<Incoming, Empty<Bytes>>> {
    if request.headers()["host"]
        .to_str()
        .unwrap()
        .starts_with("refused")
    {
        let mut response = Response::new(Either::Right(Empty::new()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        return response;
    }
    if request.method() == Method::POST {
        return Response::new(Either::Left(request.into_body()));
    }
    let stream = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(stream.await.unwrap()));
        let _gone = tokio::io::copy(&mut read, &mut write).await;
        let _gone = write.shutdown().await;
    });
    Response::new(Either::Right(Empty::new()))
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_connections_go_through_a_forward_proxy() {
    let (node, (port, asked)) = (Node::start().unwrap(), forward_proxy().await);
    let host = "proxy.example.com";
    let ports =
        json!({"ports": [{"number": 3128, "name": "tcp", "protocol": "TCP", "targetPort": port}]});
    let group = "networking.istio.io/v1";
    let edge = json!({"apiVersion": group, "kind": "Gateway", "metadata": {"name": "edge"}, "spec": {
        "servers": [{"port": {"number": 9200, "name": "t", "protocol": "TCP"}, "hosts": ["*"]}]}});
    let through = json!({"apiVersion": group, "kind": "VirtualService", "metadata": {"name": "edge"}, "spec": {"hosts": ["*"], "gateways": ["edge"],
        "tcp": [{"match": [{"port": 9200}], "route": [{"destination": {"host": host, "port": {"number": 3128}}}]}]}});
    let tunnel = |protocol: &str, target: &str| {
        let tunnel = json!({"protocol": protocol, "targetHost": target, "targetPort": 7000});
        rule(host, &json!({"tunnel": tunnel}))
    };
    apply(
        &node,
        &[
            entry(host, port, &ports),
            edge,
            through,
            tunnel("CONNECT", "Db.example.org"),
        ],
    );
    let address = node.listener(9200).await.unwrap();
    let carried = || async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        let mut said = String::new();
        let reading = stream.read_to_string(&mut said);
        tokio::time::timeout(SOON, reading).await??;
        ensure!(said == "hello", "{said:?}");
        Ok(Some(()))
    };
    until("by CONNECT", SOON, carried).await.unwrap();
    assert!(
        asked
            .lock()
            .unwrap()
            .contains(&"CONNECT db.example.org:7000 db.example.org:7000".to_owned())
    );
    apply(&node, &[tunnel("POST", "2001:db8::1")]);
    let posted = || async {
        carried().await?;
        let asked = asked.lock().unwrap();
        Ok(asked
            .contains(&"POST / [2001:db8::1]:7000".to_owned())
            .then_some(()))
    };
    until("by POST", SOON, posted).await.unwrap();
    apply(&node, &[tunnel("CONNECT", "refused.example.org")]);
    let told = |line: &str| {
        line.contains("opens no tunnel to refused.example.org:7000: it answered 403 Forbidden")
    };
    let refused = || async {
        let went = carried().await;
        ensure!(went.is_err(), "it went through");
        Ok(node.log().lines().any(told).then_some(()))
    };
    until("a refusal is told", SOON, refused).await.unwrap();
}
