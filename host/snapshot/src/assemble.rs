//! Route sets to the routes between pods: which object speaks for which host, and what happens when two do.

use std::sync::Arc;

use crate::finding::{Finding, FindingKind, Findings};
use crate::hosts::{HostIndex, HostPattern};
use crate::names;
use crate::snapshot::Snapshot;
use crate::table::{ByHost, Filed, HostName, HostRoutes, RouteSet, index};

/// Files route sets, oldest first, under their hosts. Hosts whose sets did not change are taken from `previous`.
pub(crate) fn mesh(
    sets: &[Arc<RouteSet>],
    (services, previous): (&Snapshot, &Snapshot),
    found: &mut Vec<Finding>,
) -> HostIndex<Arc<HostRoutes>> {
    let mut by_host = ByHost::new();
    for set in sets.iter().filter(|set| set.mesh) {
        let findings = set.about.findings();
        file_mesh(set, services, &mut by_host, &findings);
        found.extend(findings.into_vec());
    }
    index(by_host, Some(&previous.mesh))
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
            Some(first) if Arc::ptr_eq(&first.set, set) => {}
            Some(first) => {
                let about = &first.set.about;
                let detail = format!(
                    "{} {}/{} is older and decides for host {:?}",
                    about.resource, about.namespace, about.name, host.text
                );
                findings.add(FindingKind::Conflict, host.field.as_str(), detail);
            }
            None => filed.push(Filed {
                set: Arc::clone(set),
                through: Vec::new(),
            }),
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
