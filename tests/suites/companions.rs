//! Workloads that are no pods, as members of the mesh: a real nginx and a Python server beside `osier proxy`, called and calling.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use anyhow::{Context, Result, ensure};
use osier_tests::artifacts::component;
use osier_tests::namespace::{Namespace, run};
use osier_tests::{Node, Options, debian, http, objects, until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const ECHO: &str = include_str!("manifests/echo.yaml");
const SOON: Duration = Duration::from_secs(30);
/// Answers each line with `tcp:LINE`, and speaks first.
const LINES: &str = r#"
import socketserver, sys
class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"hello\n")
        for line in self.rfile:
            self.wfile.write(b"tcp:" + line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server((sys.argv[1], 9000), Lines).serve_forever()
"#;

/// An address of this machine that no other test listens on.
fn loopback() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = u16::try_from(std::process::id() % 65_536)
        .unwrap()
        .to_be_bytes();
    let last = NEXT.fetch_add(1, Ordering::SeqCst);
    format!("127.{}.{low}.{last}", 64 + high % 128)
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _buried = self.0.wait();
    }
}

/// nginx on port 8080 of an address, run by this command line before its own.
fn nginx(folder: &Path, address: &str, before: &[String]) -> Process {
    let program = debian::program("nginx", "usr/sbin/nginx").unwrap();
    let config = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log stderr;
events {{}}
http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
server {{ listen {address}:8080; location / {{ return 200 \"nginx $request_method $uri\\n\"; }} }} }}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut words = before
        .iter()
        .map(Into::into)
        .chain([program.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(folder);
    Process(command.stderr(Stdio::null()).spawn().unwrap())
}

fn python(address: &str, before: &[String]) -> Process {
    let mut words = before.iter().map(String::as_str).chain(["python3"]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["-c", LINES, address]);
    Process(command.spawn().unwrap())
}

/// WorkloadEntries of these names and addresses, and the ServiceEntry `legacy.internal` that the first stands behind.
fn workloads(entries: &[(&str, &str)]) -> String {
    let group = "networking.istio.io/v1";
    let service = json!({"apiVersion": group, "kind": "ServiceEntry", "metadata": {"name": "legacy"}, "spec": {
        "hosts": ["legacy.internal"], "location": "MESH_INTERNAL", "resolution": "STATIC",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}, {"number": 9000, "name": "tcp", "protocol": "TCP"}],
        "workloadSelector": {"labels": {"app": entries[0].0}}}});
    let entry = |(name, address): &(&str, &str)| {
        json!({"apiVersion": group, "kind": "WorkloadEntry", "metadata": {"name": name}, "spec": {
            "address": address, "labels": {"app": name}, "serviceAccount": name, "ports": {"http": 8080}}})
    };
    let mut all = vec![service.to_string()];
    all.extend(entries.iter().map(|one| entry(one).to_string()));
    all.join("\n---\n")
}

/// Gateways to the workload: HTTP by host, and raw connections on port 9100.
fn gateways() -> String {
    let group = "networking.istio.io/v1";
    let of = |name: &str, spec: Value| json!({"apiVersion": group, "kind": "VirtualService", "metadata": {"name": name}, "spec": spec});
    let all = [
        of(
            "legacy",
            json!({"hosts": ["legacy.internal"], "gateways": ["web"],
            "http": [{"route": [{"destination": {"host": "legacy.internal", "port": {"number": 80}}}]}]}),
        ),
        json!({"apiVersion": group, "kind": "Gateway", "metadata": {"name": "edge"}, "spec": {
            "servers": [{"port": {"number": 9100, "name": "t", "protocol": "TCP"}, "hosts": ["*"]}]}}),
        of(
            "edge",
            json!({"hosts": ["*"], "gateways": ["edge"],
            "tcp": [{"match": [{"port": 9100}], "route": [{"destination": {"host": "legacy.internal", "port": {"number": 9000}}}]}]}),
        ),
    ];
    all.map(|object| object.to_string()).join("\n---\n")
}

/// A node with `echo`, and the workload `vm` with its servers and its companion.
struct Stage {
    control: Node,
    companion: Node,
    address: String,
    _servers: [Process; 2],
    _folder: TempDir,
}

impl Stage {
    async fn set(more: &[(&str, &str)]) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), loopback());
        let servers = [nginx(folder.path(), &address, &[]), python(&address, &[])];
        let control = Node::start().unwrap();
        let image = component("tests/echo").unwrap();
        control.import("echo:1.0", &image).unwrap();
        control.apply_text(ECHO).unwrap();
        let mut entries = vec![("vm", address.as_str())];
        entries.extend_from_slice(more);
        control.apply_text(&workloads(&entries)).unwrap();
        control.apply_text(&gateways()).unwrap();
        objects::ready(&control, "app=echo", 1).await.unwrap();
        let args = ["--workload-address", &address]
            .map(ToOwned::to_owned)
            .to_vec();
        let options = Options {
            args,
            ..Options::default()
        };
        let companion = control.companion("default/vm", options).unwrap();
        Self {
            control,
            companion,
            address,
            _servers: servers,
            _folder: folder,
        }
    }

    async fn through_gateway(&self, status: u16) -> String {
        let gateway = self.control.address("gateway").unwrap();
        let ask = || async {
            let answer = http::get_with(&gateway, "/a", &[("host", "legacy.internal")]).await?;
            ensure!(
                answer.status == status,
                "{}: {}",
                answer.status,
                answer.text()
            );
            Ok(Some(answer.text()))
        };
        until(&format!("the workload answers {status}"), SOON, ask)
            .await
            .unwrap()
    }
}

/// What curl prints with these words, and the status after it.
fn curl(words: &[&str]) -> Result<(String, u16)> {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--max-time",
        "20",
        "--write-out",
        "\n%{http_code}",
    ]);
    let output = command.args(words).output().context("start curl")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').context(text.clone())?;
    Ok((body.to_owned(), status.parse()?))
}

