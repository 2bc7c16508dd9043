//! All policies of a mesh, and what they decide together: whom custom ones ask is asked first; what one denies is denied; where some
//! allow, what none of them allows is denied; else it passes.

use std::sync::Arc;

use crate::action::Action;
use crate::facts::{Facts, Place};
use crate::placed::Placed;
use crate::policy::Policy;

/// The policies in force.
#[derive(Debug, Default)]
pub struct Authorizations(Placed<Policy>);

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passes; by this policy, or because none of those that allow concerns the place.
    Allowed(Option<Arc<str>>),
    /// This policy denies it.
    Denied(Arc<str>),
    /// None of these, which allow, matches it.
    NotAllowed(Vec<Arc<str>>),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What became of the call.
    pub outcome: Outcome,
    /// The policies that note it.
    pub audited: Vec<Arc<str>>,
    /// Who has to let it pass before that, in this order.
    pub asked: Vec<Asking>,
}

/// Somebody who is asked about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// By this policy, `NAMESPACE/NAME`.
    pub by: Arc<str>,
    /// Whom, `NAMESPACE/NAME`.
    pub provider: Arc<str>,
}

impl Policy {
    fn asking(&self) -> Option<Asking> {
        let provider = self.provider.as_ref()?;
        Some(Asking {
            by: Arc::clone(&self.name),
            provider: Arc::clone(provider),
        })
    }
}

impl Authorizations {
    /// These policies, in a mesh with this root namespace. They are asked in the order of their names.
    pub fn new(policies: impl IntoIterator<Item = Policy>, root: &str) -> Self {
        let mut policies: Vec<Policy> = policies.into_iter().collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let all = policies.into_iter();
        let all = all.map(|policy| (policy.concern.clone(), policy));
        Self(Placed::new(all, root))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides about a call at a place.
    pub fn decide(&self, place: &Place<'_>, facts: &Facts<'_>) -> Decided {
        let (mut denied, mut allowed, mut allowing) = (None, None, Vec::new());
        let (mut audited, mut asked) = (Vec::new(), Vec::new());
        for policy in self.0.concerning(place) {
            let matches = || policy.matches(facts);
            match policy.action {
                Action::Deny if denied.is_none() && matches() => denied = Some(policy),
                Action::Audit if matches() => audited.push(Arc::clone(&policy.name)),
                Action::Allow => {
                    allowing.push(policy);
                    allowed = allowed.or_else(|| matches().then_some(policy));
                }
                Action::Custom => asked.extend(policy.asking().filter(|_| matches())),
                Action::Deny | Action::Audit => {}
            }
        }
        let name = |policy: &Policy| Arc::clone(&policy.name);
        let outcome = match (denied, allowed) {
            (Some(denied), _) => Outcome::Denied(name(denied)),
            (None, Some(allowed)) => Outcome::Allowed(Some(name(allowed))),
            (None, None) if allowing.is_empty() => Outcome::Allowed(None),
            (None, None) => Outcome::NotAllowed(allowing.into_iter().map(name).collect()),
        };
        Decided {
            outcome,
            audited,
            asked,
        }
    }
}

#[cfg(test)]
mod tests;
