//! Calls of plugins that trapped or took too long, as events: the first of a plugin at once, then at most one a minute, with how many
//! there were meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use osier_api::Object;
use osier_policy::PluginStatus;
use tokio::time::Instant;

/// Between two events about one plugin.
const EVERY: Duration = Duration::from_secs(60);

/// What was told of each plugin that is there, by uid.
#[derive(Default)]
pub(super) struct Troubles {
    told: BTreeMap<String, Told>,
}

struct Told {
    counts: Counts,
    at: Option<Instant>,
}

/// Calls without an answer since the plugin was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    traps: u64,
    late: u64,
}

impl Troubles {
    /// What is to be told now of a plugin.
    pub(super) fn news(
        &mut self,
        plugin: &Object,
        serving: Option<&PluginStatus>,
        now: Instant,
    ) -> Option<String> {
        let serving = serving?;
        let counts = Counts {
            traps: serving.traps + serving.memory_overruns,
            late: serving.deadline_overruns,
        };
        if counts == Counts::default() {
            self.told.remove(plugin.uid());
            return None;
        }
        let told = self.told.entry(plugin.uid().to_owned()).or_insert(Told {
            counts: Counts::default(),
            at: None,
        });
        let early = told.at.is_some_and(|at| now.duration_since(at) < EVERY);
        let new = counts.since(told.counts);
        if early || new == Counts::default() {
            return None;
        }
        *told = Told {
            counts,
            at: Some(now),
        };
        let last = serving
            .last_error
            .as_deref()
            .unwrap_or("no reason is known");
        Some(format!("{}; the last: {last}", new.words()))
    }
}

impl Counts {
    /// What came since; a plugin that was loaded anew counts from nothing.
    fn since(self, before: Self) -> Self {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            traps: since(self.traps, before.traps),
            late: since(self.late, before.late),
        }
    }

    fn words(self) -> String {
        let counted = [(self.traps, "trapped"), (self.late, "overran the deadline")];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = counted
            .map(|(count, what)| format!("{count} calls {what}"))
            .collect();
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_begin_anew_with_a_new_component() {
        let counts = |traps, late| Counts { traps, late };
        assert_eq!(counts(5, 2).since(counts(3, 2)), counts(2, 0));
        assert_eq!(counts(1, 0).since(counts(3, 2)), counts(1, 0));
        assert_eq!(
            counts(2, 1).words(),
            "2 calls trapped, 1 calls overran the deadline"
        );
    }
}