async fn called(words: &[&str], status: u16) -> String {
    let ask = || async {
        let (body, found) = curl(words)?;
        ensure!(found == status, "{found}: {body}");
        Ok(Some(body))
    };
    until(&format!("curl {words:?} sees {status}"), SOON, ask)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_called_by_the_mesh_as_a_pod_is() {
    let mut stage = Stage::set(&[]).await;
    assert_eq!(stage.through_gateway(200).await, "nginx GET /a\n");
    let arrived =
        |line: &str| line.contains("osier::access") && line.contains("destination=\"vm\"");
    let logged = || async { Ok(stage.companion.log().lines().any(arrived).then_some(())) };
    until("the call came by the companion", SOON, logged)
        .await
        .unwrap();
    // Its policies are asked where it is: the companion refuses, not the gateway's node.
    let plugin = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
        "spec": {"image": "builtin://denier", "config": {"status": 451}}});
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "deny"},
        "spec": {"direction": "Inbound", "match": "destination.workload.name == \"vm\"",
            "actions": [{"plugin": "denier", "template": "checknothing"}]}});
    stage
        .control
        .apply_text(&format!("{plugin}\n---\n{policy}\n"))
        .unwrap();
    stage.through_gateway(451).await;
    let address = stage.control.listener(9100).await.unwrap();
    let refused = || async { Ok(lines(&address).await.is_err().then_some(())) };
    until("connections are refused too", SOON, refused)
        .await
        .unwrap();
    let kubectl = osier_tests::kubectl::installed().unwrap();
    let words = ["delete", "policies.policy.osier.dev", "deny"];
    kubectl
        .ok(&stage.control.kubeconfig(), &words, None)
        .unwrap();
    stage.through_gateway(200).await;
    // When the companion leaves, nobody goes past it in plain text.
    assert_eq!(
        stage.companion.terminate().unwrap().code(),
        Some(0),
        "{}",
        stage.companion.log_tail(20)
    );
    stage.through_gateway(503).await;
    stage
        .companion
        .restart_with(&Options {
            args: vec![
                "--workload".into(),
                "default/vm".into(),
                "--join".into(),
                server(&stage.control),
                "--workload-address".into(),
                stage.address.clone(),
            ],
            accompanies: true,
            ..Options::default()
        })
        .unwrap();
    stage.through_gateway(200).await;
}

/// The URL of a node's API.
fn server(node: &Node) -> String {
    format!("https://{}", node.address("api").unwrap())
}

/// What the line server says through a gateway's port.
async fn lines(address: &str) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    talk(stream).await
}

async fn talk(mut stream: TcpStream) -> Result<()> {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    tokio::time::timeout(SOON, read.read_line(&mut line)).await??;
    ensure!(line == "hello\n", "{line:?}");
    write.write_all(b"one\ntwo\n").await?;
    write.shutdown().await?;
    let mut rest = String::new();
    tokio::time::timeout(SOON, read.read_to_string(&mut rest)).await??;
    ensure!(rest == "tcp:one\ntcp:two\n", "{rest:?}");
    Ok(())
}

