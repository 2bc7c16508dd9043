//! HTTP/1 that two readers could read differently, sent to the built binary and, where this machine has them, to nginx, HAProxy and
//! Envoy: what each answers, and what a backend sees. The answers are kept in `docs/conformance/http1.md`.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result};
use osier_tests::envoy::{self, Envoy};
use osier_tests::{Node, debian, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CORPUS: &str = include_str!("corpus/http1.txt");
const SOON: Duration = Duration::from_secs(30);
/// A connection on which nothing more comes is left open by its proxy.
const QUIET: Duration = Duration::from_millis(700);
/// Written anew with `OSIER_BLESS=1`.
const TABLE: &str = "docs/conformance/http1.md";

/// A backend that answers every request, and keeps what it read of each connection.
struct Backend {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Backend {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (
            listener.local_addr().unwrap().port(),
            Arc::<Mutex<Vec<u8>>>::default(),
        );
        let notes = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&notes)));
            }
        });
        Self { port, seen }
    }

    /// Requests that began since the last time, and whether one was for what nobody asked for.
    fn taken(&self) -> (usize, bool) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let text = String::from_utf8_lossy(&seen).into_owned();
        let lines = text
            .lines()
            .filter(|line| line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0"));
        let smuggled = text.lines().any(|line| line.starts_with("GET /smuggled"));
        (lines.count(), smuggled)
    }
}

/// Answers each head at once, whatever follows it: the worst server there could be behind a proxy.
async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<u8>>>) {
    let (mut buffer, mut pending) = ([0; 4096], Vec::new());
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        seen.lock().unwrap().extend_from_slice(&buffer[..count]);
        pending.extend_from_slice(&buffer[..count]);
        while let Some(end) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&pending[..end]).into_owned();
            pending.drain(..end + 4);
            let is_head = [" HTTP/1.1\r\n", " HTTP/1.0\r\n"]
                .iter()
                .any(|word| head.contains(word));
            if is_head
                && stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nseen")
                    .await
                    .is_err()
            {
                return;
            }
        }
    }
}

/// The rows of the corpus.
fn rows() -> Vec<(&'static str, Vec<u8>)> {
    let lines = CORPUS.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, text)| (name, bytes(text)))
        .collect()
}

/// The bytes of a Rust byte string.
fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut chars) = (Vec::new(), text.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend(c.to_string().bytes());
            continue;
        }
        match chars.next().unwrap() {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => out.extend(other.to_string().bytes()),
        }
    }
    out
}

/// The statuses that come back, and whether the connection was closed.
async fn exchange(address: &str, sent: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // The other end may close before it has read everything.
    let _refused = stream.write_all(sent).await;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    let closed = loop {
        match tokio::time::timeout(QUIET, stream.read(&mut buffer)).await {
            Err(_) => break false,
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(count)) => answer.extend_from_slice(&buffer[..count]),
        }
    };
    let text = String::from_utf8_lossy(&answer).into_owned();
    let mut said: Vec<&str> = text
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .collect();
    if said.is_empty() {
        said.push(if closed { "closed" } else { "waits" });
    }
    Ok(said.join(" "))
}

/// A proxy that was started for this test.
struct Peer {
    name: &'static str,
    address: String,
    _holds: Box<dyn std::any::Any>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _buried = self.0.wait();
    }
}

