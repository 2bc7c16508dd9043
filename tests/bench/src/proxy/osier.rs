//! Osier among the proxies: a node with a Gateway, a VirtualService and a host outside, with metrics and access log on as always.

use super::program::{Ports, Running};
use super::{Contestant, HOST, START, Site};
use crate::Bench;
use crate::cores::Cores;
use anyhow::{Context, Result, ensure};
use osier_tests::api::Api;
use osier_tests::{Node, Options, http, tls, until};
use serde_json::{Value, json};

/// The host outside that the backend stands for.
const BACKEND: &str = "backend.example.com";
/// The same for the backend of calls, and for bytes as they are.
const CALLS: &str = "calls.example.com";
const RAW: &str = "raw.example.com";
/// The port that a gateway asks for, for bytes as they are.
const RAW_PORT: u16 = 9000;

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// One route.
    Plain,
    /// One route, and the bundled plugin `list` called for every request.
    Policy,
    /// So many VirtualServices, each for a host of its own.
    Routes(usize),
}

impl Variant {
    pub(super) const ALL: [Self; 4] = [
        Self::Plain,
        Self::Policy,
        Self::Routes(1_000),
        Self::Routes(10_000),
    ];

    fn name(self) -> String {
        match self {
            Self::Plain => "osier".to_owned(),
            Self::Policy => "osier, policy".to_owned(),
            Self::Routes(many) => format!("osier, {many} routes"),
        }
    }

    fn objects(self, backend: u16, calls: u16) -> Vec<Value> {
        let mut all = vec![
            gateway(),
            entry("backend", ("HTTP", backend)),
            entry("calls", ("GRPC", calls)),
            entry("raw", ("TCP", backend)),
        ];
        all.extend(raw());
        match self {
            Self::Plain => all.push(route("shop", "*")),
            Self::Policy => all.extend([route("shop", "*"), plugin(), policy()]),
            Self::Routes(many) => all.extend((0..many).map(|number| {
                let name = format!("shop-{number}");
                route(&name, &format!("{name}.example.com"))
            })),
        }
        all
    }
}

/// Starts a node on its core and waits until all of it is in force.
pub(super) async fn start(variant: Variant, bench: &Bench, site: &Site) -> Result<Contestant> {
    let node = Node::start_with(&Options {
        binary: Some(bench.binary.clone()),
        wrapper: Cores::Apart.measured(),
        ..Options::default()
    })?;
    let (chain, key) = (
        std::fs::read_to_string(&site.certificate)?,
        std::fs::read_to_string(&site.key)?,
    );
    node.apply_text(&tls::secret(
        "shop",
        &[("tls.crt", &chain), ("tls.key", &key)],
    ))?;
    create(&node, &variant.objects(site.backend, site.calls)).await?;
    let plain = port(&node.address("gateway")?)?;
    let ports = Ports {
        plain,
        two: plain,
        secure: port(&node.listener(8443).await?)?,
        raw: port(&node.listener(RAW_PORT).await?)?,
    };
    let running = Running::Node(Box::new(node));
    let contestant = Contestant {
        name: variant.name(),
        own: true,
        raw: true,
        ports,
        pids: vec![running.pid()?],
        _running: vec![running],
    };
    let contestant = contestant.answers(&site.client).await?;
    in_force(variant, plain).await?;
    Ok(contestant)
}

pub(super) fn port(address: &str) -> Result<u16> {
    let (_, port) = address.rsplit_once(':').context("an address with a port")?;
    Ok(port.parse()?)
}

/// Over one connection: kubectl would need a minute for a thousand.
pub(super) async fn create(node: &Node, objects: &[Value]) -> Result<()> {
    let mut api = Api::open(node).await?;
    for object in objects {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        let path = format!("/apis/{version}/namespaces/default/{}", plural(kind));
        let answer = api.send("POST", &path, Some(object)).await?;
        ensure!(answer.status == 201, "POST {path}: {}", answer.text());
    }
    Ok(())
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ => format!("{kind}s"),
    }
}