/// A connection by SOCKS5 to a name's port.
async fn socks(proxy: &str, host: &str, port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy).await?;
    stream.write_all(&[5, 1, 0]).await?;
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await?;
    let mut wish = vec![5, 1, 0, 3, u8::try_from(host.len())?];
    wish.extend(host.bytes().chain(port.to_be_bytes()));
    stream.write_all(&wish).await?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[1] == 0, "refused with {}", answer[1]);
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_connections_pass_between_nodes_in_tunnels() {
    let second = loopback();
    let stage = Stage::set(&[("other", &second)]).await;
    let address = stage.control.listener(9100).await.unwrap();
    let carried = || async { lines(&address).await.map(Some) };
    until("a gateway reaches the workload", SOON, carried)
        .await
        .unwrap();
    // Another workload's companion, which speaks SOCKS5 to its process.
    let other = stage
        .control
        .companion("default/other", Options::default())
        .unwrap();
    let outbound = other.address("outbound").unwrap();
    let through = || async {
        let stream = socks(&outbound, "legacy.internal", 9000).await?;
        talk(stream).await.map(Some)
    };
    until("a workload reaches another", SOON, through)
        .await
        .unwrap();
    let told = |line: &str| {
        line.contains("protocol=\"tcp\"")
            && line.contains("source=\"other\"")
            && line.contains("route=\"inbound\"")
    };
    let logged = || async { Ok(stage.companion.log().lines().any(told).then_some(())) };
    until("the tunnel is in the log", SOON, logged)
        .await
        .unwrap();
    let admin = stage.companion.address("admin").unwrap();
    let metrics = http::get(&admin, "/metrics").await.unwrap().text();
    assert!(
        metrics.contains("istio_tcp_connections_opened_total{reporter=\"destination\""),
        "{metrics}"
    );
    // A VirtualService between workloads leads elsewhere.
    let rule = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "alias"}, "spec": {
        "hosts": ["alias.internal"], "tcp": [{"match": [{"port": 7000, "sourceLabels": {"app": "other"}}],
            "route": [{"destination": {"host": "legacy.internal", "port": {"number": 9000}}}]}]}});
    stage.control.apply_text(&rule.to_string()).unwrap();
    let routed = || async {
        let stream = socks(&outbound, "alias.internal", 7000).await?;
        talk(stream).await.map(Some)
    };
    until("a tcp rule between workloads holds", SOON, routed)
        .await
        .unwrap();
    let strange = socks(&outbound, "nowhere.example.com", 9000).await;
    assert!(strange.unwrap_err().to_string().contains("refused with 2"));
    // A pod takes requests: a raw connection to it must be HTTP.
    let mut stream = socks(&outbound, "echo.default", 80).await.unwrap();
    stream
        .write_all(b"GET /raw HTTP/1.1\r\nhost: echo.default\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("/raw"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_calls_the_mesh_by_an_explicit_proxy() {
    let stage = Stage::set(&[]).await;
    let outbound = stage.companion.address("outbound").unwrap();
    let (proxy, socks) = (
        format!("http://{outbound}"),
        format!("socks5h://{outbound}"),
    );
    let ways: [&[&str]; 4] = [
        &["--proxy", &proxy, "http://echo/x"],
        &[
            "--proxy",
            &proxy,
            "http://echo.default.svc.cluster.local:80/x",
        ],
        &["--proxy", &proxy, "--proxytunnel", "http://echo/x"],
        &["--proxy", &socks, "http://echo.default/x"],
    ];
    for way in ways {
        let body = called(way, 200).await;
        let seen: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(seen["path"], "/x", "{way:?}: {body}");
    }
    let (body, status) = curl(&["--proxy", &proxy, "http://nowhere.example.com/"]).unwrap();
    assert!(
        status >= 400 && body.contains("nowhere.example.com"),
        "{status}: {body}"
    );
    let tunnel = [
        "--proxy",
        &proxy,
        "--proxytunnel",
        "http://nowhere.example.com/",
    ];
    assert_eq!(
        curl(&tunnel).unwrap().1,
        0,
        "CONNECT to a host that is not granted"
    );
    // It calls as itself.
    let plugin = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "denier"},
        "spec": {"image": "builtin://denier", "config": {"status": 403}}});
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "deny"}, "spec": {
        "targetRefs": [{"kind": "Service", "name": "echo"}], "direction": "Inbound",
        "match": "source.principal.orValue(\"\") == \"cluster.local/ns/default/sa/vm\"",
        "actions": [{"plugin": "denier", "template": "checknothing"}]}});
    stage
        .control
        .apply_text(&format!("{plugin}\n---\n{policy}\n"))
        .unwrap();
    called(ways[0], 403).await;
    let gateway = stage.control.address("gateway").unwrap();
    assert_eq!(
        http::get(&gateway, "/").await.unwrap().status,
        200,
        "others may"
    );
}

