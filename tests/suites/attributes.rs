//! Mixer's standard vocabulary, name by name: what each attribute says of a call by HTTP, gRPC and TCP, at its source and at its destination. What has no value
//! anywhere is said to have none in the guide.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Context, Result, ensure};
use osier_identity::Authority;
use osier_tests::artifacts::{component, workspace};
use osier_tests::kubectl::{Kubectl, installed};
use osier_tests::{Node, objects, tls, until};
use serde_json::{Map, Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const OBJECTS: &str = include_str!("manifests/attributes.yaml");
/// A token of bob, who is in group readers; valid until 2100.
const BOB: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImRlbW8ifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJib2IiLCJhdWQiOiJoZWxsbyIsImF6cCI6ImN1cmwiLCJpYXQiOjE3OTUwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiZ3JvdXBzIjoicmVhZGVycyIsImVtYWlsIjoiYm9iQGV4YW1wbGUuY29tIn0.X857V4bvF02klm0r7tXRuBkB-b9W7LHRnwzemN5NmLhulBlpOO0e_UvBONn5UAdGtzu0UUq5B-D_Y9NHD76BFw";

/// What an attribute says when an allowed call has ended: of HTTP, of gRPC, of TCP (when its connection is closed). `-`: it is absent; `*`: whatever it is, it is there;
/// `a / b`: at the source, at the destination.
const TABLE: &[(&str, [&str; 3])] = &[
    ("source.uid", ["kubernetes://client.default"; 3]),
    ("source.name", ["client"; 3]),
    ("source.namespace", ["default"; 3]),
    (
        "source.principal",
        ["cluster.local/ns/default/sa/default"; 3],
    ),
    (
        "source.owner",
        ["kubernetes://apis/v1/namespaces/default/pods/client"; 3],
    ),
    (
        "source.workload.uid",
        ["istio://default/workloads/client"; 3],
    ),
    ("source.workload.name", ["client"; 3]),
    ("source.workload.namespace", ["default"; 3]),
    ("source.ip", ["*"; 3]),
    ("source.labels", [r#"{"app":"client"}"#; 3]),
    (
        "destination.uid",
        [
            "kubernetes://called.shop",
            "kubernetes://called.shop",
            "kubernetes://lines.shop",
        ],
    ),
    ("destination.name", ["called", "called", "lines"]),
    ("destination.namespace", ["shop"; 3]),
    (
        "destination.principal",
        ["cluster.local/ns/shop/sa/default"; 3],
    ),
    (
        "destination.owner",
        [
            "kubernetes://apis/v1/namespaces/shop/pods/called",
            "kubernetes://apis/v1/namespaces/shop/pods/called",
            "kubernetes://apis/v1/namespaces/shop/pods/lines",
        ],
    ),
    (
        "destination.workload.uid",
        [
            "istio://shop/workloads/called",
            "istio://shop/workloads/called",
            "istio://shop/workloads/lines",
        ],
    ),
    ("destination.workload.name", ["called", "called", "lines"]),
    ("destination.workload.namespace", ["shop"; 3]),
    ("destination.ip", ["*"; 3]),
    (
        "destination.labels",
        [
            r#"{"app":"called"}"#,
            r#"{"app":"called"}"#,
            r#"{"app":"lines"}"#,
        ],
    ),
    ("destination.port", ["8080", "8080", "7000"]),
    ("destination.container.name", ["web", "web", "lines"]),
    (
        "destination.container.image",
        ["http:1.0", "http:1.0", "sockets:1.0"],
    ),
    (
        "destination.service.host",
        [
            "called.shop.svc.cluster.local",
            "called.shop.svc.cluster.local",
            "lines.shop.svc.cluster.local",
        ],
    ),
    (
        "destination.service.uid",
        [
            "istio://shop/services/called",
            "istio://shop/services/called",
            "istio://shop/services/lines",
        ],
    ),
    ("destination.service.name", ["called", "called", "lines"]),
    ("destination.service.namespace", ["shop"; 3]),
    ("origin.ip", ["*"; 3]),
    ("request.id", ["*"; 3]),
    (
        "request.path",
        ["/hello/x?key=k-1&x=y", "/grpc.health.v1.Health/Check", "/"],
    ),
    (
        "request.url_path",
        ["/hello/x", "/grpc.health.v1.Health/Check", "/"],
    ),
    ("request.host", ["called.shop", "called.shop", "*"]),
    ("request.method", ["GET", "POST", "CONNECT"]),
    ("request.scheme", ["http", "http", "tcp"]),
    ("request.headers", ["*"; 3]),
    (
        "request.query_params",
        [r#"{"key":"k-1","x":"y"}"#, "{}", "{}"],
    ),
    ("request.time", ["*"; 3]),
    ("request.referer", ["http://from.test/", "-", "-"]),
    ("request.useragent", ["by hand", "-", "-"]),
    ("request.reason", ["-"; 3]),
    ("request.api_key", ["k-1", "k-2", "-"]),
    ("request.size", ["0", "5", "-"]),
    ("request.total_size", ["*", "*", "-"]),
    (
        "request.auth.principal",
        ["https://id.example/bob", "-", "-"],
    ),
    ("request.auth.audiences", ["hello", "-", "-"]),
    ("request.auth.presenter", ["curl", "-", "-"]),
    ("request.auth.claims", ["*", "{}", "{}"]),
    ("response.headers", ["*", "*", "-"]),
    ("response.size", ["5", "7", "-"]),
    ("response.total_size", ["*", "*", "-"]),
    ("response.code", ["200", "200", "-"]),
    ("response.time", ["*", "*", "-"]),
    ("response.duration", ["*", "*", "-"]),
    ("response.grpc_status", ["-", "0", "-"]),
    // Of a call that went well there is no message; see below.
    ("response.grpc_message", ["-"; 3]),
    ("connection.id", ["-", "-", "*"]),
    ("connection.event", ["-", "-", "close"]),
    // Of TLS that comes in at a gateway; see below.
    ("connection.requested_server_name", ["-"; 3]),
    ("connection.received.bytes", ["-", "-", "6"]),
    ("connection.received.bytes_total", ["-", "-", "6"]),
    ("connection.sent.bytes", ["-", "-", "*"]),
    ("connection.sent.bytes_total", ["-", "-", "*"]),
    ("connection.duration", ["-", "-", "*"]),
    ("connection.mtls", ["true"; 3]),
    ("context.protocol", ["http", "grpc", "tcp"]),
    ("context.reporter.kind", ["outbound / inbound"; 3]),
    (
        "context.reporter.uid",
        [
            "kubernetes://client.default / kubernetes://called.shop",
            "kubernetes://client.default / kubernetes://called.shop",
            "kubernetes://client.default / kubernetes://lines.shop",
        ],
    ),
    // Nothing went wrong; see below.
    ("context.proxy_error_code", ["-"; 3]),
    ("context.time", ["*"; 3]),
    ("api.service", ["-", "grpc.health.v1.Health", "-"]),
    ("api.version", ["-"; 3]),
    ("api.operation", ["-", "Check", "-"]),
    ("api.protocol", ["http", "grpc", "-"]),
    ("check.error_code", ["0"; 3]),
    // Nothing was refused; see below.
    ("check.error_message", ["-"; 3]),
    ("check.cache_hit", ["*"; 3]),
    ("quota.cache_hit", ["false"; 3]),
];

/// The rows that differ where the two sides are on two nodes: each knows what it asked itself.
const APART: &[(&str, [&str; 3])] = &[
    (
        "request.auth.principal",
        ["- / https://id.example/bob", "-", "-"],
    ),
    ("request.auth.audiences", ["- / hello", "-", "-"]),
    ("request.auth.presenter", ["- / curl", "-", "-"]),
    ("request.auth.claims", ["{} / *", "{}", "{}"]),
    ("check.error_code", ["- / 0"; 3]),
    ("check.cache_hit", ["- / *"; 3]),
    ("quota.cache_hit", ["- / false"; 3]),
];

/// Attributes that no call by itself has: who states them, and nobody else, knows them.
const STATED: [&str; 2] = ["request.reason", "api.version"];

struct Site {
    node: Node,
    /// Where the called pods are, if that is another node.
    other: Option<Node>,
    kubectl: Kubectl,
}

impl Site {
    async fn start(apart: bool) -> Self {
        Self::of(OBJECTS, apart).await
    }

    /// With these objects in place of the usual ones.
    async fn of(objects: &str, apart: bool) -> Self {
        let node = Node::start().unwrap();
        for (name, guest) in [
            ("sockets:1.0", "tests/fixture-sockets"),
            ("http:1.0", "tests/http"),
        ] {
            node.import(name, &component(guest).unwrap()).unwrap();
        }
        let other = apart.then(|| node.joined("second").unwrap());
        let mut objects = objects.to_owned();
        for pod in ["called", "lines"].iter().filter(|_| apart) {
            let head = format!("{{name: {pod}, namespace: shop, labels: {{app: {pod}}}}}\nspec:\n");
            assert!(objects.contains(&head));
            objects = objects.replace(&head, &format!("{head}  nodeName: second\n"));
        }
        node.apply_text(&objects).unwrap();
        // Who comes in at a gateway has no namespace: it is that of the called service.
        let policies = [
            told("default", "Outbound"),
            told("shop", "Inbound"),
            told("shop", "Outbound"),
        ];
        node.apply_text(&policies.map(|policy| policy.to_string()).join("\n---\n"))
            .unwrap();
        for (namespace, pod) in [("default", "client"), ("shop", "called"), ("shop", "lines")] {
            ready(&node, namespace, pod).await;
        }
        let kubectl = installed().unwrap();
        Self {
            node,
            other,
            kubectl,
        }
    }

    /// What a program says that is run in the client's sandbox.
    fn run(&self, words: &[&str]) -> Result<String> {
        let line = [&["exec", "client", "--", "main"][..], words].concat();
        let output = self.kubectl.run(&self.node.kubeconfig(), &line, None)?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// What was told of the calls that fit, at the source and at the destination.
    fn told(&self, fits: impl Fn(&Map<String, Value>) -> bool) -> [Vec<Map<String, Value>>; 2] {
        let mut log = self.node.log();
        log.extend(self.other.iter().map(Node::log));
        let lines = log
            .lines()
            .filter(|line| line.contains("stream=\"told\""))
            .filter_map(|line| {
                let json = line.get(line.find('{')?..=line.rfind('}')?)?;
                serde_json::from_str::<Map<String, Value>>(json).ok()
            });
        let found: Vec<_> = lines.filter(|line| fits(line)).collect();
        ["outbound", "inbound"].map(|side| {
            let own = found
                .iter()
                .filter(|line| said(line, "context.reporter.kind") == side);
            own.cloned().collect()
        })
    }

    /// The lines of both sides about one call, which is repeated until there are such, and the called side's policies are in force.
    async fn lines(
        &self,
        words: &[&str],
        fits: impl Fn(&Map<String, Value>) -> bool + Copy,
    ) -> [Map<String, Value>; 2] {
        let both = || async {
            let answer = self.run(words)?;
            let [source, destination] = self.told(fits);
            let both = source.iter().find_map(|one| {
                let id = said(one, "request.id");
                let other = destination.iter().find(|other| {
                    said(other, "request.id") == id && said(other, "check.error_code") != "-"
                });
                Some([one.clone(), other?.clone()])
            });
            ensure!(both.is_some(), "{answer}");
            Ok(both)
        };
        let what = format!("both sides are told of {words:?}");
        until(&what, LIMIT, both).await.unwrap()
    }
}

async fn ready(node: &Node, namespace: &str, pod: &str) {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}");
    let is = || async {
        let object = objects::get(node, &path).await?;
        Ok((objects::condition(&object, "Ready") == Some("True")).then_some(()))
    };
    until(&format!("{pod} is ready"), LIMIT, is).await.unwrap();
}

/// The policy that tells everything about the calls of a namespace.
fn told(namespace: &str, direction: &str) -> Value {
    let variables = TABLE
        .iter()
        .map(|(name, _)| (format!("variables.{}", key(name)), json!(name)));
    let mut fields: Map<String, Value> = variables.collect();
    fields.insert("name".to_owned(), json!("'told'"));
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy",
        "metadata": {"name": format!("told-{}", direction.to_lowercase()), "namespace": namespace},
        "spec": {"direction": direction, "actions": [{"plugin": "told", "template": "logentry", "fields": fields}]}})
}

/// Dots part the fields of a template.
fn key(name: &str) -> String {
    name.replace('.', "-")
}

fn said(line: &Map<String, Value>, name: &str) -> String {
    match line.get(&key(name)) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Where a column of the table and what was told of a call differ.
fn differences(column: usize, told: &[Map<String, Value>; 2], apart: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, cells) in TABLE {
        let mut own = APART.iter().filter(|_| apart);
        let own = own.find(|(own, _)| own == name);
        let cell = own.map_or(cells, |(_, cells)| cells)[column];
        let (source, destination) = cell.split_once(" / ").unwrap_or((cell, cell));
        for (wanted, line) in [source, destination].iter().zip(told) {
            let found = said(line, name);
            let fits = match *wanted {
                "*" => found != "-" && !found.is_empty(),
                other => found == other,
            };
            if !fits {
                let side = said(line, "context.reporter.kind");
                faults.push(format!("{name}, {side}: {wanted:?}, but {found:?}"));
            }
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attribute_of_the_vocabulary_has_its_value_on_both_sides() {
    every_attribute(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attribute_has_its_value_on_two_nodes() {
    every_attribute(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_found_out_on_the_callers_node_is_known_on_the_other_and_nobody_else_can_say_it() {
    let objects = OBJECTS
        .replace("  - {plugin: tokens, template: authentication}\n", "")
        .replace("{name: tokens, namespace: shop}", "{name: tokens}");
    let policy = json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "asked"},
        "spec": {"direction": "Outbound", "actions": [{"plugin": "tokens", "template": "authentication"}]}});
    let site = Site::of(&format!("{objects}\n---\n{policy}\n"), true).await;
    let bearer = format!("authorization:Bearer+{BOB}");
    let forged = "x-osier-mesh-identity:{\"p\":\"forged\"}";
    let ask = |mark: &'static str, more: &str| {
        let referer = format!("referer:http://{mark}.test/");
        let words = ["get", "called.shop:80", "/hello/x", &referer, more].map(str::to_owned);
        let referer = format!("http://{mark}.test/");
        (words, move |line: &Map<String, Value>| {
            said(line, "request.referer") == referer
        })
    };
    for (mark, more, who, presenter) in [
        ("bob", bearer.as_str(), "https://id.example/bob", "curl"),
        ("forged", forged, "-", "-"),
    ] {
        let (words, fits) = ask(mark, more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = site.lines(&words, &fits).await;
        for line in &told {
            let side = said(line, "context.reporter.kind");
            assert_eq!(said(line, "request.auth.principal"), who, "{side}");
            assert_eq!(said(line, "request.auth.presenter"), presenter, "{side}");
        }
        let claims = said(&told[1], "request.auth.claims");
        assert_eq!(claims.contains("readers"), mark == "bob", "{claims}");
    }
}

async fn every_attribute(apart: bool) {
    let site = Site::start(apart).await;
    let bearer = format!("authorization:Bearer+{BOB}");
    let http = [
        "get",
        "called.shop:80",
        "/hello/x?key=k-1&x=y",
        "referer:http://from.test/",
        "user-agent:by+hand",
        &bearer,
    ];
    let told = site
        .lines(&http, |line| said(line, "request.referer") != "-")
        .await;
    let mut faults = differences(0, &told, apart);
    let path = "/grpc.health.v1.Health/Check";
    let grpc = [
        "call",
        "called.shop:80",
        path,
        "content-type:application/grpc",
        "te:trailers",
        "x-api-key:k-2",
    ];
    let told = site
        .lines(&grpc, |line| said(line, "request.url_path") == path)
        .await;
    faults.extend(differences(1, &told, apart));
    let tcp = ["ask", "lines.shop:70", "hello"];
    let closed = |line: &Map<String, Value>| said(line, "connection.event") == "close";
    let told = site.lines(&tcp, closed).await;
    faults.extend(differences(2, &told, apart));
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    // Each side was told first that the connection stands, under the same id.
    let [source, destination] = told;
    let id = said(&source, "connection.id");
    assert_eq!(id, said(&destination, "connection.id"));
    let opened = site
        .told(|line| said(line, "connection.id") == id && said(line, "connection.event") == "open");
    for line in opened {
        assert_eq!(line.len(), 1, "{line:?}");
        assert_eq!(said(&line[0], "connection.received.bytes_total"), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_has_its_attributes_too() {
    let site = Site::start(false).await;
    let path = "/grpc.health.v1.Health/Watch";
    let grpc = [
        "call",
        "called.shop:80",
        path,
        "content-type:application/grpc",
    ];
    let told = site
        .lines(&grpc, |line| said(line, "request.url_path") == path)
        .await;
    for line in &told {
        assert_eq!(said(line, "check.error_code"), "7", "{line:?}");
        let message = said(line, "check.error_message");
        assert!(message.contains("list"), "{message}");
        assert_eq!(said(line, "response.grpc_status"), "7", "{line:?}");
        assert_ne!(said(line, "response.grpc_message"), "-", "{line:?}");
        assert_eq!(said(line, "context.proxy_error_code"), "UAEX", "{line:?}");
    }
    let nobody = || async {
        site.run(&["get", "nobody.shop:80", "/nobody"])?;
        let [source, _] = site.told(|line| said(line, "request.url_path") == "/nobody");
        Ok(source.last().cloned())
    };
    let line = until("a call to nobody is told", LIMIT, nobody)
        .await
        .unwrap();
    assert_eq!(said(&line, "context.proxy_error_code"), "UH", "{line:?}");
    assert_eq!(said(&line, "response.code"), "503", "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_outside_is_known_by_its_address_and_the_name_that_it_asked_for() {
    let site = Site::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::open(folder.path()).unwrap();
    let pair = tls::certificate(&authority, "called.test").unwrap();
    let values = [
        ("tls.crt", &*pair.certificate_pem),
        ("tls.key", &*pair.key_pem),
    ];
    let gateway = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "edge"}, "spec": {"servers": [
        {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["called.test"], "tls": {"mode": "SIMPLE", "credentialName": "pair"}}]}});
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "edge"}, "spec": {"hosts": ["called.test"],
        "gateways": ["edge"], "http": [{"route": [{"destination": {"host": "called.shop.svc.cluster.local"}}]}]}});
    let all = [
        tls::secret("pair", &values),
        gateway.to_string(),
        route.to_string(),
    ];
    site.node.apply_text(&all.join("\n---\n")).unwrap();
    let (client, address) = (
        tls::Client::trusting(&authority),
        site.node.listener(8443).await.unwrap(),
    );
    let told = || async {
        client
            .get(&address, "https://called.test/hello/outside")
            .await?;
        let [source, destination] =
            site.told(|line| said(line, "request.url_path") == "/hello/outside");
        Ok(source.last().cloned().zip(destination.last().cloned()))
    };
    let (source, destination) = until("both sides are told", LIMIT, told).await.unwrap();
    for (name, wanted) in [
        ("connection.requested_server_name", "called.test"),
        ("connection.mtls", "false"),
        ("source.ip", "127.0.0.1"),
        ("origin.ip", "127.0.0.1"),
        ("source.name", "-"),
        ("source.principal", "-"),
        ("request.scheme", "https"),
        ("api.protocol", "https"),
    ] {
        assert_eq!(said(&source, name), wanted, "{name} at the gateway");
    }
    assert_eq!(said(&destination, "source.ip"), "127.0.0.1");
    assert_eq!(
        said(&destination, "context.reporter.uid"),
        "kubernetes://called.shop"
    );
}

/// The rows of the guide's table of attributes: name, and what is said of it.
fn guide() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(workspace().join("docs/guide/expressions.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let known = [
            "source",
            "destination",
            "origin",
            "request",
            "response",
            "connection",
            "context",
            "api",
            "check",
            "quota",
        ];
        let attribute = known.contains(&name.split('.').next()?) && name.contains('.');
        attribute.then(|| (name.to_owned(), rest.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_guide_says_which_attributes_nobody_but_a_statement_gives_a_value() -> Result<()> {
    let guide = guide();
    let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let written: Vec<&str> = guide.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(written, names, "the table here and that of the guide");
    for (name, _) in TABLE {
        let (_, meaning) = guide.iter().find(|(own, _)| own == name).context(*name)?;
        let only_stated = meaning.contains("where it is stated");
        assert_eq!(only_stated, STATED.contains(name), "{name}: {meaning}");
    }
    Ok(())
}
