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
    /// More is granted than was wanted. The host hands the rest out to calls with the same dimensions, without asking, until it is used up or the
    /// time is over; then what is left is lost. A quota that is settled leases nothing.
    Leased {
        /// How much, with what was wanted.
        amount: u64,
        /// How long the rest may be handed out.
        valid_for: Duration,
        /// Headers for the responses of all those calls.
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

fn granted(
    amount: u64,
    valid_for: Option<Duration>,
    headers: Vec<(String, String)>,
) -> wit::Outcome {
    use crate::bindings::host::osier::policy::types::HeaderOperation;
    let set = |(name, value)| HeaderOperation::Set(header(name, value));
    wit::Outcome::Granted(wit::Grant {
        amount,
        valid_for: valid_for.map(span),
        response_headers: headers.into_iter().map(set).collect(),
    })
}

impl From<Outcome> for wit::Outcome {
    fn from(own: Outcome) -> Self {
        match own {
            Outcome::Granted { amount, headers } => granted(amount, None, headers),
            Outcome::Leased {
                amount,
                valid_for,
                headers,
            } => granted(amount, Some(valid_for), headers),
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
