//! What part of a container's log is wanted, as `kubectl logs` and kubelet write it in a query.

use std::collections::HashMap;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use osier_api::Status;

/// What a reader of a log asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Goes on until the container ends.
    pub follow: bool,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines written at or after this.
    pub since: Option<Timestamp>,
    /// Each line with its time.
    pub timestamps: bool,
    /// At most this many bytes.
    pub limit_bytes: Option<u64>,
    /// Those of the container's life before this one.
    pub previous: bool,
}

impl LogOptions {
    /// Reads a query; what it says of the log of seconds ago counts from `now`.
    ///
    /// # Errors
    /// A bad request that names the parameter.
    pub fn read(query: &str, now: Timestamp) -> Result<Self, Status> {
        let given: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
        let text = |name: &str| {
            let value = given.get(name).map(AsRef::as_ref);
            value.filter(|value: &&str| !value.is_empty())
        };
        let flag = |name: &str| matches!(text(name), Some("true" | "1"));
        let seconds: Option<u32> = number(text("sinceSeconds"), "sinceSeconds")?;
        let ago = seconds.and_then(|seconds| {
            now.checked_sub(SignedDuration::from_secs(i64::from(seconds)))
                .ok()
        });
        let since = match text("sinceTime") {
            None => ago,
            Some(text) => Some(text.parse().map_err(|_| {
                Status::bad_request(format!(
                    "sinceTime: Invalid value: {text:?}: write it like 2006-01-02T15:04:05Z"
                ))
            })?),
        };
        Ok(Self {
            follow: flag("follow"),
            tail_lines: number(text("tailLines"), "tailLines")?,
            since,
            timestamps: flag("timestamps"),
            limit_bytes: number(text("limitBytes"), "limitBytes")?,
            previous: flag("previous"),
        })
    }

    /// The query that [`LogOptions::read`] reads back.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, set) in [
            ("follow", self.follow),
            ("timestamps", self.timestamps),
            ("previous", self.previous),
        ] {
            if set {
                query.append_pair(name, "true");
            }
        }
        for (name, number) in [
            ("tailLines", self.tail_lines),
            ("limitBytes", self.limit_bytes),
        ] {
            if let Some(number) = number {
                query.append_pair(name, &number.to_string());
            }
        }
        if let Some(since) = self.since {
            query.append_pair("sinceTime", &since.to_string());
        }
        query.finish()
    }
}

fn number<N: FromStr>(text: Option<&str>, name: &str) -> Result<Option<N>, Status> {
    let parsed = text.map(|text| {
        text.parse().map_err(|_| {
            Status::bad_request(format!(
                "{name}: Invalid value: {text:?}: it must be a number that is not negative"
            ))
        })
    });
    parsed.transpose()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_query_says_all_that_is_asked(
            flags in any::<(bool, bool, bool)>(),
            numbers in any::<(Option<u64>, Option<u64>)>(),
            since in proptest::option::of(0_i64..4_000_000_000_000),
        ) {
            let asked = LogOptions {
                follow: flags.0,
                timestamps: flags.1,
                previous: flags.2,
                tail_lines: numbers.0,
                limit_bytes: numbers.1,
                since: since.map(|since| Timestamp::from_millisecond(since).unwrap()),
            };
            prop_assert_eq!(LogOptions::read(&asked.query(), Timestamp::UNIX_EPOCH), Ok(asked));
        }

        #[test]
        fn any_query_is_read_or_refused(query in any::<String>()) {
            let _either = LogOptions::read(&query, Timestamp::UNIX_EPOCH);
        }
    }

    #[test]
    fn seconds_count_back_from_now() {
        let now = Timestamp::from_second(1_000).unwrap();
        let asked = LogOptions::read("sinceSeconds=10", now).unwrap();
        assert_eq!(asked.since, Some(Timestamp::from_second(990).unwrap()));
        let refused = LogOptions::read("tailLines=many", now).unwrap_err();
        assert!(
            refused.message.starts_with("tailLines: Invalid value"),
            "{}",
            refused.message
        );
    }
}
