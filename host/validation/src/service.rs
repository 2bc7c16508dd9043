//! Services and Endpoints.

use serde_json::Value;

use super::at::{At, unique};
use super::{metadata, names};
use osier_api::{Fault, Object};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (kind, address, ports) = (spec.at("type"), spec.at("clusterIP"), spec.at("ports"));
    faults.extend(kind.one_of(&TYPES));
    faults.extend(spec.at("sessionAffinity").one_of(&["ClientIP", "None"]));
    faults.extend(metadata::labels(&spec.at("selector")));
    let external = kind.text() == "ExternalName";
    if external {
        faults.extend(
            spec.at("externalName")
                .name(|name| names::subdomain(&name.to_lowercase())),
        );
        if address.is_set() && address.text() != "None" {
            faults.push(address.forbidden("may not be set when `type` is ExternalName"));
        }
    } else if !ports.is_set() && address.text() != "None" {
        faults.push(ports.required(""));
    }
    if address.text() != "None" {
        faults.extend(address.optional_name(names::ip));
    } else if matches!(kind.text(), "LoadBalancer" | "NodePort") {
        faults.push(
            address.invalid("may not be set to 'None' for LoadBalancer or NodePort services"),
        );
    }
    for external in spec.at("externalIPs").items() {
        faults.extend(external.name(names::ip));
    }
    faults.extend(self::ports(&ports));
    faults
}

fn ports(list: &At<'_>) -> Vec<Fault> {
    let ports = list.items();
    let mut faults: Vec<Fault> = ports
        .iter()
        .flat_map(|port| self::port(port, ports.len() > 1))
        .collect();
    faults.extend(unique(ports.iter().map(|port| port.at("name"))));
    let mut seen: Vec<(&Value, &str)> = Vec::new();
    for port in &ports {
        let pair = (port.at("port").value, port.at("protocol").text());
        if seen.contains(&pair) {
            faults.push(port.duplicate());
        }
        seen.push(pair);
    }
    faults
}

fn port(port: &At<'_>, several: bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let name = port.at("name");
    if several && !name.is_set() {
        faults.push(name.required(""));
    }
    faults.extend(name.optional_name(names::label));
    faults.extend(number(&port.at("port"), true));
    faults.extend(number(&port.at("targetPort"), false));
    faults.extend(node_port(&port.at("nodePort")));
    faults.extend(port.at("protocol").one_of(&PROTOCOLS));
    faults
}

fn node_port(port: &At<'_>) -> Option<Fault> {
    if port.int() == Some(0) {
        None
    } else {
        number(port, false)
    }
}

/// A port by number, or by name where the value is a text.
pub(super) fn number(port: &At<'_>, required: bool) -> Option<Fault> {
    if let Some(name) = port.value.as_str() {
        return names::port(name)
            .into_iter()
            .next()
            .map(|words| port.invalid(words));
    }
    if !required && !port.is_present() {
        return None;
    }
    let fits = port
        .int()
        .is_some_and(|number| (1..=65535).contains(&number));
    (!fits).then(|| Fault::invalid(&port.path, port.int().unwrap_or(0), names::PORT))
}

/// An EndpointSlice.
pub(super) fn check_slice(slice: &Object) -> Vec<Fault> {
    let kind = At::of(slice, "addressType");
    let mut faults: Vec<Fault> = kind.one_of(&["IPv4", "IPv6", "FQDN"]).into_iter().collect();
    if !kind.is_set() {
        faults.push(kind.required(""));
    }
    for endpoint in At::of(slice, "endpoints").items() {
        let addresses = endpoint.at("addresses");
        if !addresses.is_set() {
            faults.push(addresses.required("must contain at least 1 address"));
        }
        let rule = if kind.text() == "FQDN" {
            names::subdomain
        } else {
            names::ip
        };
        let found = addresses.items().into_iter();
        faults.extend(found.flat_map(|address| address.name(rule)));
    }
    let ports = At::of(slice, "ports").items();
    faults.extend(unique(ports.iter().map(|port| port.at("name"))));
    for port in &ports {
        faults.extend(number(&port.at("port"), false));
        faults.extend(port.at("protocol").one_of(&PROTOCOLS));
    }
    faults
}

/// The kind of addresses stays.
pub(super) fn check_slice_update(old: &Object, new: &Object) -> Vec<Fault> {
    let (before, after) = (At::of(old, "addressType"), At::of(new, "addressType"));
    let moved = before.value != after.value;
    moved
        .then(|| Fault::immutable(&after.path, after.value.clone()))
        .into_iter()
        .collect()
}

pub(super) fn check_endpoints(subsets: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for subset in subsets.items() {
        let (ready, waiting, ports) = (
            subset.at("addresses"),
            subset.at("notReadyAddresses"),
            subset.at("ports"),
        );
        if !ready.is_set() && !waiting.is_set() {
            faults.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
        }
        for address in ready.items().into_iter().chain(waiting.items()) {
            faults.extend(address.at("ip").name(names::ip));
        }
        let ports = ports.items();
        for port in &ports {
            let name = port.at("name");
            if ports.len() > 1 && !name.is_set() {
                faults.push(name.required(""));
            }
            faults.extend(name.optional_name(names::label));
            faults.extend(number(&port.at("port"), true));
            faults.extend(port.at("protocol").one_of(&PROTOCOLS));
        }
    }
    faults
}
