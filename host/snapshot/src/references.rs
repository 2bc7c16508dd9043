//! What route objects name must exist: checked on every compile, because the other side comes and goes on its own.

use std::collections::HashSet;
use std::sync::Arc;

use osier_balancing::Upstream;

use crate::endpoint::Place;
use crate::finding::{Finding, FindingKind, Findings};
use crate::istio::destination_rule::{self, DestinationPolicy};
use crate::route::{Action, Destination, Route, ServiceName};
use crate::secret::Secrets;
use crate::snapshot::{Missing, Snapshot};
use crate::table::RouteSet;

/// Reports destinations without a service, port or subset, rules about services that do not exist, and subsets said twice.
pub(crate) fn check<'a>(
    snapshot: &Snapshot,
    sets: &[Arc<RouteSet>],
    (policies, secrets): (impl Iterator<Item = &'a Arc<DestinationPolicy>>, &Secrets),
    found: &mut Vec<Finding>,
) {
    for set in sets {
        check_set(snapshot, set, found);
    }
    for policy in policies {
        check_policy(snapshot, policy, secrets, found);
    }
}

fn check_set(snapshot: &Snapshot, set: &RouteSet, found: &mut Vec<Finding>) {
    let mut last = None;
    for rule in &set.rules {
        let route = Arc::as_ptr(&rule.route);
        // Rules of one route stand together.
        if last.replace(route) == Some(route) {
            continue;
        }
        let mut report = |route: &Route, field: &str, effect: &str| {
            let rule_name = rule.route.name.rsplit('/').next().unwrap_or_default();
            let findings = set.about.findings();
            for missing in missing_of(snapshot, route) {
                let field = format!("spec.{rule_name}.{field}");
                findings.add(
                    FindingKind::Reference,
                    field,
                    format!("{missing}; {effect}"),
                );
            }
            found.extend(findings.into_vec());
        };
        report(
            &rule.route,
            "route",
            "its share of requests is answered with 503",
        );
        for mirror in &rule.route.mirrors {
            report(&mirror.route, "mirror", "no copies are sent to it");
        }
    }
}

fn missing_of(snapshot: &Snapshot, route: &Route) -> Vec<String> {
    match &route.action {
        Action::Forward(forward) => {
            let destinations = forward.destinations.iter();
            destinations
                .filter_map(|weighted| missing(snapshot, &weighted.destination))
                .collect()
        }
        Action::Redirect(_) | Action::Direct(_) => Vec::new(),
    }
}

fn missing(snapshot: &Snapshot, destination: &Destination) -> Option<String> {
    let service = match snapshot.destination_service(&destination.service) {
        Ok(service) => service,
        // Its reader has said why.
        Err(Missing::Nothing(_)) => return None,
        Err(missing) => return Some(missing.to_string()),
    };
    if let (None, [first, _, ..]) = (destination.port, service.ports.as_slice()) {
        // The caller's own port decides; the subset can still be checked.
        return snapshot
            .cluster(destination, first.port)
            .err()
            .map(|missing| missing.to_string());
    }
    let port = service.ports.first().map_or(0, |port| port.port);
    snapshot
        .cluster(destination, port)
        .err()
        .map(|missing| missing.to_string())
}

fn check_policy(
    snapshot: &Snapshot,
    policy: &DestinationPolicy,
    secrets: &Secrets,
    found: &mut Vec<Finding>,
) {
    let findings = Findings::about(destination_rule::KIND, &policy.namespace, &policy.name);
    if let Some(fault) = policy_fault(snapshot, &policy.service) {
        let detail = format!("{fault}; the object has no effect");
        findings.add(FindingKind::Reference, "spec.host", detail);
    }
    for said in policy.upstreams() {
        if let Some(field) = said
            .of_connections
            .as_ref()
            .filter(|_| is_in_memory(snapshot, &policy.service))
        {
            let detail = "not applied: pods are called in memory, without connections; http2MaxRequests and maxRetries are applied";
            findings.add(FindingKind::NotApplied, field.as_str(), detail);
        }
        if let Err(reason) = said.apply(&mut Upstream::default(), secrets) {
            let field = said.names_secret.as_str();
            findings.add(FindingKind::Reference, field, reason);
        }
    }
    let mut known = HashSet::new();
    for subset in policy
        .subsets
        .iter()
        .filter(|subset| !known.insert(&subset.name))
    {
        let detail = format!(
            "subset {:?} is defined twice; the first counts",
            subset.name
        );
        findings.add(FindingKind::Conflict, subset.field.as_str(), detail);
    }
    found.extend(findings.into_vec());
}

/// Whether a service has pods behind it and nothing else.
fn is_in_memory(snapshot: &Snapshot, service: &ServiceName) -> bool {
    let service = snapshot.destination_service(service).ok();
    let ports = service.into_iter().flat_map(|service| &service.ports);
    let mut endpoints = ports.flat_map(|port| &port.cluster.endpoints).peekable();
    endpoints.peek().is_some() && endpoints.all(|endpoint| endpoint.place == Place::Pod)
}

fn policy_fault(snapshot: &Snapshot, service: &ServiceName) -> Option<String> {
    match service {
        ServiceName::Mesh { name, .. } if &**name == "*" => None,
        _ => Some(snapshot.destination_service(service).err()?.to_string()),
    }
}
