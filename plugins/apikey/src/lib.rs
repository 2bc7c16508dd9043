//! `apikey`: lets through the holders of known keys. It knows digests only, so that whoever reads the configuration holds no key.

use std::collections::BTreeMap;

use osier_plugin::serde::Deserialize;
use osier_plugin::types::ApiKeyInstance;
use osier_plugin::{ApiKey, Decision, Plugin};
use sha2::{Digest, Sha256};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    keys: Vec<Entry>,
    #[serde(default = "consumer_header")]
    consumer_header: String,
    #[serde(default = "key_header")]
    key_header: String,
    #[serde(default = "realm")]
    realm: String,
}

fn consumer_header() -> String {
    "x-consumer".into()
}

fn key_header() -> String {
    "x-api-key".into()
}

fn realm() -> String {
    "osier".into()
}

/// One key.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Entry {
    sha256: String,
    consumer: String,
    #[serde(default)]
    apis: Vec<String>,
    #[serde(default)]
    operations: Vec<String>,
    expires: Option<String>,
}

/// What a key opens, and until when.
struct Grant {
    consumer: String,
    apis: Vec<String>,
    operations: Vec<String>,
    /// Seconds since 1970.
    expires: Option<i64>,
}

/// The plugin. A key is looked up by its digest: how long that takes says nothing about the keys that exist.
struct Keys {
    grants: BTreeMap<[u8; 32], Grant>,
    consumer_header: String,
    key_header: String,
    challenge: String,
}

impl Plugin for Keys {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        if config.realm.contains(['"', '\\']) || config.realm.contains(char::is_control) {
            return Err("realm: must not contain quotes, backslashes or control characters".into());
        }
        let mut grants = BTreeMap::new();
        for (place, entry) in config.keys.into_iter().enumerate() {
            let digest = digest(&entry.sha256).ok_or_else(|| {
                format!("keys[{place}].sha256: must be 64 hexadecimal digits; take `printf %s KEY | sha256sum`")
            })?;
            let expires = entry.expires.as_deref().map(moment).transpose();
            let expires = expires.map_err(|why| format!("keys[{place}].expires: {why}"))?;
            let grant = Grant {
                consumer: entry.consumer,
                apis: entry.apis,
                operations: entry.operations,
                expires,
            };
            if grants.insert(digest, grant).is_some() {
                return Err(format!(
                    "keys[{place}].sha256: this key stands above already; one key has one consumer"
                ));
            }
        }
        Ok(Self {
            grants,
            consumer_header: config.consumer_header,
            key_header: config.key_header,
            challenge: format!("ApiKey realm=\"{}\"", config.realm),
        })
    }
}

impl Keys {
    /// Who is meant to show a key is told so.
    fn unknown(&self, reason: &str) -> Decision {
        Decision::deny(401)
            .because(reason)
            .header("www-authenticate", self.challenge.as_str())
            .body("A valid API key is needed.\n")
    }
}

impl ApiKey for Keys {
    fn check(&self, question: &ApiKeyInstance) -> Decision {
        if question.api_key.is_empty() {
            return self.unknown("no key");
        }
        let digest: [u8; 32] = Sha256::digest(question.api_key.as_bytes()).into();
        let Some(grant) = self.grants.get(&digest) else {
            return self.unknown("unknown key");
        };
        let consumer = &grant.consumer;
        if (grant.expires).is_some_and(|expires| question.timestamp.seconds >= expires) {
            return self.unknown(&format!("the key of {consumer} has expired"));
        }
        for (what, asked, allowed) in [
            ("API", &question.api, &grant.apis),
            ("operation", &question.api_operation, &grant.operations),
        ] {
            if !allowed.is_empty() && !allowed.iter().any(|pattern| fits(pattern, asked)) {
                return Decision::deny(403)
                    .because(format!(
                        "the key of {consumer} does not open {what} `{asked}`"
                    ))
                    .body("This API key does not open that.\n");
            }
        }
        // A caller cannot name a consumer itself: what it sent under that name is replaced.
        Decision::allow()
            .request_header(self.consumer_header.as_str(), consumer.as_str())
            .without_request_header(self.key_header.as_str())
    }
}

/// `*` at one end stands for anything.
fn fits(pattern: &str, value: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => value.starts_with(start),
        (None, Some(end)) => value.ends_with(end),
        (None, None) => value == pattern,
    }
}

fn digest(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, rest) = hexadecimal.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(bytes)
}

fn moment(text: &str) -> Result<i64, String> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("`{text}` is no time; write it as 2030-01-31T00:00:00Z"))?;
    Ok(time.as_second())
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Keys: apikey);

#[cfg(test)]
mod tests;
