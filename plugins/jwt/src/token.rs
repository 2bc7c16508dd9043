//! One token (JWS compact serialisation, RFC 7515; claims, RFC 7519): taken apart, verified, and held against the time.

use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{self, Map, Value};

use crate::jwks::Keys;
use crate::keys::{Key, decode};

/// Longer tokens are not looked at.
const MAX_LENGTH: usize = 16 * 1024;

/// The head of a token.
#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde")]
struct Head {
    alg: String,
    kid: Option<String>,
    /// Extensions that whoever does not know them must refuse.
    crit: Option<Value>,
}

/// An issuer whose tokens are believed.
pub(crate) struct Issuer {
    pub(crate) name: String,
    /// One of these must be in `aud`; empty: not looked at.
    pub(crate) audiences: Vec<String>,
    pub(crate) keys: Keys,
}

/// A token whose signature and times are right.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Map<String, Value>,
    /// Seconds until it expires, leeway not counted.
    pub(crate) rest: u64,
}

/// Verifies a token; the error says what is wrong with it, for logs.
pub(crate) fn verify(
    token: &str,
    issuers: &[Issuer],
    (now, leeway): (u64, u64),
) -> Result<Verified, String> {
    if token.len() > MAX_LENGTH {
        return Err(format!("the token has more than {MAX_LENGTH} bytes"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or("this is no token")?;
    let (head, claims) = signed.split_once('.').ok_or("this is no token")?;
    let head: Head = read(head).ok_or("the token's head cannot be read")?;
    let claims: Map<String, Value> = read(claims).ok_or("the token's claims cannot be read")?;
    if head.crit.is_some() {
        return Err("the token demands extensions (crit), which are not known here".into());
    }
    let name = claims
        .get("iss")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let issuer = (issuers.iter()).find(|issuer| issuer.name == name);
    let issuer = issuer.ok_or_else(|| format!("issuer `{name}` is not known"))?;
    let signature = decode(signature).ok_or("the token's signature cannot be read")?;
    let named = |key: &Key| match (&head.kid, &key.kid) {
        (Some(wanted), Some(own)) => wanted == own,
        // A token or a key without a name may belong to any.
        _ => true,
    };
    let verifies = |key: &Key| key.verifies(&head.alg, signed.as_bytes(), &signature);
    let verified = issuer.keys.any(|key| named(key) && verifies(key));
    if !verified.map_err(|why| format!("issuer {name}: {why}"))? {
        return Err(format!(
            "no key of {name} verifies the signature (alg {}, kid {})",
            head.alg,
            head.kid.as_deref().unwrap_or("none")
        ));
    }
    audience(&claims, &issuer.audiences)?;
    let rest = times(&claims, now, leeway)?;
    Ok(Verified { claims, rest })
}

fn read<T: osier_plugin::serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&decode(part)?).ok()
}

/// The texts of `aud`.
pub(crate) fn audiences(claims: &Map<String, Value>) -> Vec<String> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => {
            let texts = all.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn audience(claims: &Map<String, Value>, wanted: &[String]) -> Result<(), String> {
    let given = audiences(claims);
    if wanted.is_empty() || given.iter().any(|one| wanted.contains(one)) {
        return Ok(());
    }
    Err(format!("the token is for [{}]", given.join(", ")))
}

/// Checks `exp`, which must be there, and `nbf`; seconds that are left.
fn times(claims: &Map<String, Value>, now: u64, leeway: u64) -> Result<u64, String> {
    // RFC 7519 allows fractions; a fraction of a second decides nothing.
    let seconds = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds >= 0.0 => Ok(Some(seconds as u64)),
            _ => Err(format!("claim {name} is no time")),
        },
    };
    let expires = seconds("exp")?.ok_or("the token never expires (it has no exp)")?;
    if now >= expires.saturating_add(leeway) {
        return Err(format!("the token expired {} s ago", now - expires));
    }
    if let Some(begins) = seconds("nbf")?
        && begins > now.saturating_add(leeway)
    {
        return Err(format!("the token is valid in {} s only", begins - now));
    }
    Ok(expires.saturating_sub(now))
}