fn osier(backend: u16) -> (Node, Peer) {
    let node = Node::start().unwrap();
    let group = "networking.istio.io/v1";
    let all = [
        json!({"apiVersion": group, "kind": "ServiceEntry", "metadata": {"name": "a"}, "spec": {"hosts": ["backend.example.com"],
            "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": backend}]}}),
        json!({"apiVersion": group, "kind": "Gateway", "metadata": {"name": "web"}, "spec": {
            "servers": [{"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}}),
        json!({"apiVersion": group, "kind": "VirtualService", "metadata": {"name": "a"}, "spec": {"hosts": ["*"], "gateways": ["web"],
            "http": [{"route": [{"destination": {"host": "backend.example.com"}}], "retries": {"attempts": 0}}]}}),
    ];
    node.apply_text(&all.map(|object| object.to_string()).join("\n---\n"))
        .unwrap();
    let address = node.address("gateway").unwrap();
    let peer = Peer {
        name: "Osier",
        address,
        _holds: Box::new(()),
    };
    (node, peer)
}

/// A free address: the kernel's choice, let go again.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn run(
    program: &Path,
    args: &[&str],
    folder: tempfile::TempDir,
    name: &'static str,
    address: String,
) -> Option<Peer> {
    let child = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    Some(Peer {
        name,
        address,
        _holds: Box::new((Process(child), folder)),
    })
}

/// A program of a package, unless this machine cannot run it.
fn installed(package: &str, path: &str) -> Option<PathBuf> {
    let program = debian::program(package, path).ok()?;
    let output = Command::new(&program).arg("-v").output().ok()?;
    output.status.success().then_some(program)
}

fn nginx(backend: u16) -> Option<Peer> {
    let program = installed("nginx", "usr/sbin/nginx")?;
    let (folder, address) = (tempfile::tempdir().ok()?, free());
    let at = folder.path().display().to_string();
    let config = format!("daemon off; master_process off; pid {at}/pid; error_log stderr;
events {{}} http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
upstream b {{ server 127.0.0.1:{backend}; keepalive 4; }}
server {{ listen {address}; location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_request_buffering off; }} }} }}");
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config).ok()?;
    run(
        &program,
        &["-c", &file.to_string_lossy(), "-p", &at],
        folder,
        "nginx 1.22",
        address,
    )
}

fn haproxy(backend: u16) -> Option<Peer> {
    let program = installed("haproxy", "usr/sbin/haproxy")?;
    let (folder, address) = (tempfile::tempdir().ok()?, free());
    let config = format!(
        "defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
listen l
  bind {address}
  http-reuse always
  server b 127.0.0.1:{backend}
"
    );
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, config).ok()?;
    run(
        &program,
        &["-db", "-f", &file.to_string_lossy()],
        folder,
        "HAProxy 2.6",
        address,
    )
}

async fn envoy(backend: u16) -> Option<Peer> {
    let program = envoy::program()?;
    let envoy = Envoy::with(&program, &bootstrap(backend)).await.ok()?;
    let address = envoy.address.clone();
    Some(Peer {
        name: "Envoy 1.40",
        address,
        _holds: Box::new(envoy),
    })
}

