//! `parentRefs` and `hostnames` of a route.

use std::sync::Arc;

use super::{Context, GATEWAY};
use crate::table::{Binding, HostName, RouteSet};
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_standing::FindingKind;
use osier_traffic::Fields;

/// Reads what a route attaches to. Parents of other kinds are for others to serve.
pub(super) fn read(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    for (path, reference) in spec.list("parentRefs") {
        let Some(mut fields) = Fields::new(reference, path, spec.findings()) else {
            continue;
        };
        let group = fields.text("group").unwrap_or(GATEWAY.group);
        let kind = fields.text("kind").unwrap_or(GATEWAY.name);
        let of = |known: Kind| known.group == group && known.name == kind;
        let namespace = fields.text("namespace").unwrap_or(context.namespace);
        let name = fields.text("name").unwrap_or_default();
        let mut binding = Binding {
            section: fields.text("sectionName").map(ToOwned::to_owned),
            port: fields.number("port"),
            reference: Some(Arc::new(reference.clone())),
            ..Binding::to(GATEWAY, namespace.to_owned(), name.to_owned())
        };
        if of(GATEWAY) {
            set.gateways.push(binding);
        } else if of(Kind::SERVICE) {
            binding.resource = Kind::SERVICE;
            set.services.push(binding);
        }
    }
}

/// Reads the hosts of a route; without any it takes those of its listeners.
pub(super) fn hosts(spec: &mut Fields<'_>) -> Vec<HostName> {
    let mut hosts = Vec::new();
    let written = spec.texts("hostnames");
    if written.is_empty() {
        return vec![HostName {
            text: "*".to_owned(),
            pattern: HostPattern::Any,
            field: spec.at("hostnames"),
        }];
    }
    for (field, text) in written {
        match HostPattern::parse(text) {
            Some(pattern) => hosts.push(HostName {
                text: text.to_ascii_lowercase(),
                pattern,
                field,
            }),
            None => {
                let detail = format!("{text:?} is not a host name or *.suffix; it is ignored");
                spec.findings().add(FindingKind::Invalid, field, detail);
            }
        }
    }
    hosts
}
