//! One trait per template.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Decision;
use crate::bindings::quota_keeper::exports::osier::policy::quota as wit;
use crate::decision::{header, span};
use crate::types::{ApiKeyInstance, AuthorizationInstance, QuotaInstance};

/// A plugin: made once per instance from its configuration.
pub trait Plugin: Sized + 'static {
    /// `spec.config` of the Plugin object. Use `deny_unknown_fields`, so that a mistyped field is an error; [`NoConfig`] if there is none.
    type Config: DeserializeOwned;

    /// Makes the plugin. An error refuses the object; name the wrong field and the remedy.
    fn configure(config: Self::Config) -> Result<Self, String>;
}

/// The configuration of a plugin that has none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Template `authorization`: may this subject do this action?
pub trait Authorization: Plugin {
    /// Answers one question.
    fn check(&self, question: &AuthorizationInstance) -> Decision;
}

/// Template `listentry`: is this value on the list?
pub trait ListEntry: Plugin {
    /// Answers one question.
    fn check(&self, value: &str) -> Decision;
}

/// Template `apikey`: may the holder of this key make this call?
pub trait ApiKey: Plugin {
    /// Answers one question.
    fn check(&self, question: &ApiKeyInstance) -> Decision;
}

/// Template `checknothing`: the policy's `match` alone says when it is asked.
pub trait CheckNothing: Plugin {
    /// Answers.
    fn check(&self) -> Decision;
}

/// Template `quota`: take an amount from an allowance.
pub trait Quota: Plugin {
    /// Takes an amount.
    fn allocate(&self, request: &QuotaInstance) -> Outcome;
}

/// What a quota plugin answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The amount is granted.
    Granted {
        /// How much.
        amount: u64,
        /// Headers for the response, such as `x-ratelimit-remaining`.
        headers: Vec<(String, String)>,
    },
    /// Nothing is granted: the caller gets 429.
    Refused {
        /// Why; for logs.
        reason: String,
        /// When asking again may succeed.
        retry_after: Option<Duration>,
        /// Further headers of the answer.
        headers: Vec<(String, String)>,
    },
}

impl From<Outcome> for wit::Outcome {
    fn from(own: Outcome) -> Self {
        use crate::bindings::host::osier::policy::types::HeaderOperation;
        match own {
            Outcome::Granted { amount, headers } => wit::Outcome::Granted(wit::Grant {
                amount,
                valid_for: None,
                response_headers: headers
                    .into_iter()
                    .map(|(name, value)| HeaderOperation::Set(header(name, value)))
                    .collect(),
            }),
            Outcome::Refused {
                reason,
                retry_after,
                headers,
            } => wit::Outcome::Refused(wit::Refusal {
                reason,
                retry_after: retry_after.map(span),
                headers: headers
                    .into_iter()
                    .map(|(name, value)| header(name, value))
                    .collect(),
            }),
        }
    }
}
