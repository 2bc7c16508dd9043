//! Listeners that gateways ask for: they open, change and close under load, end TLS with people's own certificates, and a fault in
//! one harms nothing else.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::ensure;
use osier_identity::Authority;
use osier_tests::artifacts::component;
use osier_tests::load::Plan;
use osier_tests::tls::{Client, certificate, secret};
use osier_tests::{Node, Options, http, objects, until};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ECHO: &str = include_str!("manifests/echo.yaml");
const SOON: Duration = Duration::from_secs(20);
const GATEWAY: &str = "/apis/networking.istio.io/v1/namespaces/default/gateways/edge";

async fn echo(options: &Options) -> Node {
    let node = Node::start_with(options).unwrap();
    node.import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    node.apply_text(ECHO).unwrap();
    objects::ready(&node, "app=echo", 1).await.unwrap();
    node
}

/// A Gateway `edge` with these servers, and a route from all its hosts to `echo`.
fn edge(servers: &Value) -> String {
    let gateway = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "edge"}, "spec": {"servers": servers}});
    let routes = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "edge"}, "spec": {"hosts": ["*"], "gateways": ["edge"],
            "http": [{"route": [{"destination": {"host": "echo"}}]}]}});
    format!("{gateway}\n---\n{routes}\n")
}

fn plain(port: u16) -> Value {
    json!({"port": {"number": port, "name": format!("p{port}"), "protocol": "HTTP"}, "hosts": ["*"]})
}

fn secure(name: &str, host: &str, tls: Value) -> Value {
    json!({"port": {"number": 8443, "name": name, "protocol": "HTTPS"}, "hosts": [host], "tls": tls})
}

async fn answers(address: &str) {
    let answers = || async { Ok((http::get(address, "/").await?.status == 200).then_some(())) };
    until("the listener routes", SOON, answers).await.unwrap();
}

