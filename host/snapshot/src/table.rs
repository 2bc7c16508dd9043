//! All routes of the mesh: rules by host, once for calls between pods and once for the gateway.

use std::sync::Arc;

use crate::finding::{Finding, Findings};
use crate::hosts::{HostIndex, HostPattern};
use crate::rules::{Rule, Rules};

/// What one route object says, whatever its kind. Front ends produce it.
#[derive(Debug)]
pub(crate) struct RouteSet {
    pub(crate) about: About,
    /// The hosts it names.
    pub(crate) hosts: Vec<HostName>,
    /// Whether it speaks of calls between pods.
    pub(crate) mesh: bool,
    /// The gateways that it binds to, as `(namespace, name)`.
    pub(crate) gateways: Vec<(String, String)>,
    /// Its rules, in order.
    pub(crate) rules: Vec<Rule>,
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
            gateways: Vec::new(),
            rules: Vec::new(),
            findings: Vec::new(),
        }
    }
}

/// Which object a route set came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct About {
    /// Creation time, as the API writes it: older objects win.
    pub(crate) created: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) resource: &'static str,
}

impl About {
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

/// The rules of one host, with the sets that they came from.
#[derive(Debug)]
pub(crate) struct HostRoutes {
    pub(crate) sets: Vec<Arc<RouteSet>>,
    pub(crate) rules: Rules,
}

impl HostRoutes {
    /// The rules of `sets`, one after the other; those that match everything come last, so that one set cannot hide another.
    pub(crate) fn new(sets: Vec<Arc<RouteSet>>, of_gateway: bool) -> Self {
        let wanted = |rule: &&Rule| {
            if of_gateway {
                rule.matcher.source.gateway
            } else {
                rule.matcher.source.mesh
            }
        };
        let all: Vec<&Rule> = sets
            .iter()
            .flat_map(|set| &set.rules)
            .filter(wanted)
            .collect();
        let rules = if sets.len() < 2 {
            all.into_iter().cloned().collect()
        } else {
            let (last, first): (Vec<&Rule>, Vec<&Rule>) = all
                .into_iter()
                .partition(|rule| rule.matcher.is_catch_all());
            first.into_iter().chain(last).cloned().collect()
        };
        Self {
            sets,
            rules: Rules::new(rules),
        }
    }

    pub(crate) fn is_made_of(&self, sets: &[Arc<RouteSet>]) -> bool {
        self.sets.len() == sets.len() && self.sets.iter().zip(sets).all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

/// Rules by host.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteTable {
    pub(crate) mesh: HostIndex<Arc<HostRoutes>>,
    pub(crate) gateway: HostIndex<Arc<HostRoutes>>,
}
