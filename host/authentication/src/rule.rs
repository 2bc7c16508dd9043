//! One rule: an issuer, its keys, where its tokens are, and what is told of them.

use std::sync::Arc;

use osier_authorization::Concern;
use osier_identity::{KeySet, TokenFault, WebToken};
use serde_json::Value;

use crate::place::Place;
use crate::told::Told;
use crate::verified::Verified;

/// Clocks may differ by so many seconds, as in Envoy.
const SKEW: u64 = 60;

/// A RequestAuthentication that tokens can be verified by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `NAMESPACE/NAME`.
    pub name: Arc<str>,
    pub(crate) concern: Concern,
    pub(crate) rules: Vec<Rule>,
}

/// One of its `jwtRules`.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) issuer: Box<str>,
    /// One of these must be named; empty is any.
    pub(crate) audiences: Vec<Box<str>>,
    /// The keys of the issuer, or why there are none.
    pub(crate) keys: Result<KeySet, Box<str>>,
    pub(crate) places: Vec<Place>,
    /// What the service is told.
    pub(crate) told: Told,
    /// The service sees the token.
    pub(crate) forward: bool,
    /// Claims whose text is a list with spaces between.
    pub(crate) spaced: Arc<[String]>,
}

/// Why a rule does not believe a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error("no rule is for its issuer {0:?} where the token stands")]
    Issuer(String),
    #[error("it is for {found}, and must be for one of {wanted}")]
    Audience { found: String, wanted: String },
    #[error("the keys of {issuer} are not known: {reason}")]
    Keys { issuer: Box<str>, reason: Box<str> },
}

impl Fault {
    /// What the caller is told, in Envoy's words.
    pub(crate) fn said(&self) -> &'static str {
        match self {
            Self::Token(TokenFault::Form(_)) => {
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
            }
            Self::Token(TokenFault::Key { .. }) => {
                "Jwks doesn't have key to match kid or alg from Jwt"
            }
            Self::Token(TokenFault::Signature) => "Jwt verification fails",
            Self::Token(TokenFault::Expired(_)) => "Jwt is expired",
            Self::Token(TokenFault::NotYet(_)) => "Jwt not yet valid",
            Self::Issuer(_) => "Jwt issuer is not configured",
            Self::Audience { .. } => "Audiences in Jwt are not allowed",
            Self::Keys { .. } => "Jwks remote fetch is failed",
        }
    }
}

impl Rule {
    /// Verifies a token of this issuer at `now`, in seconds since 1970.
    pub(crate) fn verify(&self, token: WebToken<'_>, now: u64) -> Result<Verified, Fault> {
        let keys = self.keys.as_ref().map_err(|reason| Fault::Keys {
            issuer: self.issuer.clone(),
            reason: reason.clone(),
        })?;
        let until = token.valid_until(now, SKEW)?;
        let audiences = audiences(token.claims.get("aud"));
        let wanted = |own: &str| {
            let mut named = audiences.iter();
            named.any(|named| bare(named) == bare(own))
        };
        if !self.audiences.is_empty() && !self.audiences.iter().any(|own| wanted(own)) {
            return Err(Fault::Audience {
                found: format!("[{}]", audiences.join(", ")),
                wanted: format!("[{}]", self.audiences.join(", ")),
            });
        }
        keys.verify(&token)?;
        let more = (self.told.of(&token), &self.spaced);
        Ok(Verified::new(token, audiences, until, more))
    }
}

/// `aud` is one text or a list (RFC 7519, 4.1.3).
fn audiences(claim: Option<&Value>) -> Vec<String> {
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => {
            let texts = all.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// An audience as Envoy compares it: without scheme and last slash.
fn bare(audience: &str) -> &str {
    let rest = audience.strip_prefix("https://");
    let rest = rest.or_else(|| audience.strip_prefix("http://"));
    let rest = rest.unwrap_or(audience);
    rest.strip_suffix('/').unwrap_or(rest)
}
