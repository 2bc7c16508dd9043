//! RequestAuthentications at the proxy's gate: the tokens of a call are verified, and what they say is remembered with the call.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use osier_authentication::{Authentications, Refused, Seen, Verified};
use osier_proxy::{Authenticated, Call, Decision, Denial};
use osier_snapshot::Claims;

use crate::place::{NATIVE, place};

/// What stands in the place of a plugin in decisions and logs.
const KIND: &str = "RequestAuthentication";

thread_local! {
    /// Tokens that this thread verified lately: no lock, and a key that is gone is forgotten with the rules.
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// Verifies what a call brings, if somebody asks for tokens at this side of it.
///
/// # Errors
/// The refusal, if a token is there that is not believed.
pub fn authenticate(
    rules: &Authentications,
    call: &Call<'_>,
) -> Result<Option<Authenticated>, Box<Denial>> {
    let Some(place) = place(call) else {
        return Ok(None);
    };
    let now = call.received.duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let found = SEEN.with_borrow_mut(|seen| rules.authenticate(&place, call.head, now, seen));
    let found = found.map_err(|refused| Box::new(denied(refused, call)))?;
    Ok(found.map(|found| {
        let mut head = found.head;
        head.extensions.remove::<Claims>();
        let decisions = found.by.map(|(policy, verified)| {
            head.extensions.insert(Claims {
                all: Arc::clone(verified.claims()),
                spaced: verified.spaced(),
            });
            decision(call, policy, ("allow", String::new()), Some(verified))
        });
        Authenticated {
            head,
            decisions: decisions.into_iter().collect(),
        }
    }))
}

fn decision(
    call: &Call<'_>,
    policy: Arc<str>,
    (outcome, reason): (&'static str, String),
    verified: Option<Arc<Verified>>,
) -> Decision {
    Decision {
        direction: call.direction,
        policy,
        plugin: KIND.into(),
        template: "authentication".into(),
        place: NATIVE,
        outcome,
        reason,
        cached: false,
        began: None,
        took: Duration::ZERO,
        memo: verified.map(|verified| verified as Arc<dyn Any + Send + Sync>),
    }
}

fn denied(refused: Refused, call: &Call<'_>) -> Denial {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, plain)]);
    headers.extend(challenge(call).map(|value| (WWW_AUTHENTICATE, value)));
    let Refused { policy, reason, .. } = refused;
    let outcome = ("deny", reason.clone());
    Denial {
        status: refused.status,
        headers,
        body: Bytes::from_static(refused.said.as_bytes()),
        decisions: vec![decision(call, Arc::clone(&policy), outcome, None)],
        policy,
        plugin: KIND.into(),
        failed: false,
        reason,
    }
}

/// As Envoy's jwt_authn challenges (RFC 6750, 3), without the query, in which a token may be.
fn challenge(call: &Call<'_>) -> Option<HeaderValue> {
    let uri = &call.head.uri;
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let realm = format!("{scheme}://{authority}{}", uri.path());
    let realm = realm.replace(['"', '\\'], "");
    HeaderValue::try_from(format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")).ok()
}
