//! ServiceEntries, WorkloadEntries and WorkloadGroups: hosts, ports, addresses, and how they are found.

use std::net::IpAddr;

use super::at::{At, unique};
use super::gateway::PROTOCOLS;
use super::{metadata, names};
use osier_api::Fault;

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let (hosts, ports) = (spec.at("hosts"), spec.at("ports"));
    let mut faults = Vec::new();
    if !hosts.is_set() {
        faults.push(hosts.required("service entry must have at least one host"));
    }
    for host in hosts.items() {
        faults.extend(host.name(names::host));
        if host.text() == "*" {
            faults.push(host.invalid("would stand for every host: name hosts, or *.example.com"));
        }
    }
    faults.extend(unique(hosts.items()));
    for port in ports.items() {
        faults.extend(port.at("protocol").one_of(&PROTOCOLS));
    }
    faults.extend(unique(ports.items().iter().map(|port| port.at("number"))));
    faults.extend(unique(ports.items().iter().map(|port| port.at("name"))));
    let addresses = spec.at("addresses").items();
    let odd = addresses.iter().filter(|address| !is_range(address.text()));
    faults.extend(odd.map(|address| address.invalid("must be an IP address or a CIDR range")));
    faults.extend(resolution(spec));
    faults.extend(spec.at("endpoints").items().iter().flat_map(check_workload));
    faults.extend(metadata::labels(&spec.at("workloadSelector").at("labels")));
    faults
}

fn is_range(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// What each way of finding addresses needs.
fn resolution(spec: &At<'_>) -> Vec<Fault> {
    let (endpoints, selector) = (spec.at("endpoints"), spec.at("workloadSelector"));
    let mode = spec.at("resolution");
    let mut faults = Vec::new();
    if endpoints.is_set() && selector.is_set() {
        faults.push(endpoints.forbidden("only one of workloadSelector and endpoints may be set"));
    }
    let addresses = endpoints.items();
    let named = addresses.iter().map(|entry| entry.at("address"));
    let named = named.filter(|address| address.text().parse::<IpAddr>().is_err());
    match mode.text() {
        "STATIC" => {
            if !endpoints.is_set() && !selector.is_set() {
                faults.push(endpoints.required(
                    "endpoints must be provided if service entry resolution mode is STATIC",
                ));
            }
            faults.extend(
                named.map(|address| {
                    address.invalid("must be an IP address if resolution is STATIC")
                }),
            );
        }
        "DNS" | "DNS_ROUND_ROBIN" => {
            let hosts = spec.at("hosts").items();
            let wild = hosts
                .iter()
                .filter(|host| host.text().starts_with('*') && !endpoints.is_set());
            faults.extend(wild.map(|host| {
                host.invalid("a wildcard has no address: give endpoints, or use resolution NONE")
            }));
        }
        _ if endpoints.is_set() => {
            faults.push(
                endpoints.forbidden(
                    "endpoints should not be set if service entry resolution mode is NONE",
                ),
            );
        }
        _ => {}
    }
    faults
}

pub(super) fn check_workload(spec: &At<'_>) -> Vec<Fault> {
    let address = spec.at("address");
    let mut faults = metadata::labels(&spec.at("labels"));
    let text = address.text();
    if address.is_set() && text.parse::<IpAddr>().is_err() && !text.starts_with("unix://") {
        faults.extend(address.name(names::host));
    }
    faults
}

pub(super) fn check_group(spec: &At<'_>) -> Vec<Fault> {
    check_workload(&spec.at("template"))
}