/// The rules that the guide gives.
const RULES: &str = include_str!("manifests/redirect.nft");

#[tokio::test(flavor = "multi_thread")]
async fn a_process_in_a_namespace_is_captured_without_knowing() {
    for program in ["ip", "nft"] {
        if Command::new(program).arg("-V").output().is_err() {
            return eprintln!(
                "skipped, for there is no {program} (apt-get install iproute2 nftables)"
            );
        }
    }
    // Namespaces are the system's to give: whoever runs the suites without the right to make one sees here why it is skipped.
    let namespace = match Namespace::make() {
        Ok(namespace) => namespace,
        Err(error) if !rustix::process::geteuid().is_root() => {
            return eprintln!("skipped, for it needs root: {error:#}");
        }
        Err(error) => panic!("a network namespace: {error:#}"),
    };
    let (folder, inside) = (tempfile::tempdir().unwrap(), namespace.inside());
    let _servers = [
        nginx(folder.path(), "127.0.0.1", &inside),
        python("127.0.0.1", &inside),
    ];
    let listen = format!("{}:0", namespace.outer);
    let args = ["--api-listen", &listen, "--mesh-listen", &listen].map(ToOwned::to_owned);
    let control = Node::start_with(&Options {
        args: args.to_vec(),
        ..Options::default()
    })
    .unwrap();
    control
        .import("echo:1.0", &component("tests/echo").unwrap())
        .unwrap();
    control.apply_text(ECHO).unwrap();
    control
        .apply_text(&workloads(&[("vm", &namespace.inner)]))
        .unwrap();
    control.apply_text(&gateways()).unwrap();
    objects::ready(&control, "app=echo", 1).await.unwrap();
    let inner = format!("{}:0", namespace.inner);
    let args = [
        "--mesh-listen",
        &inner,
        "--admin-listen",
        &inner,
        "--redirect-listen",
        "127.0.0.1:15006",
        "--dns-listen",
        "127.0.0.1:15053",
        "--dns-forward",
        "none",
    ];
    let _companion = control
        .companion(
            "default/vm",
            Options {
                wrapper: inside.clone(),
                args: args.map(ToOwned::to_owned).to_vec(),
                ..Options::default()
            },
        )
        .unwrap();
    let word = |words: &[&str]| -> Vec<String> {
        inside
            .iter()
            .cloned()
            .chain(words.iter().map(|word| (*word).to_owned()))
            .collect()
    };
    let ruled = word(&["nft", "-f", "-"]);
    let ruled: Vec<&str> = ruled.iter().map(String::as_str).collect();
    run(&ruled, RULES).unwrap();
    // A process that knows nothing of the mesh, as the user whose connections and questions are redirected.
    let ask = word(&[
        "setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "http://echo/captured",
    ]);
    let ask: Vec<&str> = ask.iter().map(String::as_str).collect();
    let answered = || async { Ok(Some(run(&ask, "")?)) };
    let body = until("a captured call", SOON, answered).await.unwrap();
    let seen: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(seen["path"], "/captured", "{body}");
    // And is called, by port.
    let gateway = control.address("gateway").unwrap();
    let called = || async {
        let answer = http::get_with(&gateway, "/in", &[("host", "legacy.internal")]).await?;
        ensure!(
            answer.text() == "nginx GET /in\n",
            "{}: {}",
            answer.status,
            answer.text()
        );
        Ok(Some(()))
    };
    until("nginx answers from its namespace", SOON, called)
        .await
        .unwrap();
    let address = control.listener(9100).await.unwrap();
    let carried = || async { lines(&address).await.map(Some) };
    until("and the Python server by a tunnel", SOON, carried)
        .await
        .unwrap();
}
