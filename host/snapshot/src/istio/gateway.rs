//! Gateway: which hosts its servers take. The node has one listener, so ports and selectors choose nothing yet.

use osier_api::Object;

use crate::finding::{Finding, FindingKind, Findings};
use crate::hosts::HostPattern;
use crate::read::Fields;

pub(crate) const KIND: &str = "Gateway";

/// The hosts of one Gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads one Gateway.
pub(crate) fn compile(object: &Object) -> Gateway {
    let findings = Findings::about(KIND, object.namespace(), object.name());
    let mut hosts = Vec::new();
    if let Some(mut spec) = Fields::spec(object, &findings) {
        // Every Gateway is served by the node's own listener, which is what a selector would choose.
        let _selector = spec.value("selector");
        for mut server in spec.objects("servers") {
            let _name = server.text("name");
            read_port(&mut server);
            read_hosts(&mut server, &mut hosts);
        }
    }
    Gateway {
        hosts,
        findings: findings.into_vec(),
    }
}

fn read_port(server: &mut Fields<'_>) {
    let Some(mut port) = server.object("port") else {
        return;
    };
    let _listener = (port.value("number"), port.value("name"));
    let protocol = port.text("protocol").unwrap_or("HTTP").to_ascii_uppercase();
    if !matches!(protocol.as_str(), "HTTP" | "HTTP2" | "GRPC" | "GRPC-WEB") {
        let detail = format!("{protocol} is served as plain HTTP on the node's gateway listener");
        port.not_applied("protocol", detail);
    }
}

fn read_hosts(server: &mut Fields<'_>, hosts: &mut Vec<HostPattern>) {
    for (field, text) in server.texts("hosts") {
        // `namespace/host` limits which namespaces may bind.
        let (namespace, host) = text.split_once('/').unwrap_or(("*", text));
        if namespace != "*" {
            let detail = "not applied yet: routes of every namespace may bind";
            server
                .findings()
                .add(FindingKind::NotApplied, field.clone(), detail);
        }
        match HostPattern::parse(host) {
            Some(pattern) => hosts.push(pattern),
            None => {
                let detail = "not a host name, *.suffix or *; it is ignored";
                server.findings().add(FindingKind::Invalid, field, detail);
            }
        }
    }
}
