//! What a check answers to the data plane.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::output::Output;
use osier_expressions::Generated;

/// A change to a message's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderOperation {
    /// Replaces every value of that name.
    Set(HeaderName, HeaderValue),
    /// Adds a value.
    Append(HeaderName, HeaderValue),
    /// Removes every value of that name.
    Remove(HeaderName),
}

/// May the call pass?
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Yes.
    Allow(Approval),
    /// No.
    Deny(Box<Denial>),
}

/// The call passes, perhaps changed. Empty (and free of allocation) when no policy matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approval {
    /// For the request, in order.
    pub request_headers: Vec<HeaderOperation>,
    /// For the response, in order.
    pub response_headers: Vec<HeaderOperation>,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
    /// Denials of policies in shadow mode: what would have happened.
    pub shadow: Vec<Denial>,
}

/// The call does not pass; this is the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body of the answer.
    pub body: Bytes,
    /// `NAMESPACE/NAME` of the policy that decided.
    pub policy: Arc<str>,
    /// `NAMESPACE/NAME` of the plugin that decided.
    pub plugin: Arc<str>,
    /// Why, for logs; never sent to the caller.
    pub reason: String,
    /// True: the plugin gave no answer and the failure policy is Fail.
    pub failed: bool,
    /// What was decided, in order; the last one refused the call.
    pub decisions: Vec<Decision>,
}

/// What came of one question that a policy asked about a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// `NAMESPACE/NAME` of the policy.
    pub policy: Arc<str>,
    /// `NAMESPACE/NAME` of the plugin; empty if the policy's own `match` failed.
    pub plugin: Arc<str>,
    /// The template or hook, such as `quota`.
    pub template: Arc<str>,
    /// Place of the action among the policy's actions with a template.
    pub place: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// Why a call was refused or not answered, or what was chosen; empty otherwise.
    pub reason: String,
    /// The answer was known: from the check cache, or because an earlier try of the request was charged already.
    pub cached: bool,
    /// When the plugin was called; none if it was not.
    pub began: Option<Instant>,
    /// How long the plugin took.
    pub took: Duration,
    /// Who was found to be behind the call, by a plugin that was asked for that.
    pub identity: Option<Arc<Output>>,
    /// What generating plugins have added so far to what is known of the call.
    pub generated: Option<Arc<Generated>>,
}

/// What came of one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The plugin let the call pass.
    Allowed,
    /// The plugin refused the call.
    Denied,
    /// The plugin would have refused it, but the policy is in shadow mode.
    Shadowed,
    /// The plugin chose one of several.
    Chosen,
    /// The plugin left the choice to others.
    Left,
    /// The plugin told attributes.
    Generated,
    /// There was no answer, and the failure policy refused the call.
    Failed,
    /// There was no answer, and the failure policy let the call pass.
    Ignored,
}

impl Approval {
    /// Who was found to be behind the call, by the policies asked so far.
    pub(crate) fn identity(&self) -> Option<&Arc<Output>> {
        let mut found = self.decisions.iter().rev();
        found.find_map(|decision| decision.identity.as_ref())
    }
}

impl Outcome {
    /// One word for people: `allow`, `deny`, `shadow-deny`, `choose`, `leave`, `generate`, `fail`, `ignore`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allow",
            Self::Denied => "deny",
            Self::Shadowed => "shadow-deny",
            Self::Chosen => "choose",
            Self::Left => "leave",
            Self::Generated => "generate",
            Self::Failed => "fail",
            Self::Ignored => "ignore",
        }
    }
}
