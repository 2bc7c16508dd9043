//! Who asks a registry: the `auths` of a Docker configuration file, which pull secrets have too. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What `docker login` writes for Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// User names and passwords by registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials(BTreeMap<String, Login>);

#[derive(Clone, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
}

/// A Docker configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("credentials of a registry: {0}")]
pub struct BadCredentials(String);

impl std::fmt::Debug for Credentials {
    /// Registries only: passwords stand in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Credentials {
    /// Reads `~/.docker/config.json` or a secret's `.dockerconfigjson`.
    ///
    /// # Errors
    /// When it is no JSON, or an `auth` is not `user:password` in base64.
    pub fn docker_config(text: &[u8]) -> Result<Self, BadCredentials> {
        let config: Value =
            serde_json::from_slice(text).map_err(|error| BadCredentials(error.to_string()))?;
        let auths = config["auths"].as_object().cloned().unwrap_or_default();
        let mut logins = BTreeMap::new();
        for (registry, auth) in auths {
            if let Some(login) = Login::read(&auth)
                .map_err(|reason| BadCredentials(format!("auths[{registry:?}]: {reason}")))?
            {
                logins.insert(host(&registry).to_owned(), login);
            }
        }
        Ok(Self(logins))
    }

    /// Takes over what the other has and this has not.
    pub fn extend(&mut self, other: Self) {
        for (registry, login) in other.0 {
            self.0.entry(registry).or_insert(login);
        }
    }

    /// The value of an `Authorization: Basic` header for a registry.
    pub(crate) fn basic(&self, registry: &str) -> Option<String> {
        let login = self.0.get(registry)?;
        let text = format!("{}:{}", login.user, login.password);
        Some(format!("Basic {}", STANDARD.encode(text)))
    }
}

impl Login {
    fn read(auth: &Value) -> Result<Option<Self>, &'static str> {
        let text = |key: &str| auth[key].as_str().filter(|text| !text.is_empty());
        if let (Some(user), Some(password)) = (text("username"), text("password")) {
            return Ok(Some(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            }));
        }
        let Some(encoded) = text("auth") else {
            return Ok(None);
        };
        let wrong = "`auth` is not `user:password` in base64";
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| wrong)?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong)?;
        let (user, password) = decoded.split_once(':').ok_or(wrong)?;
        Ok(Some(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }
}

/// Keys are hosts, or URLs as old clients wrote them.
fn host(key: &str) -> &str {
    if key == HUB {
        return "docker.io";
    }
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn all_ways_to_write_a_login_are_read_and_none_is_shown() {
        let text = br#"{"auths":{"a.example":{"auth":"dTpw"},"https://b.example/v1/":{"username":"u","password":"p"},"c.example":{}}}"#;
        let credentials = Credentials::docker_config(text).unwrap();
        assert_eq!(credentials.basic("a.example").unwrap(), "Basic dTpw");
        assert_eq!(credentials.basic("b.example").unwrap(), "Basic dTpw");
        assert_eq!(credentials.basic("c.example"), None);
        assert_eq!(format!("{credentials:?}"), r#"{"a.example", "b.example"}"#);
        let bad = Credentials::docker_config(br#"{"auths":{"a":{"auth":"!"}}}"#).unwrap_err();
        assert!(bad.to_string().contains("auths[\"a\"]"), "{bad}");
    }
}
