//! Sidecar: what the pods of a namespace call.

use std::sync::Arc;

use osier_api::Object;

use super::GROUP;
use crate::scope::{Hosts, Ports, Scope, Sidecar};
use crate::table::About;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_routing::names;
use osier_standing::FindingKind;
use osier_traffic::Fields;

const KIND: Kind = Kind::new(GROUP, "Sidecar");

/// Keys with values.
type Labels = Vec<(String, String)>;

/// Reads one Sidecar.
pub(crate) fn compile(object: &Object, domain: &str) -> Sidecar {
    let about = About::of(object, KIND);
    let findings = about.findings();
    let spec = Fields::spec(object, &findings);
    let (selector, ports) = spec
        .map(|mut spec| read(&mut spec, &about.namespace, domain))
        .unwrap_or_default();
    let name = format!("{}/{}", about.namespace, about.name).into();
    Sidecar {
        about,
        selector,
        scope: Arc::new(Scope { name, ports }),
        findings: findings.into_vec(),
    }
}

/// Whom it is for, and what they call.
fn read(spec: &mut Fields<'_>, namespace: &str, domain: &str) -> (Labels, Option<Ports>) {
    policy(spec);
    for key in ["ingress", "inboundConnectionPool"] {
        if spec.value(key).is_some() {
            let why = "pods are called in memory and have no listeners of a proxy";
            spec.not_applied(key, why);
        }
    }
    let egress = spec.objects("egress");
    // Without the section, nothing is said of whom the pods call.
    let said = !egress.is_empty();
    let ports = said.then(|| ports(egress, namespace, domain));
    (read_selector(spec), ports)
}

fn read_selector(spec: &mut Fields<'_>) -> Labels {
    let Some(mut selector) = spec.object("workloadSelector") else {
        return Vec::new();
    };
    let labels = selector.entries("labels").into_iter();
    let texts =
        labels.filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.to_owned())));
    texts.collect()
}

fn policy(spec: &mut Fields<'_>) {
    let Some(mut policy) = spec.object("outboundTrafficPolicy") else {
        return;
    };
    if policy.text("mode") == Some("ALLOW_ANY") {
        let why = "hosts outside stay refused unless a ServiceEntry grants them";
        policy.not_applied("mode", why);
    }
}

fn ports(egress: Vec<Fields<'_>>, namespace: &str, domain: &str) -> Ports {
    let mut ports = Ports::new();
    for mut listener in egress {
        let hosts = ports.entry(port(&mut listener)).or_default();
        for (field, text) in listener.texts("hosts") {
            if !add(hosts, text, (namespace, domain)) {
                let detail = "must be namespace/dnsName, such as ./*; it is ignored";
                let findings = listener.findings();
                findings.add(FindingKind::Invalid, field, detail);
            }
        }
    }
    ports
}

/// The port of an entry; what else is said of listeners is not applied.
fn port(listener: &mut Fields<'_>) -> Option<u16> {
    for key in ["bind", "captureMode"] {
        if listener.text(key).is_some_and(|text| text != "DEFAULT") {
            let why = "calls leave pods in memory: they are never captured and have no address";
            listener.not_applied(key, why);
        }
    }
    let mut port = listener.object("port")?;
    // What is spoken, the service's port says.
    let _label = (port.text("name"), port.text("protocol"));
    port.number("number")
}

/// Adds what `namespace/dnsName` stands for; says whether it can be read.
fn add(hosts: &mut Hosts, text: &str, (own, domain): (&str, &str)) -> bool {
    let Some((namespace, name)) = text.split_once('/') else {
        return false;
    };
    let of = match namespace {
        "~" => return true,
        "*" => None,
        "." => Some(own),
        other => Some(other),
    };
    // A short name is a service of that namespace.
    let full = match of {
        Some(of) if !name.contains(['.', '*']) => names::full_name(name, of, domain),
        _ => name.to_owned(),
    };
    let Some(pattern) = HostPattern::parse(&full) else {
        return false;
    };
    hosts.add(of, pattern);
    true
}
