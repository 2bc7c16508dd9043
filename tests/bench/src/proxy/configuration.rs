//! The peers' configurations, equal in what they do: one worker, one route to one backend over kept connections, an access log in a
//! file, HTTP/1.1, HTTP/2 and TLS. Pure.

use super::program::Ports;
use serde_json::{Value, json};
use std::path::Path;

/// What a configuration names.
pub(super) struct Place<'a> {
    /// The port of the backend.
    pub(super) backend: u16,
    /// The port of the backend of calls.
    pub(super) calls: u16,
    /// Where the proxy listens.
    pub(super) ports: Ports,
    /// What it shows to clients, PEM.
    pub(super) certificate: &'a Path,
    /// The key of that, PEM.
    pub(super) key: &'a Path,
    /// Where it may write.
    pub(super) folder: &'a Path,
}

/// <https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive>
pub(super) fn nginx(place: &Place<'_>) -> String {
    let (folder, backend) = (place.folder.display(), place.backend);
    let Ports {
        plain, two, secure, ..
    } = place.ports;
    let (certificate, key) = (place.certificate.display(), place.key.display());
    let calls = place.calls;
    // A connection is kept for as long as the load lasts, as the others do by default.
    format!(
        "daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log;
  keepalive_requests 1000000000;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{two} http2;
    listen 127.0.0.1:{secure} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location /bench. {{ grpc_pass grpc://127.0.0.1:{calls}; }}
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
    }}
  }}
}}
"
    )
}

/// Its access log goes to its output, which is a file. <https://docs.haproxy.org/2.6/configuration.html>
pub(super) fn haproxy(place: &Place<'_>, certificate_and_key: &Path) -> String {
    let Ports {
        plain,
        two,
        secure,
        raw,
    } = place.ports;
    format!(
        "global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:{plain}
  bind 127.0.0.1:{two} proto h2
  bind 127.0.0.1:{secure} ssl crt {pem}
  use_backend calls if {{ path_beg /bench. }}
  default_backend backend
backend backend
  server one 127.0.0.1:{backend}
backend calls
  server one 127.0.0.1:{calls} proto h2
listen raw
  mode tcp
  option tcplog
  bind 127.0.0.1:{raw}
  server one 127.0.0.1:{backend}
",
        pem = certificate_and_key.display(),
        backend = place.backend,
        calls = place.calls,
    )
}

/// A bootstrap in JSON. <https://www.envoyproxy.io/docs/envoy/latest/api-v3/bootstrap/bootstrap>
pub(super) fn envoy(place: &Place<'_>) -> String {
    let manager = manager(&place.folder.join("access.log"), true);
    let plain = listener("plain", place.ports.plain, &manager, None);
    let secure = listener("secure", place.ports.secure, &manager, Some(&tls(place)));
    let clusters = [
        cluster("backend", place.backend),
        two(cluster("calls", place.calls)),
    ];
    let listeners = [plain, secure, raw(place)];
    json!({"static_resources": {"listeners": listeners, "clusters": clusters}}).to_string()
}

/// Two that speak HTTP/2 over mutual TLS with each other: the way out, and the way in to the backend.
pub(super) fn envoys(place: &Place<'_>, authority: &Path, between: u16) -> [String; 2] {
    let shown = json!([{"certificate_chain": {"filename": place.certificate}, "private_key": {"filename": place.key}}]);
    let trusted = json!({"trusted_ca": {"filename": authority}});
    let common =
        json!({"tls_certificates": shown, "validation_context": trusted, "alpn_protocols": ["h2"]});
    let kind = |side: &str| {
        format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext")
    };
    let out = json!({"@type": kind("Upstream"), "common_tls_context": common, "sni": "localhost"});
    let into = json!({"@type": kind("Downstream"), "common_tls_context": common, "require_client_certificate": true});
    let mut next = two(cluster("backend", between));
    next["transport_socket"] = json!({"name": "tls", "typed_config": out});
    let first = manager(&place.folder.join("first.log"), false);
    let second = manager(&place.folder.join("second.log"), false);
    let way = |listener: Value, cluster: Value| {
        json!({"static_resources": {"listeners": [listener], "clusters": [cluster]}}).to_string()
    };
    [
        way(listener("out", place.ports.plain, &first, None), next),
        way(
            listener("in", between, &second, Some(&into)),
            cluster("backend", place.backend),
        ),
    ]
}

fn cluster(name: &str, port: u16) -> Value {
    let endpoint = json!({"endpoint": {"address": address(port)}});
    json!({"name": name, "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}})
}

/// Speaks HTTP/2.
fn two(mut cluster: Value) -> Value {
    let kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = json!({"@type": format!("type.googleapis.com/{kind}"), "explicit_http_config": {"http2_protocol_options": {}}});
    cluster["typed_extension_protocol_options"] = json!({kind: options});
    cluster
}

/// A listener for bytes as they are.
fn raw(place: &Place<'_>) -> Value {
    let proxy = json!({"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "raw", "cluster": "backend"});
    json!({"name": "raw", "address": address(place.ports.raw), "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}]})
}

/// One worker, and no shared memory with another Envoy of this machine.
pub(super) fn envoy_args(file: String) -> Vec<String> {
    let mut args: Vec<String> = ["--concurrency", "1", "--use-dynamic-base-id"]
        .map(str::to_owned)
        .into();
    args.extend(["--log-level", "error", "-c"].map(str::to_owned));
    args.push(file);
    args
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn listener(name: &str, port: u16, manager: &Value, tls: Option<&Value>) -> Value {
    let mut chain = json!({"filters": [{"name": "http", "typed_config": manager}]});
    if let Some(tls) = tls {
        chain["transport_socket"] = json!({"name": "tls", "typed_config": tls});
    }
    json!({"name": name, "address": address(port), "filter_chains": [chain]})
}

/// Any host, one route and one for calls, the access log's default format.
fn manager(log: &Path, calls: bool) -> Value {
    let router = json!({"name": "router", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    let log = json!({"name": "file", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": log}});
    let mut routes = vec![json!({"match": {"prefix": "/"}, "route": {"cluster": "backend"}})];
    if calls {
        routes.insert(
            0,
            json!({"match": {"prefix": "/bench."}, "route": {"cluster": "calls"}}),
        );
    }
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "http_filters": [router], "access_log": [log],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    })
}

fn tls(place: &Place<'_>) -> Value {
    let shown = json!({"certificate_chain": {"filename": place.certificate}, "private_key": {"filename": place.key}});
    json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [shown], "alpn_protocols": ["h2", "http/1.1"]},
    })
}

/// What `osier-bench-bare` is told.
pub(super) fn bare_args(place: &Place<'_>) -> Vec<String> {
    vec![
        "forward".to_owned(),
        format!("--backend={}", place.backend),
        format!("--calls={}", place.calls),
        format!("--plain={}", place.ports.plain),
        format!("--raw={}", place.ports.raw),
        format!("--secure={}", place.ports.secure),
        format!("--certificate={}", place.certificate.display()),
        format!("--key={}", place.key.display()),
    ]
}
