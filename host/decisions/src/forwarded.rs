//! Who was found to be behind a call, as one node tells another: Mixer's forwarded attributes. The wire is the mesh's own, so nobody outside can say it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use osier_proxy::{Decision, Direction};
use serde_json::{Map, Value as Json, json};

use crate::place::NATIVE;

/// Bytes of a header that carries claims; with more, they stay behind.
const MOST: usize = 6 << 10;

/// `request.auth.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// `ISSUER/SUBJECT`.
    pub principal: Option<String>,
    /// Intended audiences.
    pub audiences: Option<String>,
    /// Authorized presenter.
    pub presenter: Option<String>,
    /// Claims, as texts.
    pub claims: Vec<(String, String)>,
}

impl Forwarded {
    /// As it travels; none if nobody is known.
    #[must_use]
    pub fn encode(&self) -> Option<HeaderValue> {
        self.principal.as_ref()?;
        let claims = self.claims.iter();
        let claims: Map<String, Json> = claims
            .map(|(name, text)| (name.clone(), text.as_str().into()))
            .collect();
        let mut whole = json!({"p": self.principal, "a": self.audiences, "r": self.presenter});
        let short = whole.to_string();
        whole["c"] = Json::Object(claims);
        let long = whole.to_string();
        let text = if long.len() <= MOST { long } else { short };
        // JSON escapes all that a header cannot carry but this.
        HeaderValue::from_bytes(text.replace('\u{7f}', "\\u007f").as_bytes()).ok()
    }

    /// Reads what was told.
    #[must_use]
    pub fn decode(value: &HeaderValue) -> Option<Self> {
        let whole: Json = serde_json::from_slice(value.as_bytes()).ok()?;
        let text = |name: &str| whole.get(name).and_then(Json::as_str).map(str::to_owned);
        let claims = whole.get("c").and_then(Json::as_object);
        let claims = claims.into_iter().flatten();
        let claims =
            claims.filter_map(|(name, claim)| Some((name.clone(), claim.as_str()?.to_owned())));
        Some(Self {
            principal: Some(text("p")?),
            audiences: text("a"),
            presenter: text("r"),
            claims: claims.collect(),
        })
    }

    /// What was decided on the caller's node, for whoever asks about the call here.
    #[must_use]
    pub fn decision(self) -> Decision {
        let who = self.principal.clone().unwrap_or_default();
        Decision {
            direction: Direction::Outbound,
            policy: "of the caller's node".into(),
            plugin: "".into(),
            template: "authentication".into(),
            place: NATIVE,
            outcome: "told",
            reason: format!("the caller's node says that {who} is behind it"),
            cached: false,
            began: None,
            took: Duration::ZERO,
            memo: Some(Arc::new(self) as Arc<dyn Any + Send + Sync>),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_known_arrives_and_too_many_claims_stay_behind() {
        let mut known = Forwarded {
            principal: Some("https://id.example/zoë\u{7f}".into()),
            audiences: Some("a,b".into()),
            presenter: None,
            claims: vec![("name".into(), "Zoë \"x\"\n".into())],
        };
        let value = known.encode().unwrap();
        assert_eq!(Forwarded::decode(&value), Some(known.clone()));
        known.claims[0].1 = "x".repeat(MOST);
        let short = Forwarded::decode(&known.encode().unwrap()).unwrap();
        assert_eq!(
            (short.principal.clone(), short.claims.len()),
            (known.principal, 0)
        );
        assert_eq!(Forwarded::default().encode(), None);
        for wrong in ["", "{}", "[]", "x", "{\"p\": 1}"] {
            assert_eq!(Forwarded::decode(&HeaderValue::from_static(wrong)), None);
        }
    }
}
