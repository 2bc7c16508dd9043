//! How fast replicas may come and go: what was proposed and done before, and the rules about it. Pure.

use jiff::Timestamp;

use crate::wanted::{Policy, Rules, Wanted};

/// No rule looks further back: upstream's bound of a window, in seconds.
const LONGEST: i64 = 3600;

/// What was proposed for one target, and what was done. Bounded by the time that rules look back.
#[derive(Debug, Clone, Default)]
pub struct History {
    proposed: Vec<(Timestamp, u32)>,
    /// How many came (positive) or went.
    done: Vec<(Timestamp, i64)>,
}

/// A bound that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    None,
    Most,
    Least,
    UpRate,
    DownRate,
}

fn seconds(since: Timestamp, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(since.as_second())
}

impl History {
    /// Remembers that replicas were changed.
    pub fn note(&mut self, now: Timestamp, from: u32, to: u32) {
        if from == 0 {
            // Who was woken stays awake for a window.
            self.proposed.push((now, to));
        }
        self.done.push((now, i64::from(to) - i64::from(from)));
    }

    /// Remembers a proposal, and gives the one that is safe with those before it: the least recent change in either direction.
    pub(crate) fn stabilized(
        &mut self,
        wanted: &Wanted,
        (current, proposed): (u32, u32),
        now: Timestamp,
    ) -> u32 {
        self.proposed.retain(|(at, _)| seconds(*at, now) < LONGEST);
        self.done.retain(|(at, _)| seconds(*at, now) < LONGEST);
        if self.proposed.is_empty() {
            // Nothing is known of the time before: what there is was as good as proposed.
            self.proposed.push((now, current));
        }
        let within = |window: i64| {
            let all = self.proposed.iter();
            all.filter(move |(at, _)| seconds(*at, now) < window)
                .map(|(_, replicas)| *replicas)
        };
        let up = within(wanted.up.window).fold(proposed, u32::min);
        let down = within(wanted.down.window).fold(proposed, u32::max);
        self.proposed.push((now, proposed));
        current.max(up).min(down)
    }

    /// How many came less how many went in the last seconds.
    fn change(&self, period: i64, now: Timestamp) -> i64 {
        let recent = self
            .done
            .iter()
            .filter(|(at, _)| seconds(*at, now) < period);
        recent.map(|(_, change)| change).sum()
    }

    /// The nearest to what is wanted that the rules and bounds allow.
    pub(crate) fn bounded(
        &self,
        wanted: &Wanted,
        (current, desired): (u32, u32),
        now: Timestamp,
    ) -> (u32, Limit) {
        if desired > current {
            let most = self.reach(&wanted.up, (current, true), now).max(current);
            return match desired.min(most).min(wanted.max) {
                bounded if bounded == desired => (desired, Limit::None),
                bounded if wanted.max <= most => (bounded, Limit::Most),
                bounded => (bounded, Limit::UpRate),
            };
        }
        if desired < current {
            let least = self.reach(&wanted.down, (current, false), now).min(current);
            return match desired.max(least).max(wanted.min) {
                bounded if bounded == desired => (desired, Limit::None),
                bounded if wanted.min >= least => (bounded, Limit::Least),
                bounded => (bounded, Limit::DownRate),
            };
        }
        (desired, Limit::None)
    }

    /// How far the rules of a direction let the number go.
    fn reach(&self, rules: &Rules, (current, up): (u32, bool), now: Timestamp) -> u32 {
        let ends = rules.policies.iter().map(|policy| {
            let begun = (i64::from(current) - self.change(policy.period, now)).max(0);
            end(*policy, begun, up)
        });
        // The policy of the greatest change, or of the least.
        let most = rules.select != "Min";
        let end = match (rules.select.as_str(), most == up) {
            ("Disabled", _) => None,
            (_, true) => ends.max(),
            (_, false) => ends.min(),
        };
        end.unwrap_or(current)
    }
}

/// Where a policy ends that began with so many.
fn end(policy: Policy, begun: i64, up: bool) -> u32 {
    let value = i64::from(policy.value);
    let end = match (policy.percent, up) {
        (false, true) => begun.saturating_add(value),
        (false, false) => begun.saturating_sub(value),
        (true, true) => {
            let more = begun.saturating_mul(value);
            begun.saturating_add(more / 100 + i64::from(more % 100 > 0))
        }
        (true, false) => begun.saturating_mul((100 - value).max(0)) / 100,
    };
    u32::try_from(end.max(0)).unwrap_or(u32::MAX)
}
