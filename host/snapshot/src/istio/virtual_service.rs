//! VirtualService: its hosts, gateways and HTTP routes, as a [`RouteSet`].

use std::sync::Arc;

use osier_api::Object;

use super::{Context, actions, matches};
use crate::finding::Findings;
use crate::hosts::HostPattern;
use crate::matcher::{Matcher, SourceMatch};
use crate::read::Fields;
use crate::rules::Rule;
use crate::table::{About, HostName, RouteSet};

pub(crate) const KIND: &str = "VirtualService";

/// The reserved gateway name that stands for calls between pods.
const MESH: &str = "mesh";

/// Reads one VirtualService.
pub(crate) fn compile(object: &Object, domain: &str) -> RouteSet {
    let context = Context {
        namespace: object.namespace(),
        name: object.name(),
        domain,
    };
    let findings = Findings::about(KIND, context.namespace, context.name);
    let mut set = RouteSet {
        about: About {
            created: object
                .get(&["metadata", "creationTimestamp"])
                .and_then(|v| v.as_str())
                .unwrap_or_default()
                .to_owned(),
            namespace: context.namespace.to_owned(),
            name: context.name.to_owned(),
            resource: KIND,
        },
        hosts: Vec::new(),
        mesh: false,
        gateways: Vec::new(),
        rules: Vec::new(),
        findings: Vec::new(),
    };
    if let Some(mut spec) = object
        .get(&["spec"])
        .and_then(|value| Fields::new(value, "spec".into(), &findings))
    {
        read_spec(&mut spec, context, &mut set);
    }
    set.findings = findings.into_vec();
    set
}

fn read_spec(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    for (field, text) in spec.texts("hosts") {
        match HostPattern::parse(text) {
            Some(pattern) => set.hosts.push(HostName {
                text: text.to_ascii_lowercase(),
                pattern,
                field,
            }),
            None => spec.findings().add(
                crate::FindingKind::Invalid,
                field,
                format!("{text:?} is not a host name, *.suffix or *; it is ignored"),
            ),
        }
    }
    let gateways: Vec<&str> = spec
        .texts("gateways")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    set.mesh = gateways.is_empty() || gateways.contains(&MESH);
    set.gateways = gateways
        .iter()
        .filter(|name| **name != MESH)
        .map(|name| gateway_name(name, context.namespace))
        .collect();
    for (field, text) in spec.texts("exportTo") {
        if text != "*" {
            spec.findings().add(
                crate::FindingKind::NotApplied,
                field,
                "not applied yet: the routes are visible everywhere",
            );
        }
    }
    let everywhere = SourceMatch {
        mesh: set.mesh,
        gateway: !set.gateways.is_empty(),
        ..SourceMatch::default()
    };
    for (index, mut http) in (0..).zip(spec.objects("http")) {
        read_http(&mut http, index, (context, &everywhere), &mut set.rules);
    }
}

/// `name`, `namespace/name` or the full name of a gateway, as (namespace, name).
fn gateway_name(text: &str, namespace: &str) -> (String, String) {
    match text.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (namespace.to_owned(), text.to_owned()),
    }
}

fn read_http(
    http: &mut Fields<'_>,
    index: u32,
    (context, everywhere): (Context<'_>, &SourceMatch),
    rules: &mut Vec<Rule>,
) {
    let own_name = http
        .text("name")
        .map_or_else(|| format!("http[{index}]"), str::to_owned);
    let name = format!("{}/{}/{own_name}", context.namespace, context.name);
    let matches: Vec<Option<Matcher>> = http
        .objects("match")
        .iter_mut()
        .map(|fields| matches::compile(fields, everywhere))
        .collect();
    let Some(route) = actions::compile(http, name, context) else {
        return;
    };
    let route = Arc::new(route);
    if matches.is_empty() {
        let matcher = Matcher {
            source: everywhere.clone(),
            ..Matcher::default()
        };
        rules.push(Rule { matcher, route });
        return;
    }
    // A condition that cannot be read makes its rule unreachable rather than wider than it was meant.
    rules.extend(matches.into_iter().flatten().map(|matcher| Rule {
        matcher,
        route: Arc::clone(&route),
    }));
}
