//! Clients and servers of other makers at both ends: grpcio with all four kinds of calls, Python's websockets, and h2load. What is not on
//! this machine is not asked, and that is said.

use crate::SOON;
use osier_tests::{Node, debian, until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

fn script() -> PathBuf {
    osier_tests::artifacts::workspace().join("tests/suites/conformance/clients.py")
}

/// The servers, which end with the test.
struct Servers {
    child: Child,
    ports: Value,
}

impl Servers {
    /// None without Python's grpcio and websockets.
    fn start() -> Option<Self> {
        let has = Command::new("python3")
            .args(["-c", "import grpc, websockets.sync.server"])
            .stderr(Stdio::null())
            .status();
        if !has.is_ok_and(|status| status.success()) {
            println!("no grpcio and websockets here (`pip install grpcio websockets`): not asked");
            return None;
        }
        let mut child = Command::new("python3")
            .arg(script())
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ports = serde_json::from_str(&line).unwrap();
        Some(Self { child, ports })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _buried = self.child.wait();
    }
}

/// What a client says of a host.
fn client(kind: &str, address: &str, host: &str) -> anyhow::Result<Value> {
    let output = Command::new("python3")
        .arg(script())
        .args([kind, address, host])
        .output()?;
    let fault = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{fault}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn objects(ports: &Value) -> String {
    let group = "networking.istio.io/v1";
    let object = |kind: &str, name: &str, spec: Value| {
        json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec})
            .to_string()
    };
    let mut all = vec![object(
        "Gateway",
        "web",
        json!({"servers": [
        {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}),
    )];
    for (name, protocol) in [("grpc", "GRPC"), ("websocket", "HTTP")] {
        let host = format!("{name}.example.com");
        let entry = json!({"hosts": [host], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1", "ports": {"p": ports[name]}}],
            "ports": [{"number": 80, "name": "p", "protocol": protocol}]});
        all.push(object("ServiceEntry", name, entry));
        let routes = json!({"hosts": [host], "gateways": ["web"], "http": [{"route": [{"destination": {"host": host}}]}]});
        all.push(object("VirtualService", name, routes));
    }
    all.join("\n---\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn other_makers_clients_and_servers_understand_each_other_through_a_gateway() {
    let Some(servers) = Servers::start() else {
        return;
    };
    let node = Node::start().unwrap();
    node.apply_text(&objects(&servers.ports)).unwrap();
    let gateway = node.address("gateway").unwrap();
    let calls = || async { client("grpc", &gateway, "grpc.example.com").map(Some) };
    let said = until("calls of all four kinds", SOON, calls).await.unwrap();
    assert_eq!(
        said,
        json!({"unary": ["HELLO", "unary"], "many": ["n0", "n1", "n2"], "collected": "a+b+c", "both": ["eno", "owt", "eerht"],
            "late": "DEADLINE_EXCEEDED", "wrong": "DATA_LOSS", "nobody": "UNIMPLEMENTED", "big": 3 << 20})
    );
    let messages = || async { client("websocket", &gateway, "websocket.example.com").map(Some) };
    let said = until("messages of a WebSocket", SOON, messages)
        .await
        .unwrap();
    assert_eq!(
        said,
        json!({"text": "hello", "binary": 200_000, "ping": true, "closed": 1000})
    );
    load(&gateway);
}

/// 400 requests by h2load on connections that carry ten at a time: all of them are answered.
fn load(gateway: &str) {
    let Some(h2load) = ["/usr/bin/h2load".into()]
        .into_iter()
        .chain(debian::program("nghttp2-client", "usr/bin/h2load"))
        .find(|program| {
            Command::new(program)
                .arg("--version")
                .output()
                .is_ok_and(|said| said.status.success())
        })
    else {
        println!("no h2load here (`apt-get install nghttp2-client`): not asked");
        return;
    };
    let output = Command::new(h2load)
        .args([
            "-n",
            "400",
            "-c",
            "4",
            "-m",
            "10",
            &format!("--connect-to={gateway}"),
        ])
        .arg("http://nobody.example.com/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // No route has this host: every one of them gets 404, on connections that stand.
    assert!(
        said.contains("0 errored, 0 timeout") && said.contains("400 4xx"),
        "{said}"
    );
}
