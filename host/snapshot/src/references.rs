//! What route objects name must exist: checked on every compile, because the other side comes and goes on its own.

use std::collections::HashSet;
use std::sync::Arc;

use osier_balancing::Upstream;

use crate::istio::destination_rule::{self, DestinationPolicy};
use crate::snapshot::Snapshot;
use crate::table::RouteSet;
use osier_routing::endpoint::Place;
use osier_routing::miss::Missing;
use osier_routing::route::{Action, Destination, Route, ServiceName};
use osier_routing::service::{Caller, Cluster};
use osier_standing::{Finding, FindingKind, Findings};
use osier_traffic::Secrets;

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
        let route = Arc::as_ptr(&rule.route.name);
        // Rules of one route stand together.
        if last.replace(route) == Some(route) {
            continue;
        }
        let mut report = |route: &Route, field: &str, effect: &str| {
            let rule_name = rule.route.name.rsplit('/').next().unwrap_or_default();
            let field = format!("spec.{rule_name}.{field}");
            let findings = set.about.findings();
            for destination in destinations(route) {
                if let Some(missing) = missing(snapshot, set, destination) {
                    let detail = format!("{missing}; {effect}");
                    findings.add(FindingKind::Reference, field.as_str(), detail);
                } else if let Some(missing) = missing_elsewhere(snapshot, set, destination) {
                    let detail = format!("for callers of other namespaces: {missing}; {effect}");
                    findings.add(FindingKind::NotApplied, field.as_str(), detail);
                }
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

fn destinations(route: &Route) -> impl Iterator<Item = &Destination> {
    let forward = match &route.action {
        Action::Forward(forward) => Some(forward),
        Action::Redirect(_) | Action::Direct(_) => None,
    };
    let all = forward.into_iter().flat_map(|it| &it.destinations);
    all.map(|weighted| &weighted.destination)
}

/// What a destination lacks, as its object's namespace sees it.
fn missing(snapshot: &Snapshot, set: &RouteSet, destination: &Destination) -> Option<Missing> {
    match reached(snapshot, destination, &set.about.namespace).err()? {
        // Its reader has said why.
        Missing::Nothing(_) => None,
        // Between pods the caller's namespace decides, not the route's.
        Missing::NotExported { .. } if set.mesh => None,
        missing => Some(missing),
    }
}

/// The subset that callers lack to whom a rule speaks and for whom no rule of the object's namespace defines it.
fn missing_elsewhere(
    snapshot: &Snapshot,
    set: &RouteSet,
    destination: &Destination,
) -> Option<Missing> {
    let everyone = set.mesh && set.export.is_everywhere();
    let missing = reached(snapshot, destination, "")
        .err()
        .filter(|_| everyone)?;
    matches!(missing, Missing::Subset(..)).then_some(missing)
}

fn reached<'a>(
    snapshot: &'a Snapshot,
    destination: &Destination,
    namespace: &str,
) -> Result<&'a Arc<Cluster>, Missing> {
    let service = snapshot.destination_service(&destination.service, Some(namespace))?;
    // Where the caller's own port decides, the subset can still be checked.
    let port = service.ports.first().map_or(0, |port| port.port);
    let found = snapshot.cluster(destination, port, &Caller::of(namespace));
    // A rule may define the subset for some workloads of the namespace only.
    let for_some = || {
        let chosen = &service.port_for(destination.port, port)?.chosen;
        let mut own = chosen.iter().filter(|one| *one.namespace == *namespace);
        own.find_map(|one| one.view.cluster(destination.subset.as_deref()))
    };
    found.or_else(|missing| match missing {
        Missing::Subset(..) => for_some().ok_or(missing),
        other => Err(other),
    })
}

fn check_policy(
    snapshot: &Snapshot,
    policy: &DestinationPolicy,
    secrets: &Secrets,
    found: &mut Vec<Finding>,
) {
    let findings = Findings::about(destination_rule::KIND, &policy.namespace, &policy.name);
    if let Some(fault) = policy_fault(snapshot, policy) {
        let detail = format!("{fault}; the object has no effect");
        findings.add(FindingKind::Reference, "spec.host", detail);
    }
    for said in policy.upstreams() {
        let unapplied = said.of_connections.iter();
        for field in unapplied.filter(|_| is_in_memory(snapshot, &policy.service)) {
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
    let service = snapshot.destination_service(service, None).ok();
    let ports = service.into_iter().flat_map(|service| &service.ports);
    let mut endpoints = ports.flat_map(|port| &port.cluster.endpoints).peekable();
    endpoints.peek().is_some() && endpoints.all(|endpoint| endpoint.place == Place::Pod)
}

fn policy_fault(snapshot: &Snapshot, policy: &DestinationPolicy) -> Option<String> {
    if !policy.wide.is_empty() {
        return None;
    }
    let service = snapshot.destination_service(&policy.service, None);
    Some(service.err()?.to_string())
}
