//! Which Redis, and how long it may take.

use std::time::Duration;

use redis::{Client, IntoConnectionInfo as _, TlsCertificates};

/// Where the counters are kept.
#[derive(Clone)]
pub struct Settings {
    pub(crate) client: Client,
    /// Host and port, for people: never the password.
    pub(crate) place: String,
    pub(crate) timeout: Duration,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The URL cannot be read.
    #[error(
        "{place}: {reason}; expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS"
    )]
    Url {
        /// The URL without its password.
        place: String,
        /// What the client says.
        reason: String,
    },
    /// An authority was named for a connection without TLS, or cannot be read.
    #[error(
        "the authority's certificate cannot be used: {reason}; name a PEM file, and a URL that begins with rediss://"
    )]
    Authority {
        /// What the client says.
        reason: String,
    },
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis at {}, {:?}", self.place, self.timeout)
    }
}

impl Settings {
    /// Reads a URL. `authority` is the certificate (PEM) that must have signed the server's; without one the machine's own are trusted.
    ///
    /// # Errors
    /// See [`SettingsError`]; no message has the password.
    pub fn new(
        url: &str,
        authority: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Self, SettingsError> {
        let wrong = |error: redis::RedisError| SettingsError::Url {
            place: redacted(url),
            reason: error.to_string(),
        };
        let info = url.into_connection_info().map_err(wrong)?;
        let place = info.addr().to_string();
        let client = match authority {
            None => Client::open(info).map_err(wrong)?,
            Some(certificate) => {
                let trusted = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(certificate),
                };
                Client::build_with_tls(info, trusted).map_err(|error| SettingsError::Authority {
                    reason: error.to_string(),
                })?
            }
        };
        Ok(Self {
            client,
            place,
            timeout,
        })
    }
}

/// A URL that can be shown: what stands between `//` and `@` is left out.
pub fn redacted(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[test]
    fn a_url_is_read_and_its_password_is_never_shown() {
        let settings = Settings::new("redis://me:secret@counts.example:7000/2", None, LIMIT);
        let settings = settings.unwrap();
        assert_eq!(settings.place, "counts.example:7000");
        assert!(!format!("{settings:?}").contains("secret"));
        for url in [
            "http://me:secret@counts.example",
            "redis://me:secret@h:port",
        ] {
            let told = Settings::new(url, None, LIMIT).unwrap_err().to_string();
            assert!(told.contains("***@") && !told.contains("secret"), "{told}");
            assert!(told.contains("rediss://"), "{told}");
        }
    }

    #[test]
    fn an_authority_goes_with_tls_only() {
        let authority = Some(b"no certificate".to_vec());
        let told = Settings::new("redis://h", authority, LIMIT).unwrap_err();
        assert!(told.to_string().contains("rediss://"), "{told}");
    }
}
