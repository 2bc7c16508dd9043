//! What a service is told of a token, in headers that only a token may set.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use osier_identity::WebToken;
use serde_json::{Map, Value};

/// The headers of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// For the claims as they are in the token.
    pub(crate) payload: Option<HeaderName>,
    /// For single claims, with the way to each.
    pub(crate) claims: Vec<(HeaderName, Vec<Box<str>>)>,
}

impl Told {
    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let claims = self.claims.iter().map(|(name, _)| name);
        self.payload.iter().chain(claims)
    }

    /// What they say of a token. What no header can hold is left out.
    pub(crate) fn of(&self, token: &WebToken<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let payload = self.payload.iter();
        let payload = payload.map(|name| (name, Some(token.payload.to_owned())));
        let claims = self.claims.iter();
        let claims = claims.map(|(name, way)| (name, at(&token.claims, way).map(shown)));
        let all = payload.chain(claims);
        let valid =
            all.filter_map(|(name, text)| Some((name.clone(), HeaderValue::try_from(text?).ok()?)));
        valid.collect()
    }
}

fn at<'c>(claims: &'c Map<String, Value>, way: &[Box<str>]) -> Option<&'c Value> {
    let (first, inside) = way.split_first()?;
    let found = claims.get(&**first)?;
    inside
        .iter()
        .try_fold(found, |found, name| found.get(&**name))
}

/// A claim in a header, as Envoy writes it: lists and objects in base64url.
fn shown(claim: &Value) -> String {
    match claim {
        Value::Array(_) | Value::Object(_) => URL_SAFE_NO_PAD.encode(claim.to_string()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