fn bootstrap(backend: u16) -> Value {
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let any = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    json!({
        "admin": {"address": any},
        "static_resources": {
            "listeners": [{"name": "l", "address": any, "filter_chains": [{"filters": [{"name": "http", "typed_config": {
                "@type": manager, "stat_prefix": "h", "codec_type": "HTTP1",
                "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}]}]},
                "http_filters": [{"name": "router", "typed_config": {"@type": router}}]}}]}]}],
            "clusters": [{"name": "b", "type": "STATIC", "connect_timeout": "2s", "load_assignment": {"cluster_name": "b", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": backend}}}}]}]}}]
        }
    })
}

/// What a proxy made of each row.
async fn answers(peer: &Peer, backend: &Backend) -> Vec<(String, bool)> {
    let plain = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let up = || async { Ok((exchange(&peer.address, plain).await? == "200").then_some(())) };
    until(&format!("{} answers", peer.name), SOON, up)
        .await
        .unwrap();
    let mut all = Vec::new();
    for (name, sent) in rows() {
        let _before = backend.taken();
        let said = exchange(&peer.address, &sent)
            .await
            .with_context(|| name.to_owned())
            .unwrap();
        let (seen, smuggled) = backend.taken();
        let passed = match seen {
            0 => String::new(),
            count => format!(", {count} passed"),
        };
        all.push((format!("{said}{passed}"), smuggled));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_smuggles_through_osier_and_the_others_answers_are_known() {
    let backend = Backend::start().await;
    let (_node, own) = osier(backend.port);
    let ours = answers(&own, &backend).await;
    let smuggled: Vec<&str> = rows()
        .iter()
        .zip(&ours)
        .filter(|(_, (_, smuggled))| *smuggled)
        .map(|((name, _), _)| *name)
        .collect();
    assert_eq!(smuggled, Vec::<&str>::new());
    let mut columns = vec![(own.name, ours)];
    for peer in [
        nginx(backend.port),
        haproxy(backend.port),
        envoy(backend.port).await,
    ]
    .into_iter()
    .flatten()
    {
        columns.push((peer.name, answers(&peer, &backend).await));
    }
    compare(&columns);
}

/// Holds Osier to its column of the table: what was refused before anything of it passed is refused, what was answered is answered.
/// Where a body turns out to be malformed behind a head that passed, it is a matter of time which answer comes first.
fn compare(columns: &[(&str, Vec<(String, bool)>)]) {
    let path = osier_tests::artifacts::workspace().join(TABLE);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let mut seen: BTreeMap<(String, String), String> = parse(&written);
    let before = seen.clone();
    for (name, answers) in columns {
        for ((rule, _), (said, smuggled)) in rows().iter().zip(answers) {
            let mark = if *smuggled { " **smuggled**" } else { "" };
            let key = ((*rule).to_owned(), (*name).to_owned());
            seen.insert(key, format!("{said}{mark}"));
        }
    }
    if std::env::var_os("OSIER_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, table(&seen)).unwrap();
        return;
    }
    let own = |(_, name): &&(String, String)| name == "Osier";
    let differs = |key: &&(String, String)| {
        let (now, then) = (&seen[*key], before.get(*key).map_or("", String::as_str));
        let certain = !key.0.starts_with("7.1");
        certain && now.starts_with('2') != then.starts_with('2')
    };
    let keys = seen.keys().filter(own).filter(differs);
    let differ: Vec<String> = keys
        .map(|key| {
            format!(
                "{}: {:?}, in {TABLE} {:?}",
                key.0,
                seen[key],
                before.get(key)
            )
        })
        .collect();
    assert!(
        differ.is_empty(),
        "{}\nOSIER_BLESS=1 writes it anew",
        differ.join("\n")
    );
}

const NAMES: [&str; 4] = ["Osier", "nginx 1.22", "HAProxy 2.6", "Envoy 1.40"];

fn parse(text: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some((rule, answers)) = cells
            .split_first()
            .filter(|(_, answers)| answers.len() == NAMES.len())
        else {
            continue;
        };
        for (name, answer) in NAMES.iter().zip(answers) {
            found.insert(
                ((*rule).to_owned(), (*name).to_owned()),
                (*answer).to_owned(),
            );
        }
    }
    found.retain(|(rule, _), _| rows().iter().any(|(name, _)| name == rule));
    found
}

fn table(seen: &BTreeMap<(String, String), String>) -> String {
    let mut text = String::from(
        "# Malformed and ambiguous HTTP/1\n\nWhat comes of bytes that two readers could read differently, by `tests/suites/smuggling.rs` with the corpus `tests/suites/corpus/http1.txt`: the statuses that the client gets \
         (`closed`: none, and the connection ends; `waits`: none, more bytes are waited for), and how many request heads reach a backend that answers every head at once, whatever its body. **smuggled**: the backend saw the request \
         `GET /smuggled`, which stands in the body of another. Sections are of RFC 9112 unless another document is named.\n\nNothing is ever smuggled through Osier: the test fails. The others are Debian's nginx and HAProxy and Envoy of the PyPI package, \
         with nothing but a listener and this backend configured. `OSIER_BLESS=1 cargo test --test smuggling` writes the table anew.\n\n| rule | Osier | nginx 1.22 | HAProxy 2.6 | Envoy 1.40 |\n|---|---|---|---|---|\n",
    );
    for (rule, _) in rows() {
        let cells = NAMES.map(|name| {
            seen.get(&(rule.to_owned(), name.to_owned()))
                .map_or("", String::as_str)
        });
        text.push_str(&format!("| {rule} | {} |\n", cells.join(" | ")));
    }
    text
}
