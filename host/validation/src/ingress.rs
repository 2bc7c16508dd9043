//! Ingresses and their classes.

use std::net::IpAddr;

use super::at::At;
use super::names;
use osier_api::Fault;

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let (rules, default) = (spec.at("rules"), spec.at("defaultBackend"));
    let mut faults = Vec::new();
    if !rules.is_set() && !default.is_present() {
        faults.push(spec.invalid("either `defaultBackend` or `rules` must be specified"));
    }
    faults.extend(backend(&default));
    faults.extend(spec.at("ingressClassName").optional_name(names::subdomain));
    for tls in spec.at("tls").items() {
        for host in tls.at("hosts").items() {
            faults.extend(host.optional_name(wildcard_or_name));
        }
        faults.extend(tls.at("secretName").optional_name(names::subdomain));
    }
    for rule in rules.items() {
        faults.extend(rule.at("host").optional_name(wildcard_or_name));
        let http = rule.at("http");
        if http.is_present() && !http.at("paths").is_set() {
            faults.push(http.at("paths").required(""));
        }
        faults.extend(http.at("paths").items().iter().flat_map(path));
    }
    faults
}

/// A DNS name, perhaps with `*` as its first label.
fn wildcard_or_name(host: &str) -> Vec<String> {
    if host.parse::<IpAddr>().is_ok() {
        return vec!["must be a DNS name, not an IP address".to_owned()];
    }
    names::subdomain(host.strip_prefix("*.").unwrap_or(host))
}

fn path(path: &At<'_>) -> Vec<Fault> {
    const TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
    let (kind, text) = (path.at("pathType"), path.at("path"));
    let mut faults: Vec<Fault> = kind.one_of(&TYPES).into_iter().collect();
    if !kind.is_set() {
        faults.push(kind.required("pathType must be specified"));
    }
    let specific = kind.text() == "ImplementationSpecific" && !text.is_set();
    if !specific && !text.text().starts_with('/') {
        faults.push(text.invalid("must be an absolute path"));
    }
    for part in ["//", "/./", "/../", "%2f", "%2F"] {
        if kind.text() != "ImplementationSpecific" && text.text().contains(part) {
            faults.push(text.invalid(format!("must not contain '{part}'")));
        }
    }
    if !path.at("backend").is_set() {
        faults.push(path.at("backend").required("say where requests go"));
    }
    faults.extend(backend(&path.at("backend")));
    faults
}

fn backend(backend: &At<'_>) -> Vec<Fault> {
    let (service, resource) = (backend.at("service"), backend.at("resource"));
    let mut faults = Vec::new();
    if !backend.is_present() {
        return faults;
    }
    if service.is_present() && resource.is_present() {
        faults.push(backend.invalid("cannot set both resource and service backends"));
    }
    if !service.is_present() {
        if !resource.is_present() {
            faults.push(backend.required("name a service"));
        }
        return faults;
    }
    faults.extend(service.at("name").name(names::label_1035));
    let port = service.at("port");
    match (port.at("name").is_set(), port.at("number").int()) {
        (true, None | Some(0)) | (false, Some(1..=65535)) => {}
        (true, Some(_)) => faults.push(port.invalid("cannot set both port name & port number")),
        (false, _) => faults.push(port.required("port name or number is required")),
    }
    faults
}

pub(super) fn check_class(spec: &At<'_>) -> Vec<Fault> {
    let controller = spec.at("controller");
    let (domain, path) = controller.text().split_once('/').unwrap_or_default();
    if names::subdomain(domain).is_empty() && !path.is_empty() {
        return Vec::new();
    }
    vec![controller.invalid("must be a domain-prefixed path, such as osier.dev/ingress-controller")]
}
