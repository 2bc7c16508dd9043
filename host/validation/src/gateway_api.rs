//! The Gateway API's kinds: what their definitions say in CEL, in words of our own.

mod route;

use std::net::IpAddr;

use super::at::{At, unique};
use super::names;
use osier_api::Fault;
pub(super) use osier_api::resources::gateway_api::GROUP;

pub(super) fn check(plural: &str, spec: &At<'_>) -> Vec<Fault> {
    match plural {
        "gatewayclasses" => class(spec),
        "gateways" => gateway(spec),
        "httproutes" => route::http(spec),
        "grpcroutes" => route::grpc(spec),
        "tlsroutes" | "tcproutes" => route::streams(spec),
        "referencegrants" => grant(spec),
        "backendtlspolicies" => backend_tls(spec),
        _ => Vec::new(),
    }
}

fn class(spec: &At<'_>) -> Vec<Fault> {
    let controller = spec.at("controllerName");
    let (domain, path) = controller.text().split_once('/').unwrap_or_default();
    let fits = names::subdomain(domain).is_empty() && !path.is_empty();
    let fault = || controller.invalid("must be DOMAIN/PATH, such as osier.dev/gateway-controller");
    (!fits).then(fault).into_iter().collect()
}

fn gateway(spec: &At<'_>) -> Vec<Fault> {
    let listeners = spec.at("listeners").items();
    let mut faults = spec.at("gatewayClassName").name(names::subdomain);
    for listener in &listeners {
        faults.extend(self::listener(listener));
    }
    faults.extend(unique(listeners.iter().map(|one| one.at("name"))));
    let place = |one: &At<'_>| {
        let [port, protocol, host] =
            ["port", "protocol", "hostname"].map(|field| one.at(field).value.clone());
        (port, protocol, host)
    };
    let again = |(index, one): (usize, &At<'_>)| {
        let before = listeners.iter().take(index);
        let same = before.into_iter().any(|other| place(other) == place(one));
        same.then(|| {
            one.invalid(
                "combination of port, protocol and hostname must be unique for each listener",
            )
        })
    };
    faults.extend(listeners.iter().enumerate().filter_map(again));
    let ports = spec.at("tls").at("frontend").at("perPort").items();
    faults.extend(unique(ports.iter().map(|one| one.at("port"))));
    faults
}

fn listener(listener: &At<'_>) -> Vec<Fault> {
    let (protocol, tls) = (listener.at("protocol"), listener.at("tls"));
    let host = listener.at("hostname");
    let mut faults = listener.at("name").name(names::subdomain);
    faults.extend(host.optional_name(hostname));
    let words = &*protocol.text().to_ascii_uppercase();
    if matches!(words, "HTTP" | "TCP" | "UDP") && tls.is_present() {
        faults.push(tls.forbidden("tls must not be specified for protocols HTTP, TCP and UDP"));
    }
    if matches!(words, "TCP" | "UDP") && host.is_set() {
        faults.push(host.forbidden("hostname must not be specified for protocols TCP and UDP"));
    }
    if words == "TLS" && !tls.is_present() {
        faults.push(tls.required("tls mode must be set for protocol TLS"));
    }
    let ends = tls.at("mode").text() != "Passthrough";
    if words == "HTTPS" && !ends {
        faults.push(
            tls.at("mode")
                .invalid("tls mode must be Terminate for protocol HTTPS"),
        );
    }
    faults.extend(namespaces(&listener.at("allowedRoutes").at("namespaces")));
    let certificates = tls.at("certificateRefs");
    if tls.is_present() && ends && !certificates.is_set() && !tls.at("options").is_set() {
        faults.push(
            certificates
                .required("certificateRefs or options must be specified when mode is Terminate"),
        );
    }
    faults
}

fn namespaces(namespaces: &At<'_>) -> Option<Fault> {
    let selector = namespaces.at("selector");
    let selects = namespaces.at("from").text() == "Selector";
    (selects && !selector.is_present())
        .then(|| selector.required("say by which labels namespaces are selected"))
}

fn backend_tls(spec: &At<'_>) -> Vec<Fault> {
    let validation = spec.at("validation");
    let (refs, known) = (
        validation.at("caCertificateRefs"),
        validation.at("wellKnownCACertificates"),
    );
    let mut faults = validation.at("hostname").name(hostname);
    match (refs.is_set(), known.is_set()) {
        (true, true) => faults.push(
            known.forbidden("must not contain both CACertificateRefs and WellKnownCACertificates"),
        ),
        (false, false) => faults.push(
            refs.required("must specify either CACertificateRefs or WellKnownCACertificates"),
        ),
        _ => {}
    }
    for name in validation.at("subjectAltNames").items() {
        let (field, other) = match name.at("type").text() {
            "URI" => ("uri", "hostname"),
            _ => ("hostname", "uri"),
        };
        if !name.at(field).is_set() {
            faults.push(name.at(field).required(""));
        }
        if name.at(other).is_set() {
            faults.push(name.at(other).forbidden("does not go with the type"));
        }
    }
    for target in spec.at("targetRefs").items() {
        faults.extend(target.at("name").name(|_| Vec::new()));
    }
    faults
}

fn grant(spec: &At<'_>) -> Vec<Fault> {
    let (from, to) = (spec.at("from").items(), spec.at("to").items());
    let mut faults = Vec::new();
    for one in from {
        faults.extend(one.at("kind").name(|_| Vec::new()));
        faults.extend(one.at("namespace").name(names::label));
    }
    for one in to {
        faults.extend(one.at("kind").name(|_| Vec::new()));
    }
    faults
}

/// `NAME` or `*.SUFFIX`; addresses are no host names.
fn hostname(text: &str) -> Vec<String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() {
        return vec!["must be a DNS name, not an IP address".to_owned()];
    }
    names::subdomain(name)
}

#[cfg(test)]
mod tests;
