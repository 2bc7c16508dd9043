//! Gateway: what its servers ask for, as a [`GatewaySet`].
//!
//! A selector chooses nothing: the node is the one gateway workload. Secrets are those of the object's own namespace.

use osier_api::Object;

use super::GROUP;
use crate::gateways::{
    Credential, GatewaySet, Namespaces, ServedHost, ServerProtocol, ServerSpec, TlsSpec,
};
use crate::listener::{TlsMode, TlsVersion};
use crate::read::Fields;
use crate::table::About;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_standing::{FindingKind, Findings};

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
    let tls = read_tls(server, namespace);
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

/// TLS, if it can be served, and whether plain requests are sent to `https`.
fn read_tls(server: &mut Fields<'_>, namespace: &str) -> Option<(Option<TlsSpec>, bool)> {
    let mut tls = server.object("tls")?;
    let redirect = tls.flag("httpsRedirect").unwrap_or(false);
    let mode = match tls.text("mode").unwrap_or("PASSTHROUGH") {
        "PASSTHROUGH" => Some(TlsMode::Passthrough),
        "SIMPLE" => Some(TlsMode::Simple),
        "MUTUAL" => Some(TlsMode::Mutual),
        "OPTIONAL_MUTUAL" => Some(TlsMode::OptionalMutual),
        other => {
            let detail = format!("{other}; its server is not opened");
            tls.not_applied("mode", detail);
            None
        }
    };
    let credentials = credentials(&mut tls, namespace);
    let spec = mode.map(|mode| TlsSpec {
        mode,
        authorities: authorities(&credentials),
        given: None,
        credentials,
        least: version(&mut tls, "minProtocolVersion"),
        greatest: version(&mut tls, "maxProtocolVersion"),
    });
    let usable = |spec: &TlsSpec| spec.mode == TlsMode::Passthrough || !spec.credentials.is_empty();
    Some((spec.filter(usable), redirect))
}

fn credentials(tls: &mut Fields<'_>, namespace: &str) -> Vec<Credential> {
    let one = tls
        .text("credentialName")
        .map(|name| (tls.at("credentialName"), name));
    let several = tls.texts("credentialNames");
    let named = one.into_iter().chain(several);
    named
        .filter(|(_, name)| !name.is_empty())
        .map(|(field, name)| Credential {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            field,
        })
        .collect()
}

/// Istio keeps authorities beside the certificate, or in a Secret of the same name with `-cacert`.
fn authorities(credentials: &[Credential]) -> Vec<Credential> {
    let apart = |credential: &Credential| Credential {
        name: format!("{}-cacert", credential.name),
        ..credential.clone()
    };
    let first = credentials.first();
    first.cloned().into_iter().chain(first.map(apart)).collect()
}

fn version(tls: &mut Fields<'_>, key: &'static str) -> Option<TlsVersion> {
    match tls.text(key)? {
        "TLS_AUTO" => None,
        "TLSV1_2" => Some(TlsVersion::V1_2),
        "TLSV1_3" => Some(TlsVersion::V1_3),
        other => {
            let detail =
                format!("{other} is not spoken, it is not secure; TLSV1_2 and TLSV1_3 are");
            tls.not_applied(key, detail);
            None
        }
    }
}
