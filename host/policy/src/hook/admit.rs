//! The hook `admit`: whether an object may be written, and how.

pub use osier_engine::plugin::hooks::extension::{Operation as WriteOperation, Review};

use std::sync::Arc;

use osier_engine::plugin::hooks::extension as wire;

use super::{Step, choose};
use crate::plugin::Unanswered;

/// The write may go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// For the one who writes.
    pub warnings: Vec<String>,
    /// JSON patch (RFC 6902) of the object, if it is to be changed.
    pub patch: Option<String>,
    /// `NAMESPACE/NAME` of the policy that answered.
    pub policy: Arc<str>,
}

/// The write may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why, for the one who writes.
    pub reason: String,
    /// Path of the wrong field, or empty.
    pub field: String,
    /// `NAMESPACE/NAME` of the policy.
    pub policy: Arc<str>,
    /// `NAMESPACE/NAME` of the plugin.
    pub plugin: Arc<str>,
    /// True: there was no answer and the failure policy is Fail.
    pub failed: bool,
}

/// A plugin's word on a write.
pub(crate) enum Said {
    Allow { warnings: Vec<String> },
    Patch(String),
    Deny { reason: String, field: String },
}

impl Step {
    /// True if the step is asked about this kind.
    pub(crate) fn concerns(&self, review: &Review<'_>) -> bool {
        let one = |kind: &super::Kind| {
            (kind.kind == "*" || kind.kind == review.kind)
                && (kind.group == "*" || kind.group == review.group)
        };
        self.kinds.iter().any(one)
    }

    /// Asks about one write.
    pub(crate) fn admit(&self, review: &Review<'_>) -> Result<Said, Unanswered> {
        let (verdict,): (wire::Verdict,) = self.asked.ask(|plugin| {
            let function = plugin.hooks().admit.ok_or_else(choose::unexported)?;
            plugin.call_typed(function, (*review,), review.object.len())
        })?;
        let said = match verdict {
            wire::Verdict::Allow => Said::Allow {
                warnings: Vec::new(),
            },
            wire::Verdict::Warn(warnings) => Said::Allow { warnings },
            wire::Verdict::Patch(patch) => Said::Patch(patch),
            wire::Verdict::Deny(denial) => Said::Deny {
                reason: denial.reason,
                field: denial.field,
            },
        };
        self.asked.count(!matches!(said, Said::Deny { .. }));
        Ok(said)
    }
}
