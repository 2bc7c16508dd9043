//! Probes and lifecycle hooks.

use super::at::At;
use super::service;
use osier_api::Fault;

/// Every probe and hook of a container.
pub(super) fn check_all(container: &At<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.at(name);
        if probe.is_present() {
            faults.extend(check(&probe, name != "readinessProbe"));
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = container.at("lifecycle").at(hook);
        if hook.is_present() {
            faults.extend(handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"]));
        }
    }
    faults
}

fn check(probe: &At<'_>, once: bool) -> Vec<Fault> {
    let mut faults = handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"]);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        faults.extend(probe.at(field).at_least(0));
    }
    let threshold = probe.at("successThreshold");
    if once && threshold.int().is_some_and(|count| count > 1) {
        faults.push(threshold.invalid("must be 1"));
    }
    faults
}

/// Exactly one of the kinds, and that one sound.
fn handler(probe: &At<'_>, kinds: &[&str]) -> Vec<Fault> {
    let set: Vec<&str> = kinds
        .iter()
        .copied()
        .filter(|kind| probe.at(kind).is_present())
        .collect();
    let [kind] = set.as_slice() else {
        let none = || probe.required("must specify a handler type");
        let many = |second: &&str| {
            probe
                .at(second)
                .forbidden("may not specify more than 1 handler type")
        };
        return vec![set.get(1).map_or_else(none, many)];
    };
    let action = probe.at(kind);
    let mut faults = Vec::new();
    match *kind {
        "exec" if !action.at("command").is_set() => faults.push(action.at("command").required("")),
        "httpGet" => {
            if !action.at("path").is_set() {
                faults.push(action.at("path").required(""));
            }
            faults.extend(service::number(&action.at("port"), true));
            faults.extend(action.at("scheme").one_of(&["HTTP", "HTTPS"]));
        }
        "tcpSocket" | "grpc" => faults.extend(service::number(&action.at("port"), true)),
        _ => {}
    }
    faults
}