async fn accepted(node: &Node, status: &str) -> Value {
    let gateway = || async {
        let gateway = objects::get(node, GATEWAY).await?;
        let found = objects::condition(&gateway, "Accepted");
        ensure!(found == Some(status), "Accepted is {found:?}: {gateway}");
        Ok(Some(gateway))
    };
    let what = format!("the Gateway's condition is {status}");
    until(&what, SOON, gateway).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_open_change_and_close_while_requests_flow() {
    let node = echo(&Options::default()).await;
    node.apply_text(&edge(&json!([plain(9001)]))).unwrap();
    let first = node.listener(9001).await.unwrap();
    answers(&first).await;
    assert_eq!(
        http::get(&first, "/").await.unwrap().status,
        200,
        "its own routes"
    );
    let load = Plan::get(&first, "/", 8).start();
    node.apply_text(&edge(&json!([plain(9001), plain(9002)])))
        .unwrap();
    let second = node.listener(9002).await.unwrap();
    answers(&second).await;
    let entry = json!({"port": 9002, "address": second});
    let said = || async {
        let gateway = accepted(&node, "True").await;
        let listeners = gateway["status"]["listeners"].as_array();
        Ok(listeners
            .is_some_and(|said| said.contains(&entry))
            .then_some(()))
    };
    until("the status names the port", SOON, said)
        .await
        .unwrap();
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
    // A request that is under way when its port closes gets its answer.
    let address = second.clone();
    let slow = tokio::spawn(async move { http::get(&address, "/slow?ms=1500").await });
    let arrived = || async {
        let log = objects::log(&node, "app=echo").await?;
        Ok(log.contains("/slow").then_some(()))
    };
    until("the slow request is in the pod", SOON, arrived)
        .await
        .unwrap();
    let load = Plan::get(&first, "/", 8).start();
    node.apply_text(&edge(&json!([plain(9001)]))).unwrap();
    let closed = || async { Ok(TcpStream::connect(&second).await.is_err().then_some(())) };
    until("the port is closed", SOON, closed).await.unwrap();
    assert_eq!(slow.await.unwrap().unwrap().status, 200);
    let outcome = load.finish().await;
    assert_eq!(outcome.unexpected(&[200]), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_ends_by_server_name_and_certificates_reload() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let client = Client::trusting(&authority);
    let [one, two, newer] = ["a.example.com", "x.b.example.com", "a.example.com"]
        .map(|name| certificate(&authority, name).unwrap());
    let node = echo(&Options::default()).await;
    let pair = |name: &str, pair: &osier_identity::Credential| {
        let (chain, key) = (&*pair.certificate_pem, &*pair.key_pem);
        secret(name, &[("tls.crt", chain), ("tls.key", key)])
    };
    node.apply_text(&pair("one", &one)).unwrap();
    node.apply_text(&pair("two", &two)).unwrap();
    let simple = |secret: &str| json!({"mode": "SIMPLE", "credentialName": secret});
    node.apply_text(&edge(&json!([
        secure("one", "a.example.com", simple("one")),
        secure("two", "*.b.example.com", simple("two")),
    ])))
    .unwrap();
    let address = node.listener(8443).await.unwrap();
    let get = |url: &'static str| client.get(&address, url);
    // The port may open before its routes are there.
    let (answer, first) = until("TLS", SOON, || async {
        let got = get("https://a.example.com/x").await?;
        Ok((got.0.status == 200).then_some(got))
    })
    .await
    .unwrap();
    assert_eq!(answer.status, 200);
    let told = answer.json().unwrap();
    assert_eq!(told["headers"]["x-forwarded-proto"], "https");
    assert_eq!(get("https://x.b.example.com/").await.unwrap().0.status, 200);
    let other = client.get_through(
        &address,
        "a.example.com",
        "https://x.b.example.com/".parse().unwrap(),
    );
    assert_eq!(other.await.unwrap().0.status, 421, "misdirected");
    let unknown = client.handshake(TcpStream::connect(&address).await.unwrap(), "c.example.com");
    assert!(unknown.await.is_err(), "nobody takes this server name");
    node.apply_text(&pair("one", &newer)).unwrap();
    let reloaded = || async {
        let (answer, shown) = get("https://a.example.com/").await?;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok((shown != first).then_some(shown))
    };
    let good = until("the new certificate is shown", SOON, reloaded)
        .await
        .unwrap();
    let garbage = secret("one", &[("tls.crt", "nonsense"), ("tls.key", "nonsense")]);
    node.apply_text(&garbage).unwrap();
    let gateway = accepted(&node, "False").await;
    assert!(gateway.to_string().contains("default/one"), "{gateway}");
    let (answer, shown) = get("https://a.example.com/").await.unwrap();
    assert_eq!((answer.status.as_u16(), shown), (200, good));
    node.apply_text(&pair("one", &one)).unwrap();
    accepted(&node, "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_prove_who_they_are_where_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let anonymous = Client::trusting(&authority);
    let proven = Client {
        credential: Some(certificate(&authority, "caller.example.com").unwrap()),
        ..anonymous.clone()
    };
    let stranger = Authority::open(&folder.path().join("other")).unwrap();
    let stranger = Client {
        credential: Some(certificate(&stranger, "caller.example.com").unwrap()),
        ..anonymous.clone()
    };
    let server = certificate(&authority, "m.example.com").unwrap();
    let node = echo(&Options::default()).await;
    node.apply_text(&secret(
        "m",
        &[
            ("cert", &*server.certificate_pem),
            ("key", &*server.key_pem),
            ("cacert", authority.certificate_pem()),
        ],
    ))
    .unwrap();
    let mutual = json!({"mode": "MUTUAL", "credentialName": "m", "minProtocolVersion": "TLSV1_3"});
    let mut redirect = plain(9001);
    redirect["tls"] = json!({"httpsRedirect": true});
    let servers = json!([secure("m", "m.example.com", mutual), redirect]);
    node.apply_text(&edge(&servers)).unwrap();
    let address = node.listener(8443).await.unwrap();
    let url = "https://m.example.com/";
    let ask = || async {
        let answered = proven.get(&address, url).await?;
        // The port opens before the route is there.
        Ok(Some(answered).filter(|(answer, _)| answer.status == 200))
    };
    let (answer, _) = until("a proven client is served", SOON, ask).await.unwrap();
    let told = answer.json().unwrap();
    let described = told["headers"]["x-forwarded-client-cert"].as_str().unwrap();
    assert!(
        described.starts_with("Hash=") && described.contains("DNS=caller.example.com"),
        "{described}"
    );
    assert!(anonymous.get(&address, url).await.is_err());
    assert!(stranger.get(&address, url).await.is_err());
    let plain = node.listener(9001).await.unwrap();
    let sent = http::get_with(&plain, "/x?y", &[("host", "m.example.com")]).await;
    let sent = sent.unwrap();
    assert_eq!(sent.status, 301);
    assert_eq!(sent.headers["location"], "https://m.example.com:8443/x?y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_and_opened_when_it_is_free() {
    // An address of this test's own, so that its ports are nobody else's.
    let ip = format!("127.0.{}.9", std::process::id() % 200 + 20);
    let taken = std::net::TcpListener::bind(format!("{ip}:0")).unwrap();
    let main = std::net::TcpListener::bind(format!("{ip}:0")).unwrap();
    let (port, main_address) = (
        taken.local_addr().unwrap().port(),
        main.local_addr().unwrap().to_string(),
    );
    drop(main);
    let args = vec!["--gateway-listen".to_owned(), main_address.clone()];
    let node = echo(&Options {
        args,
        ..Options::default()
    })
    .await;
    node.apply_text(&edge(&json!([plain(port), plain(8080)])))
        .unwrap();
    let gateway = accepted(&node, "False").await;
    let said = gateway["status"].to_string();
    assert!(
        said.contains("spec.servers[0].port") && said.contains("choose another port"),
        "{said}"
    );
    answers(&main_address).await;
    drop(taken);
    let address = node.listener(port).await.unwrap();
    assert_eq!(address, format!("{ip}:{port}"));
    answers(&address).await;
    accepted(&node, "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_in_front_names_the_client() {
    let node = echo(&Options::default()).await;
    let mut manifest: Vec<String> = edge(&json!([plain(9001)]))
        .split("---")
        .map(str::to_owned)
        .collect();
    let mut gateway: Value = serde_json::from_str(&manifest[0]).unwrap();
    gateway["metadata"]["annotations"] = json!({"osier.dev/proxy-protocol": "true"});
    manifest[0] = format!("{gateway}\n");
    node.apply_text(&manifest.join("---")).unwrap();
    let address = node.listener(9001).await.unwrap();
    let ask = |header: &'static [u8]| {
        let address = address.clone();
        async move {
            let mut stream = TcpStream::connect(&address).await?;
            stream.write_all(header).await?;
            let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        }
    };
    let one = b"PROXY TCP4 192.0.2.77 127.0.0.1 1234 80\r\n";
    let two = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\x00\x02\x4d\x7f\0\0\x01\x04\xd2\0\x50";
    for header in [&one[..], two] {
        let named = || async {
            let answer = ask(header).await?;
            let fits = answer.starts_with("HTTP/1.1 200")
                && answer.contains(r#""x-forwarded-for":"192.0.2.77""#);
            ensure!(fits, "{answer}");
            Ok(Some(()))
        };
        until("the client is named", SOON, named).await.unwrap();
    }
    let without = ask(b"").await;
    assert!(
        without.as_ref().map_or(true, String::is_empty),
        "a connection without a header is closed: {without:?}"
    );
}

/// A Service `outside` on port 80 whose one endpoint is a server of the test's own, plain bytes or TLS.
fn outside(port: u16) -> String {
    let meta = json!({"name": "outside"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"ports": [{"name": "tcp", "port": 80}]}});
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta,
        "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "tcp", "port": port}]}]});
    format!("{service}\n---\n{endpoints}\n")
}

/// Answers each line with `NAME:LINE`, and closes when its client does.
async fn lines(name: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_lines(name, stream));
        }
    });
    port
}

