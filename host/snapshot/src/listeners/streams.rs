//! Rules for whole connections, filed under the server names that they take.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Draft;
use super::{Placed, common, not_taken, server_of};
use crate::listener::{Application, StreamRoute};
use crate::table::{Binding, RouteSet, StreamRule};
use osier_routing::hosts::HostPattern;
use osier_standing::{FindingKind, Findings, ListenerKey};
use osier_traffic::{Tls, TlsMode};

/// Files one rule under the servers of a gateway. The first that takes a server name keeps it.
pub(super) fn bind(
    (set, rule): (&RouteSet, &StreamRule),
    binding: &Binding,
    (placed, drafts): (&[&Placed], &mut BTreeMap<ListenerKey, Draft>),
    findings: &Findings,
) {
    if !rule.source.is_for(&binding.namespace, &binding.name) {
        return;
    }
    let route = Arc::new(StreamRoute {
        name: Arc::clone(&rule.name),
        forward: rule.forward.clone(),
    });
    for host in &set.hosts {
        let mut any = false;
        for placed in placed {
            if rule.port.is_some_and(|port| placed.spec.port != Some(port)) {
                continue;
            }
            let hosts = common(&placed.spec, &set.about, &host.pattern);
            let Some(server) = server_of(placed, drafts) else {
                continue;
            };
            // Server names are seen where TLS passes through; where it ends, as on a plain port, the port decides.
            let named = !rule.server_names.is_empty();
            let fits = server.application == Application::Stream
                && (!named || server.tls.as_ref().is_some_and(passes));
            if !fits {
                continue;
            }
            let encrypted = server.tls.is_some();
            for pattern in hosts
                .iter()
                .flat_map(|(_, host)| narrowed(host, rule, encrypted))
            {
                any = true;
                let kept = server
                    .streams
                    .entry(pattern)
                    .or_insert_with(|| Arc::clone(&route));
                if kept.name != route.name {
                    let detail =
                        format!("rule {} is older and takes the same connections", kept.name);
                    findings.add(FindingKind::Conflict, host.field.as_str(), detail);
                }
            }
        }
        if !any {
            not_taken(host, binding, findings);
        }
    }
}

/// The server names that a rule takes of a host. A plain connection has none: there the rule takes every one.
fn narrowed(host: &HostPattern, rule: &StreamRule, encrypted: bool) -> Vec<HostPattern> {
    if !encrypted {
        return vec![HostPattern::Any];
    }
    if rule.server_names.is_empty() {
        return vec![host.clone()];
    }
    let names = rule.server_names.iter();
    names.filter_map(|name| name.intersect(host)).collect()
}

fn passes(tls: &Tls) -> bool {
    tls.mode == TlsMode::Passthrough
}
