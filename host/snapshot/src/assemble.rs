//! Route sets to the route table: which object speaks for which host, and what happens when two do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::finding::{Finding, FindingKind, Findings};
use crate::hosts::{HostIndex, HostPattern};
use crate::istio::gateway::Gateway;
use crate::names;
use crate::snapshot::Snapshot;
use crate::table::{HostName, HostRoutes, RouteSet, RouteTable};

/// Files route sets, oldest first, under their hosts. Hosts whose sets did not change are taken from `previous`.
pub(crate) fn table(
    sets: &[Arc<RouteSet>],
    gateways: &Gateways<'_>,
    (services, previous): (&Snapshot, &RouteTable),
    found: &mut Vec<Finding>,
) -> RouteTable {
    let mut mesh: ByHost = HashMap::new();
    let mut gateway: ByHost = HashMap::new();
    for set in sets {
        let findings = set.about.findings();
        if set.mesh {
            file_mesh(set, services, &mut mesh, &findings);
        }
        file_gateway(set, gateways, &mut gateway, &findings);
        found.extend(findings.into_vec());
    }
    RouteTable {
        mesh: index(mesh, &previous.mesh, false),
        gateway: index(gateway, &previous.gateway, true),
    }
}

/// Gateway objects by (namespace, name).
pub(crate) type Gateways<'a> = HashMap<(&'a str, &'a str), &'a Gateway>;

/// Route sets by host.
type ByHost = HashMap<HostPattern, Vec<Arc<RouteSet>>>;

fn index(
    sets: ByHost,
    previous: &HostIndex<Arc<HostRoutes>>,
    of_gateway: bool,
) -> HostIndex<Arc<HostRoutes>> {
    let mut index = HostIndex::default();
    for (pattern, sets) in sets {
        let kept = previous
            .get(&pattern)
            .filter(|routes| routes.is_made_of(&sets))
            .cloned();
        let routes = kept.unwrap_or_else(|| Arc::new(HostRoutes::new(sets, of_gateway)));
        index.insert(pattern, routes);
    }
    index
}

/// Between pods one object speaks for a host: the oldest.
fn file_mesh(set: &Arc<RouteSet>, services: &Snapshot, by_host: &mut ByHost, findings: &Findings) {
    for host in &set.hosts {
        if host.pattern == HostPattern::Any {
            let detail = "\"*\" is not taken for calls between pods, it would cover every service: name services, or bind to a \
                          gateway in `gateways`";
            findings.add(FindingKind::Invalid, host.field.as_str(), detail);
            continue;
        }
        let filed = by_host
            .entry(mesh_pattern(host, set, services))
            .or_default();
        match filed.first() {
            Some(first) if Arc::ptr_eq(first, set) => {}
            Some(first) => {
                let (namespace, name) = (&first.about.namespace, &first.about.name);
                let detail = format!(
                    "{} {namespace}/{name} is older and decides for host {:?}",
                    first.about.resource, host.text
                );
                findings.add(FindingKind::Conflict, host.field.as_str(), detail);
            }
            None => filed.push(Arc::clone(set)),
        }
    }
}

/// A service's host in its full form; other names as they are.
fn mesh_pattern(host: &HostName, set: &RouteSet, services: &Snapshot) -> HostPattern {
    let HostPattern::Exact(text) = &host.pattern else {
        return host.pattern.clone();
    };
    let namespace = set.about.namespace.as_str();
    match names::service_of(text, Some(namespace), &services.domain) {
        Some((name, of)) if !text.contains('.') || services.has(name, of) => {
            HostPattern::Exact(names::full_name(name, of, &services.domain).into())
        }
        _ => host.pattern.clone(),
    }
}

/// At the gateway the rules of several objects for one host are joined.
fn file_gateway(
    set: &Arc<RouteSet>,
    gateways: &Gateways<'_>,
    by_host: &mut ByHost,
    findings: &Findings,
) {
    for (namespace, name) in &set.gateways {
        let gateway = gateways.get(&(namespace.as_str(), name.as_str()));
        if gateway.is_none() {
            let detail = format!(
                "Gateway {namespace}/{name} does not exist; the node's own gateway listener serves the routes"
            );
            findings.add(FindingKind::Reference, "spec.gateways", detail);
        }
        let served = gateway.map_or(&[HostPattern::Any][..], |gateway| &gateway.hosts);
        for host in &set.hosts {
            if !file_host(set, &host.pattern, served, by_host) {
                let detail = format!(
                    "no server of Gateway {namespace}/{name} takes host {:?}",
                    host.text
                );
                findings.add(FindingKind::Reference, host.field.as_str(), detail);
            }
        }
    }
}

/// Files a host under what the gateway serves of it; false if that is nothing.
fn file_host(
    set: &Arc<RouteSet>,
    host: &HostPattern,
    served: &[HostPattern],
    by_host: &mut ByHost,
) -> bool {
    let mut any = false;
    for pattern in served.iter().filter_map(|pattern| pattern.intersect(host)) {
        any = true;
        let filed = by_host.entry(pattern).or_default();
        if !filed.iter().any(|other| Arc::ptr_eq(other, set)) {
            filed.push(Arc::clone(set));
        }
    }
    any
}
