//! Where a BackendTLSPolicy has an effect: at the Gateways whose routes reach its Services, or between pods alone.

use std::sync::Arc;

use serde_json::{Value, json};

use osier_balancing::Trust;

use super::GATEWAY;
use super::backend_tls::BackendTls;
use crate::snapshot::Snapshot;
use crate::table::{Binding, RouteSet};
use osier_routing::endpoint::Place;
use osier_routing::route::{Action, ServiceName};
use osier_standing::{Attachment, ParentStanding, PolicyFault, PolicyStanding};

/// What became of each policy. `parents` are those of the route sets, in their order.
pub(crate) fn standings(
    policies: &[Arc<BackendTls>],
    (sets, parents): (&[Arc<RouteSet>], &[Vec<ParentStanding>]),
    services: &Snapshot,
) -> Vec<PolicyStanding> {
    let told = policies.iter().map(|policy| PolicyStanding {
        subject: policy.about.subject(policy.generation),
        ancestors: ancestors(policy, (sets, parents)),
        fault: fault(policy, policies, services),
        in_memory: in_memory(policy, services),
    });
    told.collect()
}

fn ancestors(
    policy: &BackendTls,
    (sets, parents): (&[Arc<RouteSet>], &[Vec<ParentStanding>]),
) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let reaching = sets.iter().zip(parents);
    for (set, parents) in reaching.filter(|(set, _)| reaches(set, policy)) {
        let accepted = |reference: &Arc<Value>| {
            let same = |parent: &&ParentStanding| Arc::ptr_eq(&parent.reference, reference);
            let parent = parents.iter().find(same);
            parent.is_some_and(|parent| parent.attachment == Attachment::Accepted)
        };
        let at = |binding: &&Binding| binding.reference.as_ref().is_some_and(accepted);
        for binding in set.gateways.iter().filter(at) {
            let gateway = json!({"group": GATEWAY.group, "kind": GATEWAY.name,
                "namespace": binding.namespace, "name": binding.name});
            if !found.contains(&gateway) {
                found.push(gateway);
            }
        }
    }
    if found.is_empty() {
        let services = policy.targets.iter();
        found.extend(services.map(|(name, _)| {
            json!({"group": "", "kind": "Service", "namespace": policy.about.namespace, "name": name})
        }));
    }
    found
}

/// Whether a rule sends requests to a Service of the policy.
fn reaches(set: &RouteSet, policy: &BackendTls) -> bool {
    let service = |service: &ServiceName| match service {
        ServiceName::Mesh { namespace, name } => {
            **namespace == *policy.about.namespace
                && policy.targets.iter().any(|(target, _)| *target == **name)
        }
        ServiceName::Other(_) | ServiceName::Nothing(_) => false,
    };
    set.rules.iter().any(|rule| match &rule.route.action {
        Action::Forward(forward) => {
            let mut destinations = forward.destinations.iter();
            destinations.any(|one| service(&one.destination.service))
        }
        Action::Redirect(_) | Action::Direct(_) => false,
    })
}

fn fault(
    policy: &BackendTls,
    policies: &[Arc<BackendTls>],
    services: &Snapshot,
) -> Option<PolicyFault> {
    let namespace = policy.about.namespace.as_str();
    let there = |(name, section): &(String, Option<String>)| {
        let service = services.named(name, namespace);
        service.is_some_and(|service| {
            let mut ports = service.ports.iter();
            let named = |section: &String| ports.any(|port| *port.name == **section);
            section.as_ref().is_none_or(named)
        })
    };
    let older = |other: &&Arc<BackendTls>| {
        other.about < policy.about && other.about.namespace == policy.about.namespace
    };
    let taken = |target: &(String, Option<String>)| {
        let mut older = policies.iter().filter(older);
        older.any(|other| other.targets.contains(target))
    };
    if !policy.targets.iter().any(there) {
        Some(PolicyFault::TargetNotFound)
    } else if policy.targets.iter().all(taken) {
        Some(PolicyFault::Conflicted)
    } else if policy.origination.trust == Trust::Nobody {
        Some(PolicyFault::NoCertificate)
    } else {
        None
    }
}

/// Whether its Services have pods behind them and nothing else: they are called in memory, where there is nothing to encrypt.
fn in_memory(policy: &BackendTls, services: &Snapshot) -> bool {
    let named = policy.targets.iter();
    let named = named.filter_map(|(name, _)| services.named(name, &policy.about.namespace));
    let ports = named.flat_map(|service| &service.ports);
    let mut endpoints = ports.flat_map(|port| &port.cluster.endpoints).peekable();
    endpoints.peek().is_some() && endpoints.all(|endpoint| endpoint.place == Place::Pod)
}
