//! Continue tokens: where the next page of a list starts, and of which state it is a page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use osier_api::Status;
use serde::{Deserialize, Serialize};

/// A place in a list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The form of the token.
    v: String,
    /// The revision of the first page; 0 once that is compacted and the caller went on regardless.
    pub(super) rv: u64,
    /// The last key of the page before.
    pub(super) start: String,
}

const FORM: &str = "meta.k8s.io/v1";

impl Token {
    pub(super) fn new(revision: u64, start: &str) -> Self {
        Self {
            v: FORM.to_owned(),
            rv: revision,
            start: start.to_owned(),
        }
    }

    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Only a token for a place below the listed prefix is good.
    pub(super) fn decode(text: &str, prefix: &str) -> Result<Self, Status> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token: Option<Self> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        token.filter(|token| token.v == FORM && token.start.starts_with(prefix)).ok_or_else(|| {
            Status::bad_request("continue key is not valid: it is not a token that this list gave; start again without it")
        })
    }
}

/// A token for the same place in whatever state there is now.
pub(crate) fn fresh_token(text: &str) -> Option<String> {
    let old = Token::decode(text, "").ok()?;
    Some(Token::new(0, &old.start).encode())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_token_comes_back_and_stays_in_its_list() {
        let token = Token::new(7, "core/pods/a/x");
        assert_eq!(
            Token::decode(&token.encode(), "core/pods/a/").unwrap(),
            token
        );
        assert!(Token::decode(&token.encode(), "core/secrets/").is_err());
        assert!(Token::decode("rubbish", "").is_err());
    }
}
