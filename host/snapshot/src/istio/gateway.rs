//! Gateway: what its servers ask for, as a [`GatewaySet`].
//!
//! A selector chooses nothing: the node is the one gateway workload. Secrets are those of the object's own namespace.

use osier_api::Object;

use super::GROUP;
use crate::gateways::{GatewaySet, Namespaces, ServedHost, ServerProtocol, ServerSpec};
use crate::table::About;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_standing::{FindingKind, Findings};
use osier_traffic::{Fields, TlsMode, server_tls};

pub(crate) const KIND: Kind = Kind::new(GROUP, "Gateway");

/// Plain HTTP ports that mean the node's main listener wherever that is: what examples of this field are written for.
const CUSTOMARY: [u16; 2] = [80, 8080];

/// Asks for a PROXY protocol header at the beginning of every connection. Only for ports that nothing but the balancer in front can
/// reach: whoever connects names the client.
const PROXY_PROTOCOL: &str = "osier.dev/proxy-protocol";

/// Reads one Gateway.
pub(crate) fn compile(object: &Object) -> GatewaySet {
    let about = About::of(object, KIND);
    let findings = about.findings();
    let proxy_protocol = proxy_protocol(object, &findings);
    let mut servers = Vec::new();
    if let Some(mut spec) = Fields::spec(object, &findings) {
        let _selector = spec.value("selector");
        for mut fields in spec.objects("servers") {
            let server = server(&mut fields, object.namespace());
            servers.extend(server.map(|server| ServerSpec {
                proxy_protocol,
                ..server
            }));
        }
    }
    GatewaySet {
        about,
        servers,
        addresses: Vec::new(),
        shows: None,
        insecure: false,
        generation: object.generation(),
        findings: findings.into_vec(),
    }
}

fn proxy_protocol(object: &Object, findings: &Findings) -> bool {
    let value = object.get(&["metadata", "annotations", PROXY_PROTOCOL]);
    match value.and_then(|value| value.as_str()) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let field = format!("metadata.annotations[{PROXY_PROTOCOL:?}]");
            let detail = "must be \"true\" or \"false\"; it is ignored";
            findings.add(FindingKind::Invalid, field, detail);
            false
        }
    }
}

fn server(server: &mut Fields<'_>, namespace: &str) -> Option<ServerSpec> {
    let name = server.text("name").unwrap_or_default().to_owned();
    let port = read_port(server);
    let hosts = read_hosts(server, namespace);
    let tls = server.object("tls");
    let tls = tls.map(|mut tls| server_tls(&mut tls, namespace));
    let (port, protocol) = port?;
    let (tls, https_redirect) = tls.unwrap_or_default();
    let encrypted = matches!(protocol, ServerProtocol::Https | ServerProtocol::Tls);
    if encrypted && tls.is_none() {
        server.invalid(
            "tls",
            "says no mode that can be served, or names no certificate; the server is not opened",
        );
        return None;
    }
    let passes = tls
        .as_ref()
        .is_some_and(|tls| tls.mode == TlsMode::Passthrough);
    // Whoever passes HTTPS through sees no request of it.
    let protocol = match protocol {
        ServerProtocol::Https if passes => ServerProtocol::Tls,
        other => other,
    };
    Some(ServerSpec {
        name,
        field: server.at(""),
        port,
        protocol,
        hosts,
        main_ports: &CUSTOMARY,
        kinds: None,
        refused: None,
        tls: tls.filter(|_| encrypted),
        clients: None,
        https_redirect: https_redirect && !encrypted,
        proxy_protocol: false,
    })
}

/// The port and its protocol; nothing if it cannot be served.
fn read_port(server: &mut Fields<'_>) -> Option<(Option<u16>, ServerProtocol)> {
    let Some(mut port) = server.object("port") else {
        return Some((None, ServerProtocol::Http));
    };
    let _name = port.value("name");
    let has_number = port.has("number");
    let number = port.number::<u16>("number").filter(|number| *number != 0);
    let written = port.text("protocol").unwrap_or("HTTP").to_ascii_uppercase();
    let protocol = match written.as_str() {
        "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB" => ServerProtocol::Http,
        "HTTPS" => ServerProtocol::Https,
        "TLS" => ServerProtocol::Tls,
        "TCP" => ServerProtocol::Tcp,
        other => {
            let detail = format!("{other} is served as plain TCP");
            port.not_applied("protocol", detail);
            ServerProtocol::Tcp
        }
    };
    if number.is_none() && (has_number || protocol != ServerProtocol::Http) {
        port.invalid(
            "number",
            "must be from 1 to 65535; the server is not opened",
        );
        return None;
    }
    Some((number, protocol))
}

fn read_hosts(server: &mut Fields<'_>, own: &str) -> Vec<ServedHost> {
    let mut hosts = Vec::new();
    for (field, text) in server.texts("hosts") {
        // `namespace/host` limits which namespaces may bind.
        let (namespace, host) = text.split_once('/').unwrap_or(("*", text));
        let namespaces = match namespace {
            "*" => Namespaces::All,
            "." => Namespaces::Only(vec![own.to_owned()]),
            other => Namespaces::Only(vec![other.to_owned()]),
        };
        match HostPattern::parse(host) {
            Some(pattern) => hosts.push(ServedHost {
                namespaces,
                pattern,
            }),
            None => {
                let detail = "not a host name, *.suffix or *; it is ignored";
                server.findings().add(FindingKind::Invalid, field, detail);
            }
        }
    }
    hosts
}
