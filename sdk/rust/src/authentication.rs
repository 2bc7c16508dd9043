//! Template `authentication`: who is behind a request.

use std::time::Duration;

use crate::bindings::authenticator::exports::osier::policy::authentication as wit;
use crate::bindings::host::osier::policy::types::{self, HeaderOperation};
use crate::decision::{header, span};
use crate::{Decision, Plugin};

/// Template `authentication`: who is behind this request?
pub trait Authentication: Plugin {
    /// Answers one question; the credential is empty if the caller presented none.
    fn check(&self, credential: &str) -> Authenticated;
}

/// What an authentication plugin answers.
#[derive(Clone, Debug)]
pub enum Authenticated {
    /// The call passes, and nobody is known to be behind it.
    Nobody,
    /// The call passes, and this is who is behind it.
    Somebody(Box<Identity>),
    /// The call is answered with this refusal. A decision that refuses nothing is [`Authenticated::Nobody`].
    Refused(Decision),
}

/// A caller who proved who it is; becomes `request.auth.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `ISSUER/SUBJECT`.
    pub principal: String,
    /// Whom the credential is for.
    pub audiences: Vec<String>,
    /// Who may present it.
    pub presenter: Option<String>,
    /// Everything else that it says.
    pub claims: Vec<(String, String)>,
    /// Headers that are set on the request before it is sent on.
    pub request_headers: Vec<(String, String)>,
    /// Headers that are removed from it.
    pub hidden_headers: Vec<String>,
    /// How long the host may repeat the answer for the same credential; none: not at all.
    pub valid_for: Option<Duration>,
}

impl From<Identity> for wit::Identity {
    fn from(own: Identity) -> Self {
        let removed = own.hidden_headers.into_iter().map(HeaderOperation::Remove);
        let set = (own.request_headers.into_iter())
            .map(|(name, value)| HeaderOperation::Set(header(name, value)));
        wit::Identity {
            output: wit::Output {
                principal: own.principal,
                audiences: (!own.audiences.is_empty()).then(|| own.audiences.join(",")),
                presenter: own.presenter,
                claims: own.claims,
            },
            request_headers: removed.chain(set).collect(),
            response_headers: Vec::new(),
            valid_for: own.valid_for.map(span),
            valid_uses: None,
        }
    }
}

impl From<Authenticated> for wit::Decision {
    fn from(own: Authenticated) -> Self {
        match own {
            Authenticated::Nobody => wit::Decision::Allow,
            Authenticated::Somebody(identity) => wit::Decision::AllowWith((*identity).into()),
            Authenticated::Refused(decision) => match types::Decision::from(decision) {
                types::Decision::Deny(denial) => wit::Decision::Deny(denial),
                types::Decision::Allow | types::Decision::AllowWith(_) => wit::Decision::Allow,
            },
        }
    }
}
