//! `jwt`: validates bearer tokens against the keys of their issuers; what a valid one says becomes `request.auth.*`.

mod jwks;
mod keys;
mod token;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osier_plugin::serde::Deserialize;
use osier_plugin::serde_json::{Map, Value};
use osier_plugin::{Authenticated, Authentication, Decision, Identity, Period, Plugin};

use jwks::{Jwks, Keys};
use token::{Issuer, Verified, audiences, verify};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    issuers: Vec<IssuerConfig>,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default)]
    forward: bool,
    #[serde(default)]
    claim_headers: BTreeMap<String, String>,
    #[serde(default = "leeway")]
    leeway: Period,
    #[serde(default = "valid_for")]
    valid_for: Period,
}

#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct IssuerConfig {
    issuer: String,
    #[serde(default)]
    audiences: Vec<String>,
    jwks: Option<Jwks>,
    jwks_uri: Option<String>,
}

fn yes() -> bool {
    true
}

fn leeway() -> Period {
    Period(Duration::from_secs(30))
}

fn valid_for() -> Period {
    Period(Duration::from_secs(60))
}

/// The plugin.
struct Jwt {
    issuers: Vec<Issuer>,
    required: bool,
    forward: bool,
    claim_headers: BTreeMap<String, String>,
    leeway: Duration,
    valid_for: Duration,
}

impl Plugin for Jwt {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let mut issuers: Vec<Issuer> = Vec::with_capacity(config.issuers.len());
        for (place, own) in config.issuers.into_iter().enumerate() {
            if issuers.iter().any(|known| known.name == own.issuer) {
                return Err(format!(
                    "issuers[{place}].issuer: `{}` stands above already; add its keys there",
                    own.issuer
                ));
            }
            let keys = match (own.jwks, own.jwks_uri) {
                (Some(jwks), None) => jwks
                    .read()
                    .map(Keys::Written)
                    .map_err(|why| format!("jwks.keys{why}")),
                (None, Some(url)) => Keys::at(&url).map_err(|why| format!("jwksUri: {why}")),
                _ => Err("jwks: write the keys here, or name a jwksUri where they are".into()),
            };
            issuers.push(Issuer {
                name: own.issuer,
                audiences: own.audiences,
                keys: keys.map_err(|why| format!("issuers[{place}].{why}"))?,
            });
        }
        Ok(Self {
            issuers,
            required: config.required,
            forward: config.forward,
            claim_headers: config.claim_headers,
            leeway: config.leeway.0,
            valid_for: config.valid_for.0,
        })
    }
}

impl Jwt {
    fn answer(&self, credential: &str, now: Duration) -> Authenticated {
        let Some(token) = bearer(credential) else {
            return match (self.required, credential.is_empty()) {
                (false, true) => Authenticated::Nobody,
                (_, true) => refused("no token", "Bearer"),
                (_, false) => refused("the authorization is no bearer token", "Bearer"),
            };
        };
        match verify(token, &self.issuers, (now.as_secs(), self.leeway.as_secs())) {
            Ok(verified) => Authenticated::Somebody(Box::new(self.identity(verified))),
            Err(reason) => refused(&reason, "Bearer error=\"invalid_token\""),
        }
    }

    fn identity(&self, verified: Verified) -> Identity {
        let Verified { claims, rest } = verified;
        let text = |name: &str| claims.get(name).and_then(scalar);
        let (issuer, subject) = (text("iss"), text("sub"));
        // Headers that only a token may set: what the caller wrote there goes, whether or not the token says something.
        let mut hidden_headers: Vec<String> = self.claim_headers.keys().cloned().collect();
        if !self.forward {
            hidden_headers.push("authorization".to_owned());
        }
        let told = self.claim_headers.iter();
        let told = told.filter_map(|(header, claim)| Some((header.clone(), text(claim)?)));
        Identity {
            principal: [issuer.unwrap_or_default(), subject.unwrap_or_default()].join("/"),
            audiences: audiences(&claims),
            presenter: text("azp"),
            request_headers: told.filter(|(_, value)| is_header(value)).collect(),
            hidden_headers,
            valid_for: Some(self.valid_for.min(Duration::from_secs(rest))),
            claims: texts(claims),
        }
    }
}

impl Authentication for Jwt {
    fn check(&self, credential: &str) -> Authenticated {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(now) => self.answer(credential, now),
            Err(_) => refused("the clock stands before 1970", "Bearer"),
        }
    }
}

/// The token behind the word `Bearer`, in any case.
fn bearer(credential: &str) -> Option<&str> {
    let (scheme, token) = credential.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim_start())
}

/// Refusals are never repeated from the cache: a wrong token costs its sender a verification each time, and a new key works at once.
fn refused(reason: &str, challenge: &str) -> Authenticated {
    let decision = Decision::deny(401)
        .because(reason)
        .header("www-authenticate", challenge)
        .body("A valid token is needed.\n");
    Authenticated::Refused(decision)
}

/// Claims as texts: what is no text is written as JSON.
fn texts(claims: Map<String, Value>) -> Vec<(String, String)> {
    let own = claims.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    own.collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A claim may hold what no header can; the header is then left out.
fn is_header(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Jwt: authentication);

#[cfg(test)]
mod tests;
