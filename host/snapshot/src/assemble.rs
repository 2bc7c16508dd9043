//! Route sets to the routes between pods: which object speaks for which host, and what happens when two do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::claims::{self, Claim};
use crate::service_routes;
use crate::snapshot::Snapshot;
use crate::table::{Binding, Filed, HostName, HostSeen, RouteSet, kept_or};
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::names;
use osier_routing::route::Route;
use osier_routing::service::{Service, ServicePort};
use osier_standing::{Attachment, ParentStanding};
use osier_standing::{Finding, FindingKind, Findings};

/// Files route sets, oldest first, under their hosts. Hosts whose sets did not change are taken from `previous`. What became of
/// routes of Services is told in `parents`, set by set.
pub(crate) fn mesh(
    sets: &[Arc<RouteSet>],
    (services, previous): (&Snapshot, &Snapshot),
    (found, parents): (&mut Vec<Finding>, &mut [Vec<ParentStanding>]),
) -> HostIndex<HostSeen> {
    let (mut claims, mut by_service) = (HashMap::new(), ByService::new());
    for (set, parents) in sets.iter().zip(parents) {
        let findings = set.about.findings();
        if set.mesh {
            claim(set, services, &mut claims, &findings);
        }
        for binding in &set.services {
            let attachment = file_service(set, binding, services, &mut by_service);
            let reference = binding.reference.clone();
            parents.extend(reference.map(|reference| ParentStanding {
                reference,
                attachment,
            }));
        }
        found.extend(findings.into_vec());
    }
    let scoped = services.scopes.are_there();
    let mut by_host: HashMap<HostPattern, HostSeen> = HashMap::new();
    for (pattern, claims) in claims {
        let before = previous.mesh.get(&pattern);
        by_host.insert(pattern, claims::settle(&claims, scoped, before, found));
    }
    file_services(by_service, previous, &mut by_host);
    let mut index = HostIndex::default();
    for (pattern, seen) in by_host {
        index.insert(pattern, seen);
    }
    index
}

/// Files the routes of Services under their hosts. Where a VirtualService speaks of the service, its word counts.
fn file_services(
    by_service: ByService,
    previous: &Snapshot,
    by_host: &mut HashMap<HostPattern, HostSeen>,
) {
    for (host, (otherwise, filed)) in by_service {
        let pattern = HostPattern::Exact(host);
        let before = previous.mesh.get(&pattern);
        let before = before.and_then(|seen| seen.everyone.iter().find(|it| it.object().is_none()));
        let make = |filed| service_routes::routes(filed, &otherwise);
        let seen = by_host.entry(pattern).or_default();
        if seen.everyone.is_empty() {
            seen.everyone.push(kept_or(before, filed, make));
        }
    }
}

/// Routes of one Service, and where its calls go without them.
type ByService = HashMap<Box<str>, (Arc<Route>, Vec<Filed>)>;

/// A binding with the number of the port that it names, if the service has it.
fn port_of(service: &Service, binding: &Binding) -> Option<Binding> {
    let named = |port: &&ServicePort| {
        let section = binding.section.as_ref();
        section.is_none_or(|name| **name == *port.name)
            && binding.port.is_none_or(|number| number == port.port)
    };
    let port = service.ports.iter().find(named)?;
    let narrowed = binding.section.is_some() || binding.port.is_some();
    Some(Binding {
        port: narrowed.then_some(port.port),
        ..binding.clone()
    })
}

/// Files a route set under a Service of the mesh.
fn file_service(
    set: &Arc<RouteSet>,
    binding: &Binding,
    services: &Snapshot,
    by_service: &mut ByService,
) -> Attachment {
    let Some(service) = services.named(&binding.name, &binding.namespace) else {
        return Attachment::NoMatchingParent;
    };
    let Some(through) = port_of(service, binding) else {
        return Attachment::NoMatchingParent;
    };
    let new = || (Arc::clone(&service.default_route), Vec::new());
    let (_, filed) = by_service
        .entry(service.names.host.as_ref().into())
        .or_insert_with(new);
    match filed.iter_mut().find(|filed| Arc::ptr_eq(&filed.set, set)) {
        Some(filed) => filed.through.push(through),
        None => filed.push(Filed {
            set: Arc::clone(set),
            through: vec![through],
        }),
    }
    Attachment::Accepted
}

/// Notes for which hosts a route set wants to speak.
fn claim<'a>(
    set: &'a Arc<RouteSet>,
    services: &Snapshot,
    claims: &mut HashMap<HostPattern, Vec<Claim<'a>>>,
    findings: &Findings,
) {
    for host in &set.hosts {
        if host.pattern == HostPattern::Any {
            let detail = "\"*\" is not taken for calls between pods, it would cover every service: name services, or bind to a \
                          gateway in `gateways`";
            findings.add(FindingKind::Invalid, host.field.as_str(), detail);
            continue;
        }
        let of_host = claims.entry(mesh_pattern(host, set, services)).or_default();
        if of_host.iter().all(|claim| !Arc::ptr_eq(claim.set, set)) {
            of_host.push(Claim { set, host });
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
