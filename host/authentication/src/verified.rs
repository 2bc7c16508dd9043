//! What a verified token says, in the forms in which it is asked for.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use osier_authorization::Token;
use osier_identity::WebToken;
use serde_json::{Map, Value};

/// A verified token.
#[derive(Clone, Debug)]
pub struct Verified {
    principal: Option<String>,
    audiences: Vec<String>,
    /// The same as one text.
    joined: String,
    presenter: Option<String>,
    claims: Arc<Map<String, Value>>,
    /// The same, each as a text.
    texts: Vec<(String, String)>,
    spaced: Arc<[String]>,
    /// When it is no longer to be believed, in seconds since 1970.
    pub(crate) until: Option<u64>,
    /// What the service is told of it.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Verified {
    pub(crate) fn new(
        token: WebToken<'_>,
        audiences: Vec<String>,
        until: Option<u64>,
        (headers, spaced): (Vec<(HeaderName, HeaderValue)>, &Arc<[String]>),
    ) -> Self {
        let text = |name: &str| token.text(name).map(str::to_owned);
        let principal = text("iss").zip(text("sub"));
        let texts = token.claims.iter();
        Self {
            principal: principal.map(|(issuer, subject)| format!("{issuer}/{subject}")),
            joined: audiences.join(","),
            audiences,
            presenter: text("azp"),
            texts: texts
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
            headers,
            claims: Arc::new(token.claims),
            spaced: Arc::clone(spaced),
            until,
        }
    }

    /// As rules ask for it.
    #[must_use]
    pub fn token(&self) -> Token<'_> {
        Token {
            principal: self.principal.as_deref(),
            audiences: &self.audiences,
            presenter: self.presenter.as_deref(),
            claims: &self.claims,
            spaced: &self.spaced,
        }
    }

    /// `ISSUER/SUBJECT`, where it names both.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// Whom it is for, with commas between.
    #[must_use]
    pub fn audiences(&self) -> &str {
        &self.joined
    }

    /// Whom it was given to.
    #[must_use]
    pub fn presenter(&self) -> Option<&str> {
        self.presenter.as_deref()
    }

    /// Everything that it says; what is no text is JSON.
    #[must_use]
    pub fn texts(&self) -> &[(String, String)] {
        &self.texts
    }

    /// Claims whose text is a list with spaces between.
    #[must_use]
    pub fn spaced(&self) -> Arc<[String]> {
        Arc::clone(&self.spaced)
    }

    /// Everything that it says.
    #[must_use]
    pub fn claims(&self) -> &Arc<Map<String, Value>> {
        &self.claims
    }
}

fn plain(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
