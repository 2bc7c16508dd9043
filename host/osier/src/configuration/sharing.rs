//! Counters that nodes share: where they are, read and checked once.

use crate::arguments::Counting;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long a question to Redis may take, unless it is said, in milliseconds: a call waits for it.
const MILLIS: u64 = 50;
/// The longest that can be said.
const MOST_MILLIS: u64 = 5_000;

/// What the `--config` file says: `redisUrl`, `redisCa`, `redisTimeoutMillis`.
type File = (Option<String>, Option<PathBuf>, Option<u64>);

/// Where plugins count.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sharing {
    /// The Redis, without its password; none: each node counts for itself.
    redis_url: Option<String>,
    /// The certificate that must have signed the Redis' own.
    redis_ca: Option<PathBuf>,
    /// How long a question may take, in milliseconds.
    redis_timeout_millis: u64,
    /// The same, ready to be connected to.
    #[serde(skip)]
    pub(crate) redis: Option<osier_redis::Settings>,
}

impl Sharing {
    /// Flags over file over defaults.
    pub(super) fn of(given: &Counting, file: File) -> Result<Self, String> {
        let url = given.redis_url.clone().or(file.0);
        let ca = given.redis_ca.clone().or(file.1);
        let millis = file.2.unwrap_or(MILLIS);
        if !(1..=MOST_MILLIS).contains(&millis) {
            return Err(format!(
                "redisTimeoutMillis: {millis} is not between 1 and {MOST_MILLIS}"
            ));
        }
        let redis = match &url {
            None if ca.is_some() => {
                return Err(
                    "--redis-ca: goes with --redis-url, which says where the Redis is".into(),
                );
            }
            None => None,
            Some(url) => {
                let read = |path: &PathBuf| {
                    let bytes = std::fs::read(path);
                    bytes.map_err(|error| format!("--redis-ca {}: {error}", path.display()))
                };
                let authority = ca.as_ref().map(read).transpose()?;
                let timeout = Duration::from_millis(millis);
                let settings = osier_redis::Settings::new(url, authority, timeout);
                Some(settings.map_err(|error| format!("--redis-url: {error}"))?)
            }
        };
        Ok(Self {
            redis_url: url.as_deref().map(osier_redis::redacted),
            redis_ca: ca,
            redis_timeout_millis: millis,
            redis,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_shown_has_no_password() {
        let given = Counting {
            redis_url: Some("rediss://:secret@counts.example/3".into()),
            redis_ca: None,
        };
        let sharing = Sharing::of(&given, File::default()).unwrap();
        assert!(sharing.redis.is_some());
        let shown = serde_json::to_string(&sharing).unwrap();
        assert!(
            shown.contains("rediss://***@counts.example/3") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn faults_name_the_setting() {
        let url = |url: &str| Counting {
            redis_url: Some(url.into()),
            redis_ca: None,
        };
        let none = Counting {
            redis_url: None,
            redis_ca: Some("/no/such".into()),
        };
        let slow = (None, None, Some(60_000));
        for (told, words) in [
            (
                Sharing::of(&url("counts.example"), File::default()),
                "--redis-url",
            ),
            (Sharing::of(&none, File::default()), "--redis-ca"),
            (Sharing::of(&url("redis://h"), slow), "redisTimeoutMillis"),
        ] {
            assert!(told.unwrap_err().contains(words));
        }
    }
}
