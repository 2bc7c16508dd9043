//! One policy: whom it concerns, and what its rules decide.

use std::sync::Arc;

use crate::action::Action;
use crate::concern::Concern;
use crate::facts::Facts;
use crate::rule::Rule;

/// A policy that can be asked.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `NAMESPACE/NAME`.
    pub name: Arc<str>,
    pub(crate) concern: Concern,
    pub(crate) action: Action,
    /// Whom a custom one asks, as `NAMESPACE/NAME`.
    pub(crate) provider: Option<Arc<str>>,
    pub(crate) rules: Vec<Rule>,
    /// Some of it could not be read: it denies whatever it might have denied.
    pub(crate) broken: bool,
}

impl Policy {
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
