//! The peers' configurations, equal in what they do: one worker, one route to one backend over kept connections, an access log in a
//! file, HTTP/1.1, HTTP/2 and TLS. Pure.

use super::program::Ports;
use serde_json::{Value, json};
use std::path::Path;

/// What a configuration names.
pub(super) struct Place<'a> {
    /// The port of the backend.
    pub(super) backend: u16,
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
    let Ports { plain, two, secure } = place.ports;
    let (certificate, key) = (place.certificate.display(), place.key.display());
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
    let Ports { plain, two, secure } = place.ports;
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
  default_backend backend
backend backend
  server one 127.0.0.1:{backend}
",
        pem = certificate_and_key.display(),
        backend = place.backend,
    )
}

/// A bootstrap in JSON. <https://www.envoyproxy.io/docs/envoy/latest/api-v3/bootstrap/bootstrap>
pub(super) fn envoy(place: &Place<'_>) -> String {
    let manager = manager(&place.folder.join("access.log"));
    let plain = listener("plain", place.ports.plain, &manager, None);
    let secure = listener("secure", place.ports.secure, &manager, Some(&tls(place)));
    let endpoint = json!({"endpoint": {"address": address(place.backend)}});
    let cluster = json!({"name": "backend", "type": "STATIC", "connect_timeout": "2s",
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]}});
    json!({"static_resources": {"listeners": [plain, secure], "clusters": [cluster]}}).to_string()
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

/// Any host, one route, the access log's default format.
fn manager(log: &Path) -> Value {
    let router = json!({"name": "router", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    let log = json!({"name": "file", "typed_config":
        {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": log}});
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "backend"}});
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in", "http_filters": [router], "access_log": [log],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
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
        format!("--plain={}", place.ports.plain),
        format!("--secure={}", place.ports.secure),
        format!("--certificate={}", place.certificate.display()),
        format!("--key={}", place.key.display()),
    ]
}