/// Waits until the last route is there, and until the policy refuses what it is to refuse.
async fn in_force(variant: Variant, port: u16) -> Result<()> {
    let last = match variant {
        Variant::Routes(many) => format!("shop-{}.example.com", many - 1),
        Variant::Plain | Variant::Policy => String::new(),
    };
    let (headers, wanted) = match variant {
        Variant::Plain => return Ok(()),
        Variant::Policy => ([("host", HOST), ("x-visitor", "stranger")], 403),
        Variant::Routes(_) => ([("host", last.as_str()), ("x-visitor", "")], 200),
    };
    let address = format!("127.0.0.1:{port}");
    let answered = || async {
        let answer = http::get_with(&address, "/", &headers).await?;
        ensure!(
            answer.status == wanted,
            "{}: {}",
            answer.status,
            answer.text()
        );
        Ok(Some(()))
    };
    until(
        &format!("{} answers {wanted}", variant.name()),
        START,
        answered,
    )
    .await
}

fn object(api: &str, kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

pub(super) fn istio(kind: &str, name: &str, spec: &Value) -> Value {
    object("networking.istio.io/v1", kind, name, spec)
}

fn gateway() -> Value {
    let simple = json!({"mode": "SIMPLE", "credentialName": "shop"});
    let servers = json!([
        {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
        {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"], "tls": simple},
    ]);
    istio("Gateway", "shop", &json!({"servers": servers}))
}

/// A host outside: `NAME.example.com`.
fn entry(name: &str, (protocol, port): (&str, u16)) -> Value {
    let kind = protocol.to_lowercase();
    let ports = json!([{"number": 80, "name": kind, "protocol": protocol}]);
    let endpoints = json!([{"address": "127.0.0.1", "ports": {kind: port}}]);
    let hosts = [format!("{name}.example.com")];
    let spec =
        json!({"hosts": hosts, "resolution": "STATIC", "ports": ports, "endpoints": endpoints});
    istio("ServiceEntry", name, &spec)
}

/// A gateway for bytes as they are, and where they go.
fn raw() -> [Value; 2] {
    let port = json!({"number": RAW_PORT, "name": "raw", "protocol": "TCP"});
    let gateway = json!({"servers": [{"port": port, "hosts": ["*"]}]});
    let to = json!([{"match": [{"port": RAW_PORT}], "route": [{"destination": {"host": RAW}}]}]);
    let routes = json!({"hosts": ["*"], "gateways": ["raw"], "tcp": to});
    [
        istio("Gateway", "raw", &gateway),
        istio("VirtualService", "raw", &routes),
    ]
}

fn route(name: &str, host: &str) -> Value {
    let to = |host: &str| json!([{"destination": {"host": host}}]);
    let calls = json!({"match": [{"uri": {"prefix": "/bench."}}], "route": to(CALLS)});
    let rules = [calls, json!({"route": to(BACKEND)})];
    let spec = json!({"hosts": [host], "gateways": ["shop"], "http": rules});
    istio("VirtualService", name, &spec)
}

fn plugin() -> Value {
    let config = json!({"entries": ["stranger"], "mode": "Deny", "status": 403});
    let spec = json!({"image": "builtin://list", "config": config});
    object("policy.osier.dev/v1alpha1", "Plugin", "visitors", &spec)
}

fn policy() -> Value {
    let value = r#"request.headers["x-visitor"].orValue("nobody")"#;
    let action = json!({"plugin": "visitors", "template": "listentry", "fields": {"value": value}});
    let spec = json!({"targetRefs": [{"kind": "Gateway", "name": "shop"}], "actions": [action]});
    object("policy.osier.dev/v1alpha1", "Policy", "visitors", &spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_plurals() {
        for (kind, plural_of) in [
            ("Gateway", "gateways"),
            ("ServiceEntry", "serviceentries"),
            ("VirtualService", "virtualservices"),
            ("Policy", "policies"),
        ] {
            assert_eq!(plural(kind), plural_of);
        }
    }

    #[test]
    fn the_host_that_is_asked_for_is_among_the_many() {
        let objects = Variant::Routes(1_000).objects(1, 2);
        let named = |object: &&Value| object["spec"]["hosts"] == json!([HOST]);
        assert_eq!(objects.iter().filter(named).count(), 1);
    }
}
