//! Hooks: what a plugin is asked besides templates. Their types are fixed (`osier:filter`, `osier:extension`), so calls are typed, and a plugin
//! whose functions have other types is refused when it is loaded.

mod admit;
mod choose;
mod schedule;
mod words;

use std::sync::Arc;

use osier_engine::plugin::hooks::Hook;

use crate::fault::{FailurePolicy, NO_ANSWER, NOT_THERE, Unavailable};
use crate::plugin::{Plugin, Unanswered};
use osier_capabilities::VerdictMetrics;
use osier_expressions::Attributes;

pub(crate) use admit::Said;
pub use admit::{Admission, Rejection, Review, WriteOperation};
pub use choose::{Candidate, Choice, Endpoint, Request};
pub use schedule::{NodeView, Opinion, PodView};
pub(crate) use words::{header, name, texts, value};

/// A kind of object that an `admit` action is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) kind: String,
}

/// One action with a hook.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) hook: Hook,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) asked: Asked,
}

/// Whom a step asks.
pub(crate) enum Asked {
    /// A plugin.
    Plugin {
        plugin: Arc<Plugin>,
        verdicts: Box<VerdictMetrics>,
    },
    /// One that is not there.
    Unavailable {
        plugin: Arc<str>,
        missing: Unavailable,
    },
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl Asked {
    pub(crate) fn label(&self) -> &Arc<str> {
        match self {
            Asked::Plugin { plugin, .. } => plugin.label(),
            Asked::Unavailable { plugin, .. } => plugin,
        }
    }

    /// True of a call that the plugin itself makes.
    pub(crate) fn is_called_by(&self, attributes: &Attributes<'_>) -> bool {
        matches!(self, Asked::Plugin { plugin, .. } if plugin.makes(attributes))
    }

    /// What the Plugin object says about missing answers.
    pub(crate) fn failure_policy(&self) -> FailurePolicy {
        match self {
            Asked::Plugin { plugin, .. } => plugin.failure_policy(),
            Asked::Unavailable { missing, .. } => missing.failure,
        }
    }

    /// The status of what is refused for want of its answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Asked::Plugin { .. } => NO_ANSWER,
            Asked::Unavailable { .. } => NOT_THERE,
        }
    }

    /// Asks the plugin, if it is there.
    pub(crate) fn ask<R>(
        &self,
        question: impl FnOnce(&Plugin) -> Result<R, Unanswered>,
    ) -> Result<R, Unanswered> {
        match self {
            Asked::Plugin { plugin, verdicts } => {
                let answer = question(plugin);
                if answer.is_err() {
                    verdicts.failed.inc();
                }
                answer
            }
            Asked::Unavailable { missing, .. } => Err(Unanswered(missing.reason.clone())),
        }
    }

    /// Counts an answer.
    pub(crate) fn count(&self, allowed: bool) {
        if let Asked::Plugin { verdicts, .. } = self {
            let counter = if allowed {
                &verdicts.allowed
            } else {
                &verdicts.denied
            };
            counter.inc();
        }
    }

    /// The answer was none: the plugin is told off like one that trapped.
    pub(crate) fn misanswered(&self, what: String) -> Unanswered {
        if let Asked::Plugin { plugin, verdicts } = self {
            verdicts.failed.inc();
            plugin.misanswered(&what);
        }
        Unanswered(what)
    }
}
