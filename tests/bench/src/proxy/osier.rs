//! Osier among the proxies: a node with a Gateway, a VirtualService and a host outside, with metrics and access log on as always.

use super::program::{Ports, Running};
use super::{Contestant, HOST, START, Site};
use crate::Bench;
use crate::cores::Cores;
use anyhow::{Context, Result, ensure};
use osier_tests::api::Api;
use osier_tests::{Node, Options, http, tls, until};
use serde_json::{Value, json};

/// Hosts with a VirtualService each, where there are many.
const MANY: usize = 1000;
/// The host outside that the backend stands for.
const BACKEND: &str = "backend.example.com";

/// What is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// One route.
    Plain,
    /// One route, and the bundled plugin `list` called for every request.
    Policy,
    /// A thousand VirtualServices.
    Routes,
}

impl Variant {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Policy, Self::Routes];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "osier",
            Self::Policy => "osier, policy",
            Self::Routes => "osier, 1000 routes",
        }
    }

    fn objects(self, backend: u16) -> Vec<Value> {
        let mut all = vec![gateway(), entry(backend)];
        match self {
            Self::Plain => all.push(route("shop", "*")),
            Self::Policy => all.extend([route("shop", "*"), plugin(), policy()]),
            Self::Routes => all.extend((0..MANY).map(|number| {
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
    create(&node, &variant.objects(site.backend)).await?;
    let plain = port(&node.address("gateway")?)?;
    let ports = Ports {
        plain,
        two: plain,
        secure: port(&node.listener(8443).await?)?,
    };
    let running = Running::Node(Box::new(node));
    let contestant = Contestant {
        name: variant.name().to_owned(),
        own: true,
        ports,
        pid: running.pid()?,
        _running: running,
    };
    let contestant = contestant.answers(&site.client).await?;
    in_force(variant, plain).await?;
    Ok(contestant)
}

fn port(address: &str) -> Result<u16> {
    let (_, port) = address.rsplit_once(':').context("an address with a port")?;
    Ok(port.parse()?)
}

/// Over one connection: kubectl would need a minute for a thousand.
async fn create(node: &Node, objects: &[Value]) -> Result<()> {
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
    let last = format!("shop-{}.example.com", MANY - 1);
    let (headers, wanted) = match variant {
        Variant::Plain => return Ok(()),
        Variant::Policy => ([("host", HOST), ("x-visitor", "stranger")], 403),
        Variant::Routes => ([("host", last.as_str()), ("x-visitor", "")], 200),
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

fn istio(kind: &str, name: &str, spec: &Value) -> Value {
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

fn entry(backend: u16) -> Value {
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let endpoints = json!([{"address": "127.0.0.1", "ports": {"http": backend}}]);
    let spec =
        json!({"hosts": [BACKEND], "resolution": "STATIC", "ports": ports, "endpoints": endpoints});
    istio("ServiceEntry", "backend", &spec)
}

fn route(name: &str, host: &str) -> Value {
    let to_backend = json!([{"route": [{"destination": {"host": BACKEND}}]}]);
    let spec = json!({"hosts": [host], "gateways": ["shop"], "http": to_backend});
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
        let objects = Variant::Routes.objects(1);
        let named = |object: &&Value| object["spec"]["hosts"] == json!([HOST]);
        assert_eq!(objects.iter().filter(named).count(), 1);
    }
}
