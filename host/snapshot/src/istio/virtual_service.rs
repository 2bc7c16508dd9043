//! VirtualService: its hosts, gateways and routes, as a [`RouteSet`].

use std::sync::Arc;

use osier_api::Object;

use super::delegate::{self, Delegates, Expanded};
use super::matches::{MESH, gateway_name};
use super::streams::{self, Place};
use super::{Context, GROUP, actions, gateway, matches};
use crate::table::{About, Binding, HostName, RouteSet};
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_routing::matcher::{Matcher, SourceMatch};
use osier_routing::rules::Rule;
use osier_standing::{FindingKind, Findings};
use osier_traffic::Fields;

pub(crate) const KIND: Kind = Kind::new(GROUP, "VirtualService");

/// Reads one VirtualService.
pub(crate) fn compile(object: &Object, domain: &str, delegates: &Delegates) -> RouteSet {
    let context = Context {
        namespace: object.namespace(),
        name: object.name(),
        domain,
        delegates,
    };
    let about = About::of(object, KIND);
    let findings = about.findings();
    let mut set = RouteSet::empty(about);
    if let Some(mut spec) = Fields::spec(object, &findings) {
        set.hosts = read_hosts(&mut spec);
        set.export = super::export(&mut spec, context.namespace);
        read_gateways(&mut spec, context, &mut set);
        read_rules(&mut spec, context, &mut set);
    }
    set.findings = findings.into_vec();
    set
}

fn read_hosts(spec: &mut Fields<'_>) -> Vec<HostName> {
    let mut hosts = Vec::new();
    for (field, text) in spec.texts("hosts") {
        match HostPattern::parse(text) {
            Some(pattern) => hosts.push(HostName {
                text: text.to_ascii_lowercase(),
                pattern,
                field,
            }),
            None => {
                let detail = format!("{text:?} is not a host name, *.suffix or *; it is ignored");
                spec.findings().add(FindingKind::Invalid, field, detail);
            }
        }
    }
    hosts
}

fn read_gateways(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    let named = spec.texts("gateways");
    set.mesh = named.is_empty() || named.iter().any(|(_, name)| *name == MESH);
    for (field, name) in named.iter().filter(|(_, name)| *name != MESH) {
        let gateway = binding(name, context.namespace);
        if set.export.reaches(&gateway.namespace) {
            set.gateways.push(gateway);
            continue;
        }
        let detail = format!(
            "exportTo does not name namespace {}, in which this gateway is; it does not take the routes",
            gateway.namespace
        );
        let findings = spec.findings();
        findings.add(FindingKind::Reference, field.as_str(), detail);
    }
}

fn binding(text: &str, namespace: &str) -> Binding {
    let (namespace, name) = gateway_name(text, namespace);
    Binding::to(gateway::KIND, namespace, name)
}

fn read_rules(spec: &mut Fields<'_>, context: Context<'_>, set: &mut RouteSet) {
    let gateway = !set.gateways.is_empty();
    let everywhere = SourceMatch {
        mesh: set.mesh,
        gateway,
        ..SourceMatch::default()
    };
    for (index, mut http) in (0..).zip(spec.objects("http")) {
        read_http(&mut http, index, (context, &everywhere), &mut set.rules);
    }
    for (index, mut tls) in (0..).zip(spec.objects("tls")) {
        let place = Place { list: "tls", index };
        streams::read(&mut tls, place, (context, &everywhere), &mut set.streams);
    }
    for (index, mut tcp) in (0..).zip(spec.objects("tcp")) {
        let place = Place { list: "tcp", index };
        streams::read(&mut tcp, place, (context, &everywhere), &mut set.streams);
    }
}

fn read_http(
    http: &mut Fields<'_>,
    index: u32,
    (context, everywhere): (Context<'_>, &SourceMatch),
    rules: &mut Vec<Rule>,
) {
    let own_name = http.text("name").map(str::to_owned);
    let own_name = own_name.unwrap_or_else(|| format!("http[{index}]"));
    let name = format!("{}/{}/{own_name}", context.namespace, context.name);
    if http.has("delegate") {
        let root = (context.namespace, context.domain, own_name.as_str());
        if let Some(expanded) = delegate::expand(http, root, context.delegates) {
            read_expanded(&expanded, (context, everywhere), rules);
        }
    }
    let matchers = read_conditions(http, (context, everywhere));
    let route = actions::compile(http, name, context).map(Arc::new);
    // What delegates is read for what is wrong in it; the rules are its delegate's.
    if let Some(route) = route.filter(|_| !http.has("delegate")) {
        rules.extend(matchers.into_iter().map(|matcher| Rule {
            matcher,
            route: Arc::clone(&route),
        }));
    }
}

fn read_conditions(
    http: &mut Fields<'_>,
    (context, everywhere): (Context<'_>, &SourceMatch),
) -> Vec<Matcher> {
    let mut conditions = http.objects("match");
    if conditions.is_empty() {
        let source = everywhere.clone();
        return vec![Matcher {
            source,
            ..Matcher::default()
        }];
    }
    // A condition that cannot be read makes its rule unreachable rather than wider than it was meant.
    conditions
        .iter_mut()
        .filter_map(|fields| matches::compile(fields, everywhere, context.namespace))
        .collect()
}

/// Reads what stands for an entry that delegates. What is wrong in it is said of the objects that it comes from.
fn read_expanded(
    expanded: &Expanded,
    (context, everywhere): (Context<'_>, &SourceMatch),
    rules: &mut Vec<Rule>,
) {
    let unheard = Findings::about(KIND, context.namespace, context.name);
    let context = Context {
        namespace: &expanded.namespace,
        ..context
    };
    for (index, entry) in (0..).zip(&expanded.entries) {
        if let Some(mut http) = Fields::new(entry, String::new(), &unheard) {
            read_http(&mut http, index, (context, everywhere), rules);
        }
    }
}
