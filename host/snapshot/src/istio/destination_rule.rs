//! DestinationRule: the policy for a host, and for named parts of it.

use std::sync::Arc;

use osier_api::Object;

use super::{GROUP, created};
use osier_routing::export::Export;
use osier_routing::hosts::HostPattern;
use osier_routing::kind::Kind;
use osier_routing::names;
use osier_routing::route::ServiceName;
use osier_standing::{Finding, Findings};
use osier_traffic::Fields;
use osier_traffic::{TrafficPolicy, UpstreamPolicy};

pub(crate) const KIND: Kind = Kind::new(GROUP, "DestinationRule");

/// What one DestinationRule says about a service.
#[derive(Debug)]
pub(crate) struct DestinationPolicy {
    pub(crate) created: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) service: ServiceName,
    /// The patterns of hosts that it speaks of, if it speaks of more than one.
    pub(crate) wide: Vec<HostPattern>,
    /// Whose calls it is for.
    pub(crate) export: Export,
    /// Only workloads of its namespace with these labels; empty is everyone to whom it is exported.
    pub(crate) selector: Vec<(String, String)>,
    pub(crate) traffic: TrafficPolicy,
    pub(crate) subsets: Vec<Subset>,
    pub(crate) findings: Vec<Finding>,
}

impl DestinationPolicy {
    /// The Secrets that it names.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.upstreams().filter_map(UpstreamPolicy::secret)
    }

    /// What it says about connections, for the whole and for subsets.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &UpstreamPolicy> {
        let subsets = self.subsets.iter().map(|subset| &subset.traffic);
        let all = std::iter::once(&self.traffic).chain(subsets);
        all.flat_map(TrafficPolicy::upstreams)
    }
}

/// Some of a service's endpoints.
#[derive(Debug)]
pub(crate) struct Subset {
    pub(crate) name: Arc<str>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) traffic: TrafficPolicy,
    pub(crate) field: String,
}

/// Reads one DestinationRule.
pub(crate) fn compile(object: &Object, domain: &str) -> DestinationPolicy {
    let findings = Findings::about(KIND, object.namespace(), object.name());
    let mut policy = DestinationPolicy {
        created: created(object).to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
        service: ServiceName::Nothing(Arc::from("the rule names no host")),
        wide: Vec::new(),
        export: Export::Everywhere,
        selector: Vec::new(),
        traffic: TrafficPolicy::default(),
        subsets: Vec::new(),
        findings: Vec::new(),
    };
    if let Some(mut spec) = Fields::spec(object, &findings) {
        read_spec(&mut spec, domain, &mut policy);
    }
    policy.findings = findings.into_vec();
    policy
}

fn read_spec(spec: &mut Fields<'_>, domain: &str, policy: &mut DestinationPolicy) {
    match spec.text("host") {
        Some(host) => {
            policy.service = names::meaning(host, &policy.namespace, domain);
            policy.wide = wide(host, &policy.service, domain);
        }
        None => spec.invalid("host", "is missing; the object is ignored"),
    }
    if let Some(mut traffic) = spec.object("trafficPolicy") {
        policy.traffic = osier_traffic::read(&mut traffic, &policy.namespace);
    }
    policy.subsets = spec
        .objects("subsets")
        .iter_mut()
        .filter_map(|fields| subset(fields, &policy.namespace))
        .collect();
    policy.export = super::export(spec, &policy.namespace);
    if let Some(mut selector) = spec.object("workloadSelector") {
        policy.selector = labels(&mut selector, "matchLabels");
    }
}

fn labels(fields: &mut Fields<'_>, key: &'static str) -> Vec<(String, String)> {
    let labels = fields.entries(key).into_iter();
    let texts = labels.filter_map(|(key, _, value)| Some((key.to_owned(), value.as_str()?.into())));
    texts.collect()
}

/// What a host with a star covers: the names that end so, and if `*.name` may be read as that, the services of a namespace.
fn wide(host: &str, meaning: &ServiceName, domain: &str) -> Vec<HostPattern> {
    if !host.starts_with('*') {
        return Vec::new();
    }
    let literal = HostPattern::parse(host);
    let services = match meaning {
        ServiceName::Mesh { namespace, name } if &**name == "*" && host != "*" => {
            HostPattern::parse(&names::full_name("*", namespace, domain))
        }
        _ => None,
    };
    let mut patterns: Vec<_> = literal.into_iter().collect();
    patterns.extend(services.filter(|pattern| !patterns.contains(pattern)));
    patterns
}

fn subset(fields: &mut Fields<'_>, namespace: &str) -> Option<Subset> {
    let labels = labels(fields, "labels");
    let traffic = fields.object("trafficPolicy");
    let traffic = traffic.map(|mut traffic| osier_traffic::read(&mut traffic, namespace));
    let Some(name) = fields.text("name") else {
        fields.invalid("name", "is missing; the subset is ignored");
        return None;
    };
    Some(Subset {
        name: name.into(),
        labels,
        traffic: traffic.unwrap_or_default(),
        field: fields.at("name"),
    })
}
