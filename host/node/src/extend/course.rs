//! How far the loading of a plugin is: a pure machine. Time is passed in.

use std::sync::Arc;

use jiff::Timestamp;
use osier_policy::Plugin;
use tokio::time::Instant;

use super::{RETRY, Version};

/// Where the newest version of a plugin stands on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Course {
    /// Nothing was tried yet.
    #[default]
    Idle,
    /// It is fetched, compiled, configured and probed.
    Loading {
        /// Which version.
        version: Version,
    },
    /// It serves.
    Ready {
        /// Which version.
        version: Version,
        /// Since when.
        since: Timestamp,
    },
    /// It could not be loaded; what served before serves on.
    Failed {
        /// Which version.
        version: Version,
        /// Since when.
        since: Timestamp,
        /// Why.
        error: String,
        /// When it is tried again.
        again: Instant,
    },
}

/// A plugin on this node.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// What serves, whatever becomes of newer versions.
    pub(super) plugin: Option<Arc<Plugin>>,
    pub(super) course: Course,
    failures: u32,
}

impl Entry {
    /// Whether `wanted` is to be loaded now; if so, it is loading from now on.
    pub(super) fn starts(&mut self, wanted: &Version, now: Instant) -> bool {
        let start = match &self.course {
            Course::Idle => true,
            // One load at a time; when it is done, a newer version follows.
            Course::Loading { .. } => false,
            Course::Ready { version, .. } => version != wanted,
            Course::Failed { version, again, .. } => version != wanted || now >= *again,
        };
        if start {
            let same = matches!(&self.course, Course::Failed { version, .. } if version == wanted);
            self.failures = if same { self.failures } else { 0 };
            self.course = Course::Loading {
                version: wanted.clone(),
            };
        }
        start
    }

    /// The load of `version` ended.
    pub(super) fn finish(
        &mut self,
        version: Version,
        result: Result<Arc<Plugin>, String>,
        (now, since): (Instant, Timestamp),
    ) {
        match result {
            Ok(plugin) => {
                self.plugin = Some(plugin);
                self.failures = 0;
                self.course = Course::Ready { version, since };
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let again = now + RETRY.after(self.failures);
                self.course = Course::Failed {
                    version,
                    since,
                    error,
                    again,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn version(generation: i64) -> Version {
        Version {
            uid: "u".to_owned(),
            generation,
        }
    }

    #[test]
    fn one_load_at_a_time_and_failures_wait() {
        let (mut entry, start) = (Entry::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(entry.starts(&version(1), at(0)));
        assert!(!entry.starts(&version(2), at(0)), "one at a time");
        entry.finish(
            version(1),
            Err("no image".to_owned()),
            (at(0), Timestamp::UNIX_EPOCH),
        );
        assert!(!entry.starts(&version(1), at(1)));
        assert!(entry.starts(&version(1), at(2)));
        entry.finish(
            version(1),
            Err("no image".to_owned()),
            (at(2), Timestamp::UNIX_EPOCH),
        );
        assert!(!entry.starts(&version(1), at(5)), "the delay doubles");
        assert!(
            entry.starts(&version(2), at(5)),
            "a new version is tried at once"
        );
        assert!(entry.plugin.is_none());
    }
}
