//! Tokens that others signed: JSON Web Tokens (RFC 7519) in compact form (RFC 7515), taken apart and looked at for their time.
//!
//! Nothing that a token says is true before [`crate::KeySet::verify`] says so.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A longer token is not looked at.
const LONGEST: usize = 16 * 1024;

/// A token, taken apart and not yet believed.
#[derive(Clone, Debug)]
pub struct WebToken<'a> {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    /// What is signed.
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
    /// The claims as they stand in the token, base64url.
    pub payload: &'a str,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is not one.
    #[error("it is no JSON Web Token: {0}")]
    Form(&'static str),
    /// No key fits it.
    #[error("none of its issuer's keys is for it (alg {alg}, kid {kid})")]
    Key {
        /// The algorithm that it names.
        alg: String,
        /// The key that it names.
        kid: String,
    },
    /// The keys that fit did not sign it.
    #[error("its signature is of none of its issuer's keys")]
    Signature,
    /// Its time is over.
    #[error("it expired {0} s ago")]
    Expired(u64),
    /// Its time has not come.
    #[error("it is valid in {0} s only")]
    NotYet(u64),
}

impl<'a> WebToken<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`TokenFault::Form`] when it is none.
    pub fn read(text: &'a str) -> Result<Self, TokenFault> {
        let form = TokenFault::Form;
        if text.len() > LONGEST {
            return Err(form("it has more than 16 KiB"));
        }
        let parts = || {
            let (signed, signature) = text.rsplit_once('.')?;
            let (head, payload) = signed.split_once('.')?;
            Some((signed, signature, head, payload)).filter(|_| !payload.contains('.'))
        };
        let (signed, signature, head, payload) =
            parts().ok_or(form("it has not three parts with a dot between"))?;
        let mut head = object(head).ok_or(form("its head is no object in base64url"))?;
        let claims = object(payload).ok_or(form("its claims are no object in base64url"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature);
        if head.contains_key("crit") {
            // RFC 7515, 4.1.11: what is critical and not understood makes it invalid, and we understand nothing that could stand there.
            return Err(form("its head demands what nobody here knows (crit)"));
        }
        let mut text_of = |name: &str| match head.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            None => Ok(None),
            Some(_) => Err(form("alg and kid must be texts")),
        };
        Ok(Self {
            alg: text_of("alg")?.ok_or(form("its head names no alg"))?,
            kid: text_of("kid")?,
            signed,
            signature: signature.map_err(|_| form("its signature is not in base64url"))?,
            payload,
            claims,
        })
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// Whether it is valid at `now`, where clocks may differ by `skew`, all in seconds since 1970. Says when it ends, if it does.
    ///
    /// # Errors
    /// [`TokenFault::Expired`], [`TokenFault::NotYet`], or [`TokenFault::Form`] for times that are none.
    pub fn valid_until(&self, now: u64, skew: u64) -> Result<Option<u64>, TokenFault> {
        let (ends, begins) = (self.seconds("exp")?, self.seconds("nbf")?);
        if let Some(begins) = begins.filter(|begins| *begins > now.saturating_add(skew)) {
            return Err(TokenFault::NotYet(begins - now));
        }
        match ends {
            Some(ends) if ends.saturating_add(skew) < now => Err(TokenFault::Expired(now - ends)),
            ends => Ok(ends.map(|ends| ends.saturating_add(skew))),
        }
    }

    /// A claim that is a time (RFC 7519, 2: NumericDate, which may have a fraction).
    fn seconds(&self, claim: &str) -> Result<Option<u64>, TokenFault> {
        let Some(value) = self.claims.get(claim) else {
            return Ok(None);
        };
        let whole = value.as_u64().or_else(|| {
            let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
            // What is too large becomes the largest.
            Some(seconds as u64)
        });
        let fault = TokenFault::Form("exp and nbf must be seconds since 1970");
        whole.map(Some).ok_or(fault)
    }
}

/// A JSON object in base64url.
fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