async fn answer_lines<S: tokio::io::AsyncRead + tokio::io::AsyncWrite>(name: &str, stream: S) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = tokio::io::BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = format!("{name}:{line}\n");
        if write.write_all(answer.as_bytes()).await.is_err() || write.flush().await.is_err() {
            return;
        }
    }
    let _closed = write.shutdown().await;
}

fn streams(servers: &Value, rules: &Value) -> String {
    let gateway = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "edge"}, "spec": {"servers": servers}});
    let mut routes = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "edge"}, "spec": {"hosts": ["*"], "gateways": ["edge"]}});
    for (key, value) in rules.as_object().unwrap() {
        routes["spec"][key] = value.clone();
    }
    format!("{gateway}\n---\n{routes}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_connections_reach_hosts_outside_and_are_counted() {
    let node = Node::start().unwrap();
    node.apply_text(&outside(lines("tcp").await)).unwrap();
    let server = json!({"port": {"number": 9100, "name": "t", "protocol": "TCP"}, "hosts": ["*"]});
    let route = json!([{"destination": {"host": "outside", "port": {"number": 80}}}]);
    let rules = json!({"tcp": [{"match": [{"port": 9100}], "route": route}]});
    node.apply_text(&streams(&json!([server]), &rules)).unwrap();
    let address = node.listener(9100).await.unwrap();
    let ask = || async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"one\ntwo\n").await?;
        // Half of the connection is closed: the other half still brings the answers.
        stream.shutdown().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer == "tcp:one\ntcp:two\n", "{answer:?}");
        Ok(Some(()))
    };
    until("the stream is carried", SOON, ask).await.unwrap();
    let admin = node.address("admin").unwrap();
    let counted = || async {
        let metrics = http::get(&admin, "/metrics").await?.text();
        let has = |name: &str, value: &str| {
            let mut lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.any(|line| line.contains("outside.default") && line.ends_with(value))
        };
        let all = has("istio_tcp_connections_closed_total", " 1")
            && has("istio_tcp_received_bytes_total", " 8")
            && has("istio_tcp_sent_bytes_total", " 16");
        Ok(all.then_some(()))
    };
    until("bytes are counted", SOON, counted).await.unwrap();
    let told = |line: &str| {
        let tcp = line.contains("protocol=\"tcp\"") && line.contains("default/edge/tcp[0]");
        tcp && line.contains("bytes_in=8") && line.contains("bytes_out=16")
    };
    let logged = || async { Ok(node.log().lines().any(told).then_some(())) };
    until("a line is logged", SOON, logged).await.unwrap();
    // A connection that does nothing does not keep the node from stopping.
    let mut node = node;
    let mut held = TcpStream::connect(&address).await.unwrap();
    held.write_all(b"x\n").await.unwrap();
    let mut byte = [0; 6];
    held.read_exact(&mut byte).await.unwrap();
    assert_eq!(
        node.terminate().unwrap().code(),
        Some(0),
        "{}",
        node.log_tail(20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_connections_pass_by_server_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let credential = certificate(&authority, "pass.example.com").unwrap();
    let config = osier_identity::server_config(authority.certificate_pem(), &credential).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = tokio_rustls::TlsAcceptor::from(config.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_lines("tls", stream).await;
                }
            });
        }
    });
    let node = Node::start().unwrap();
    node.apply_text(&outside(port)).unwrap();
    let server = json!({"port": {"number": 8443, "name": "t", "protocol": "TLS"},
        "hosts": ["*.example.com"], "tls": {"mode": "PASSTHROUGH"}});
    let route = json!([{"destination": {"host": "outside", "port": {"number": 80}}}]);
    let rules = json!({"tls": [{"match": [{"sniHosts": ["pass.example.com"]}], "route": route}]});
    node.apply_text(&streams(&json!([server]), &rules)).unwrap();
    let address = node.listener(8443).await.unwrap();
    let client = Client::trusting(&authority);
    let ask = || async {
        let stream = TcpStream::connect(&address).await?;
        // The handshake is with the server outside: its certificate is verified here.
        let mut stream = client.handshake(stream, "pass.example.com").await?;
        stream.write_all(b"secret\n").await?;
        let mut answer = [0; 11];
        stream.read_exact(&mut answer).await?;
        ensure!(&answer == b"tls:secret\n", "{answer:?}");
        Ok(Some(()))
    };
    until("the connection passes", SOON, ask).await.unwrap();
    let stream = TcpStream::connect(&address).await.unwrap();
    let other = client.handshake(stream, "other.example.com").await;
    assert!(other.is_err(), "no route takes this server name");
}
