//! Rules by host: a table of them for calls between pods, and one for each server of a gateway listener.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use osier_api::Object;
use serde_json::Value;

use crate::seen::Seen;
use osier_routing::export::Export;
use osier_routing::hosts::{HostIndex, HostPattern};
use osier_routing::kind::Kind;
use osier_routing::matcher::{Ask, SourceMatch};
use osier_routing::route::Forward;
use osier_routing::rules::{Rule, Rules};
use osier_standing::Subject;
use osier_standing::{Finding, Findings};

/// What one route object says, whatever its kind. Front ends produce it.
#[derive(Debug)]
pub(crate) struct RouteSet {
    pub(crate) about: About,
    /// The hosts it names.
    pub(crate) hosts: Vec<HostName>,
    /// Whether it speaks of calls between pods.
    pub(crate) mesh: bool,
    /// Which callers between pods it speaks to.
    pub(crate) export: Export,
    /// The gateways that it binds to.
    pub(crate) gateways: Vec<Binding>,
    /// The services between pods whose calls it routes, whatever its hosts.
    pub(crate) services: Vec<Binding>,
    /// Its rules for requests, in order.
    pub(crate) rules: Vec<Rule>,
    /// Whether the order of its rules counts, or how narrow they are.
    pub(crate) order: Order,
    /// The object's generation, which its status speaks of.
    pub(crate) generation: i64,
    /// Its rules for whole connections, in order.
    pub(crate) streams: Vec<StreamRule>,
    /// What was wrong with the object alone.
    pub(crate) findings: Vec<Finding>,
}

impl RouteSet {
    /// What an object without hosts and rules says.
    pub(crate) fn empty(about: About) -> Self {
        Self {
            about,
            hosts: Vec::new(),
            mesh: false,
            export: Export::Everywhere,
            gateways: Vec::new(),
            services: Vec::new(),
            rules: Vec::new(),
            order: Order::Written,
            generation: 0,
            streams: Vec::new(),
            findings: Vec::new(),
        }
    }
}

/// Which of two rules for one host comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// That of the older object, in an object the one that is written first.
    Written,
    /// The narrower one, then as [`Order::Written`]: the Gateway API's precedence.
    Narrowest,
}

/// A gateway or service that a route set binds to, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The gateway's kind, as [`About::resource`] of gateways writes it.
    pub(crate) resource: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Only the server of this name.
    pub(crate) section: Option<String>,
    /// Only servers on this port.
    pub(crate) port: Option<u16>,
    /// The reference as the object wrote it, if what becomes of it is told in the object's status.
    pub(crate) reference: Option<Arc<Value>>,
}

impl Binding {
    /// What a whole gateway object is bound by.
    pub(crate) fn to(resource: Kind, namespace: String, name: String) -> Self {
        Self {
            resource,
            namespace,
            name,
            section: None,
            port: None,
            reference: None,
        }
    }
}

/// A rule for whole connections at a gateway.
#[derive(Debug)]
pub(crate) struct StreamRule {
    /// For logs: `namespace/object/rule`.
    pub(crate) name: Arc<str>,
    /// The server names of TLS handshakes that it takes; empty is every connection, encrypted or not.
    pub(crate) server_names: Vec<HostPattern>,
    /// Only on this port of the gateway.
    pub(crate) port: Option<u16>,
    /// Which gateways of its object it is for.
    pub(crate) source: SourceMatch,
    pub(crate) forward: Forward,
}

impl StreamRule {
    /// Whether it takes a connection whose TLS handshake names this server.
    fn takes(&self, server_name: Option<&str>) -> bool {
        let named = |name: &str| {
            let name = HostPattern::Exact(name.into());
            self.server_names.iter().any(|taken| taken.covers(&name))
        };
        self.server_names.is_empty() || server_name.is_some_and(named)
    }
}

/// Which object a route set came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct About {
    /// Creation time, as the API writes it: older objects win.
    pub(crate) created: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) resource: Kind,
}

impl About {
    /// Which object this is.
    pub(crate) fn of(object: &Object, resource: Kind) -> Self {
        Self {
            created: object.creation_timestamp().unwrap_or_default().to_owned(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            resource,
        }
    }

    /// Which edition of the object a status speaks of.
    pub(crate) fn subject(&self, generation: i64) -> Subject {
        Subject {
            resource: self.resource,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            generation,
        }
    }

    /// An empty list of findings about the object.
    pub(crate) fn findings(&self) -> Findings {
        Findings::about(self.resource, &self.namespace, &self.name)
    }
}

/// A host as the object wrote it, with where that stood.
#[derive(Clone, Debug)]
pub(crate) struct HostName {
    pub(crate) text: String,
    pub(crate) pattern: HostPattern,
    pub(crate) field: String,
}

/// A route set under a host, with the gateways that it got there by; none between pods.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) set: Arc<RouteSet>,
    pub(crate) through: Vec<Binding>,
}

