//! One policy: whom it concerns, and what its rules decide.

use std::sync::Arc;

use crate::action::Action;
use crate::facts::{Facts, Place};
use crate::rule::Rule;

/// Whom a policy concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of its namespace; of the root namespace, everyone.
    All,
    /// Workloads with these labels.
    Labels(Vec<(String, String)>),
    /// What these name.
    Targets(Vec<Target>),
}

/// What a `targetRef` names, in the policy's own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A Service.
    Service(Box<str>),
    /// A Gateway.
    Gateway(Box<str>),
    /// Every Gateway: the class that this node serves.
    Gateways,
}

/// A policy that can be asked.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `NAMESPACE/NAME`.
    pub name: Arc<str>,
    pub(crate) namespace: Box<str>,
    pub(crate) action: Action,
    pub(crate) scope: Scope,
    pub(crate) rules: Vec<Rule>,
    /// Some of it could not be read: it denies whatever it might have denied.
    pub(crate) broken: bool,
}

/// Labels by which Istio's manifests choose its ingress gateway, which here is every node's own.
const INGRESS: [(&str, &str); 2] = [("istio", "ingressgateway"), ("app", "istio-ingressgateway")];

impl Policy {
    /// Whether it concerns a place, in a mesh with this root namespace.
    pub(crate) fn concerns(&self, place: &Place<'_>, root: &str) -> bool {
        let everywhere = *self.namespace == *root;
        match (place, &self.scope) {
            (Place::Workload { namespace, .. }, _)
                if !everywhere && **namespace != *self.namespace =>
            {
                false
            }
            (Place::Workload { outside, .. }, Scope::All) => !outside,
            (Place::Workload { labels, .. }, Scope::Labels(wanted)) => wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value)),
            (Place::Workload { service, .. }, Scope::Targets(targets)) => {
                let called = |target: &Target| match (target, service) {
                    (Target::Service(name), Some((of, called))) => {
                        **of == *self.namespace && **name == **called
                    }
                    _ => false,
                };
                targets.iter().any(called)
            }
            (Place::Gateway(_), Scope::All) => everywhere,
            (Place::Gateway(_), Scope::Labels(wanted)) => {
                let ours = |(key, value): &(String, String)| {
                    let mut labels = INGRESS.iter();
                    labels.any(|label| *label == (key.as_str(), value.as_str()))
                };
                everywhere && wanted.iter().all(ours)
            }
            (Place::Gateway(gateways), Scope::Targets(targets)) => targets.iter().any(|target| {
                let named = |name: &str| format!("{}/{name}", self.namespace);
                match target {
                    Target::Gateway(name) => {
                        let wanted = named(name);
                        gateways.iter().any(|gateway| **gateway == *wanted)
                    }
                    Target::Gateways => everywhere,
                    Target::Service(_) => false,
                }
            }),
        }
    }

    /// Whether one of its rules matches.
    pub(crate) fn matches(&self, facts: &Facts<'_>) -> bool {
        if self.broken {
            return self.action == Action::Deny;
        }
        self.rules
            .iter()
            .any(|rule| rule.matches(facts, self.action))
    }
}
