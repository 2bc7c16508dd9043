//! Sidecars: the hosts that pods call, port by port; PeerAuthentications: how who calls them is proved.

use super::at::{At, unique};
use super::{metadata, names};
use osier_api::Fault;

pub(super) fn check(spec: &At<'_>) -> Vec<Fault> {
    let egress = spec.at("egress").items();
    let mut faults = metadata::labels(&spec.at("workloadSelector").at("labels"));
    for (index, listener) in egress.iter().enumerate() {
        let (hosts, port) = (listener.at("hosts"), listener.at("port"));
        if !hosts.is_set() {
            let detail = "name hosts as namespace/dnsName, or ~/* for none";
            faults.push(hosts.required(detail));
        }
        faults.extend(hosts.items().iter().flat_map(check_host));
        if !port.is_present() && index + 1 < egress.len() {
            let detail = "is for every port that no other entry names: it must be the last one";
            faults.push(listener.invalid(detail));
        }
    }
    let numbers = egress
        .iter()
        .map(|listener| listener.at("port").at("number"));
    faults.extend(unique(numbers));
    faults
}

/// `namespace/dnsName`.
fn check_host(host: &At<'_>) -> Vec<Fault> {
    let Some((namespace, name)) = host.text().split_once('/') else {
        return vec![host.invalid("must be namespace/dnsName, such as ./*, prod/api.prod.svc.cluster.local or */*.example.com")];
    };
    let words = match namespace {
        "*" | "." | "~" => Vec::new(),
        other => names::label(other),
    };
    let words = words.into_iter().chain(names::host(name));
    words.map(|words| host.invalid(words)).collect()
}

/// PeerAuthentications: ports are those of pods that are selected.
pub(super) fn check_peer_authentication(spec: &At<'_>) -> Vec<Fault> {
    let labels = spec.at("selector").at("matchLabels");
    let ports = spec.at("portLevelMtls");
    let mut faults = metadata::labels(&labels);
    if ports.is_set() && !labels.is_set() {
        let detail = "a selector must choose the pods whose ports these are";
        faults.push(ports.forbidden(detail));
    }
    for (number, port) in ports.entries() {
        if !number.parse::<u16>().is_ok_and(|number| number > 0) {
            faults.push(port.invalid("its key must be a port, 1 to 65535"));
        }
    }
    faults
}
