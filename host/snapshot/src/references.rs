//! What route objects name must exist: checked on every compile, because the other side comes and goes on its own.

use std::sync::Arc;

use crate::finding::{Finding, FindingKind, Findings};
use crate::istio::destination_rule::{self, DestinationPolicy};
use crate::route::{Action, Destination, Route, ServiceName};
use crate::snapshot::{Missing, Snapshot};
use crate::table::RouteSet;

/// Reports destinations without a service, port or subset, rules about services that do not exist, and subsets said twice.
pub(crate) fn check(
    snapshot: &Snapshot,
    sets: &[Arc<RouteSet>],
    policies: &[&Arc<DestinationPolicy>],
    found: &mut Vec<Finding>,
) {
    for set in sets {
        check_set(snapshot, set, found);
    }
    for policy in policies {
        check_policy(snapshot, policy, found);
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
        let rule_name = rule.route.name.rsplit('/').next().unwrap_or_default();
        let mirrors = rule.route.mirrors.iter().map(|mirror| &mirror.route);
        let routes = std::iter::once((
            &rule.route,
            "route",
            "its share of requests is answered with 503",
        ))
        .chain(mirrors.map(|route| (route, "mirror", "no copies are sent to it")));
        for (route, field, effect) in routes {
            for missing in missing_of(snapshot, route) {
                let findings =
                    Findings::about(set.about.resource, &set.about.namespace, &set.about.name);
                let field = format!("spec.{rule_name}.{field}");
                findings.add(
                    FindingKind::Reference,
                    field,
                    format!("{missing}; {effect}"),
                );
                found.extend(findings.into_vec());
            }
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

fn check_policy(snapshot: &Snapshot, policy: &DestinationPolicy, found: &mut Vec<Finding>) {
    let findings = Findings::about(destination_rule::KIND, &policy.namespace, &policy.name);
    match &policy.service {
        ServiceName::Mesh { name, .. } if &**name == "*" => {}
        ServiceName::Mesh { namespace, name } => {
            if snapshot.destination_service(&policy.service).is_err() {
                let detail = Missing::Service(format!("{name}.{namespace}"));
                findings.add(
                    FindingKind::Reference,
                    "spec.host",
                    format!("{detail}; the object has no effect"),
                );
            }
        }
        ServiceName::Other(host) => {
            findings.add(
                FindingKind::Reference,
                "spec.host",
                format!("{host:?} is not a service; the object has no effect"),
            );
        }
    }
    for (index, subset) in policy.subsets.iter().enumerate() {
        if policy
            .subsets
            .iter()
            .take(index)
            .any(|other| other.name == subset.name)
        {
            findings.add(
                FindingKind::Conflict,
                subset.field.as_str(),
                format!(
                    "subset {:?} is defined twice; the first counts",
                    subset.name
                ),
            );
        }
    }
    found.extend(findings.into_vec());
}