impl Filed {
    fn holds(&self, rule: &Rule) -> bool {
        let source = &rule.matcher.source;
        if self.through.is_empty() {
            return source.mesh;
        }
        let mut through = self.through.iter();
        through.any(|gateway| source.is_for(&gateway.namespace, &gateway.name))
    }

    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.set, &other.set) && self.through == other.through
    }
}

/// The rules of one host, with the sets that they came from.
#[derive(Debug)]
pub(crate) struct HostRoutes {
    pub(crate) sets: Vec<Filed>,
    pub(crate) rules: Rules,
}

impl HostRoutes {
    /// The rules of `sets`, one after the other; those that match everything come last, so that one set cannot hide another. Rules
    /// whose order does not count stand between, the narrowest first.
    pub(crate) fn new(sets: Vec<Filed>) -> Self {
        let of = |order: Order| {
            let sets = sets.iter().filter(move |filed| filed.set.order == order);
            sets.flat_map(|filed| filed.set.rules.iter().filter(|rule| filed.holds(rule)))
        };
        let (last, first): (Vec<&Rule>, Vec<&Rule>) =
            of(Order::Written).partition(|rule| sets.len() > 1 && rule.matcher.is_catch_all());
        let mut narrowest: Vec<&Rule> = of(Order::Narrowest).collect();
        narrowest.sort_by_key(|rule| Reverse(rule.matcher.narrowness()));
        let rules = first.into_iter().chain(narrowest).chain(last);
        let rules = Rules::new(rules.cloned().collect());
        Self { sets, rules }
    }

    /// The object that they are of, unless they are the routes of a Service.
    pub(crate) fn object(&self) -> Option<&About> {
        match self.sets.as_slice() {
            [filed] if filed.through.is_empty() => Some(&filed.set.about),
            _ => None,
        }
    }

    /// The first rule for whole connections between workloads that takes this one.
    pub(crate) fn stream(&self, ask: &Ask<'_>, server_name: Option<&str>) -> Option<&StreamRule> {
        let port = |wanted: Option<u16>| wanted.is_none_or(|wanted| wanted == ask.port);
        let reaches = |filed: &&Filed| {
            let mut through = filed.through.iter();
            filed.through.is_empty() || through.any(|binding| port(binding.port))
        };
        let sets = self.sets.iter().filter(reaches);
        let mut rules = sets.flat_map(|filed| &filed.set.streams);
        rules.find(|rule| {
            rule.source.mesh
                && port(rule.port)
                && rule.takes(server_name)
                && rule.source.matches(ask.source)
        })
    }

    fn is_made_of(&self, sets: &[Filed]) -> bool {
        self.sets.len() == sets.len() && self.sets.iter().zip(sets).all(|(a, b)| a.same(b))
    }
}

/// Route sets by host.
pub(crate) type ByHost = HashMap<HostPattern, Vec<Filed>>;

/// Indexes rules by host. Hosts whose sets did not change are taken from `previous`.
pub(crate) fn index(
    sets: ByHost,
    previous: Option<&HostIndex<Arc<HostRoutes>>>,
) -> HostIndex<Arc<HostRoutes>> {
    let mut index = HostIndex::default();
    for (pattern, sets) in sets {
        let before = previous.and_then(|previous| previous.get(&pattern));
        let routes = kept_or(before, sets, HostRoutes::new);
        index.insert(pattern, routes);
    }
    index
}

/// The routes of a host between pods: those for callers of a namespace before those for everyone. Of each the first that is in the
/// caller's scope counts; without Sidecars there is one at most.
pub(crate) type HostSeen = Seen<Vec<Arc<HostRoutes>>>;

/// The routes of a host as they were if their sets did not change, else made anew.
pub(crate) fn kept_or(
    before: Option<&Arc<HostRoutes>>,
    sets: Vec<Filed>,
    make: impl FnOnce(Vec<Filed>) -> HostRoutes,
) -> Arc<HostRoutes> {
    let same = before.filter(|routes| routes.is_made_of(&sets)).cloned();
    same.unwrap_or_else(|| Arc::new(make(sets)))
}
