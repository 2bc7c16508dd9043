//! Endpoints that fail are left out for a while.
//!
//! [`Health`] is what is known of one endpoint of one cluster: a state machine over atomics, told how each call ended and what
//! time it is, in milliseconds since any fixed moment. It holds no lock, and asking it costs one load. The rules are Envoy's
//! (<https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier>), with two differences: an endpoint comes
//! back when its time is over and not at the next interval, and the first endpoint may be left out however small
//! `maxEjectionPercent` makes the share, as long as it is not the only one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// When endpoints are left out. A count of zero turns that detector off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutlierPolicy {
    /// Failures of any kind in a row.
    pub consecutive_5xx: u32,
    /// 502, 503 and 504 in a row, and calls without an answer.
    pub consecutive_gateway: u32,
    /// Calls without an answer in a row; only counted if [`OutlierPolicy::split`].
    pub consecutive_local: u32,
    /// Whether calls without an answer are counted by themselves, and not as server errors.
    pub split: bool,
    /// A quiet interval forgives one earlier ejection.
    pub interval: Duration,
    /// How long the first ejection lasts; the n-th lasts n times as long.
    pub base_time: Duration,
    /// The most that an ejection lasts.
    pub longest: Duration,
    /// Percent of the endpoints that may be out at once.
    pub most: u32,
    /// If fewer percent than this are in, all are used (panic).
    pub least_healthy: u32,
}

impl OutlierPolicy {
    /// Istio's defaults: five server errors in a row, thirty seconds, a tenth of the endpoints.
    pub const DEFAULT: Self = Self {
        consecutive_5xx: 5,
        consecutive_gateway: 0,
        consecutive_local: 5,
        split: false,
        interval: Duration::from_secs(10),
        base_time: Duration::from_secs(30),
        longest: Duration::from_secs(300),
        most: 10,
        least_healthy: 0,
    };
}

/// How a call ended, as its endpoint's health sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The endpoint answered, and not with a server error.
    Good,
    /// It answered with this status of 500 or more.
    ServerError(u16),
    /// It could not be reached, did not answer in time, or broke off.
    NoAnswer,
}

/// Which detector found an endpoint to be one that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// Server errors in a row.
    Consecutive5xx,
    /// Gateway errors in a row.
    ConsecutiveGateway,
    /// Calls without an answer in a row.
    ConsecutiveLocal,
}

impl Detector {
    /// All of them, in the order of [`Ejections::enforced`].
    pub const ALL: [Self; 3] = [
        Self::Consecutive5xx,
        Self::ConsecutiveGateway,
        Self::ConsecutiveLocal,
    ];

    /// Envoy's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consecutive5xx => "consecutive_5xx",
            Self::ConsecutiveGateway => "consecutive_gateway_failure",
            Self::ConsecutiveLocal => "consecutive_local_origin_failure",
        }
    }
}

/// What one sign led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing new.
    Unchanged,
    /// The endpoint is left out.
    Ejected {
        /// What found it.
        by: Detector,
        /// For how long.
        time: Duration,
    },
    /// It ought to be left out, but too many are already.
    Spared(Detector),
}

/// What is known of one endpoint of one cluster.
#[derive(Debug, Default)]
pub struct Health {
    errors: AtomicU32,
    gateway_errors: AtomicU32,
    without_answer: AtomicU32,
    /// Earlier ejections that are not forgiven yet.
    ejections: AtomicU32,
    /// When the present or last ejection ends; 0 if there never was one.
    out_until: AtomicU64,
    /// When it was first thought of, plus one; 0 before.
    since: AtomicU64,
}

impl Health {
    /// Another one that knows the same and learns by itself from now on.
    pub fn fork(&self) -> Self {
        let count = |count: &AtomicU32| AtomicU32::new(count.load(Ordering::Relaxed));
        let time = |time: &AtomicU64| AtomicU64::new(time.load(Ordering::Relaxed));
        Self {
            errors: count(&self.errors),
            gateway_errors: count(&self.gateway_errors),
            without_answer: count(&self.without_answer),
            ejections: count(&self.ejections),
            out_until: time(&self.out_until),
            since: time(&self.since),
        }
    }

    /// Whether the endpoint may get calls at this time.
    pub fn is_in(&self, now: u64) -> bool {
        self.out_until.load(Ordering::Relaxed) <= now
    }

    /// How long it has been known; the first one to ask starts the time.
    pub fn age(&self, now: u64) -> Duration {
        let first = self
            .since
            .compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
        let since = first.err().map_or(now, |since| since - 1);
        Duration::from_millis(now.saturating_sub(since))
    }

    /// Counts a sign; says which detector has seen enough.
    fn count(&self, policy: &OutlierPolicy, sign: Sign) -> Option<Detector> {
        let gateway = |health: &Self, enough| {
            reached(&health.gateway_errors, enough).then_some(Detector::ConsecutiveGateway)
        };
        match sign {
            Sign::Good => {
                // Nearly every call is a good one: do not write what is zero already.
                let counts = [&self.errors, &self.gateway_errors, &self.without_answer];
                counts.into_iter().for_each(clear);
                None
            }
            Sign::NoAnswer if policy.split => {
                reached(&self.without_answer, policy.consecutive_local)
                    .then_some(Detector::ConsecutiveLocal)
            }
            Sign::ServerError(status) if !(502..=504).contains(&status) => {
                clear(&self.gateway_errors);
                self.answered(policy);
                self.server_error(policy)
            }
            Sign::ServerError(_) => {
                self.answered(policy);
                let by_gateway = gateway(self, policy.consecutive_gateway);
                self.server_error(policy).or(by_gateway)
            }
            Sign::NoAnswer => {
                let by_gateway = gateway(self, policy.consecutive_gateway);
                self.server_error(policy).or(by_gateway)
            }
        }
    }

    fn answered(&self, policy: &OutlierPolicy) {
        if policy.split {
            clear(&self.without_answer);
        }
    }

    fn server_error(&self, policy: &OutlierPolicy) -> Option<Detector> {
        reached(&self.errors, policy.consecutive_5xx).then_some(Detector::Consecutive5xx)
    }

    /// Leaves the endpoint out from now on; says for how long.
    fn eject(&self, policy: &OutlierPolicy, now: u64) -> Duration {
        let quiet = now.saturating_sub(self.out_until.load(Ordering::Relaxed));
        let forgiven = quiet.checked_div(millis(policy.interval)).unwrap_or(0);
        let before = u64::from(self.ejections.load(Ordering::Relaxed));
        let number = u32::try_from(before.saturating_sub(forgiven) + 1).unwrap_or(u32::MAX);
        let time = ejection_time(policy, number);
        self.ejections.store(number, Ordering::Relaxed);
        for count in [&self.errors, &self.gateway_errors, &self.without_answer] {
            count.store(0, Ordering::Relaxed);
        }
        self.out_until.store(now + millis(time), Ordering::Relaxed);
        time
    }
}

fn clear(count: &AtomicU32) {
    if count.load(Ordering::Relaxed) != 0 {
        count.store(0, Ordering::Relaxed);
    }
}

fn reached(count: &AtomicU32, enough: u32) -> bool {
    enough > 0 && count.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= enough
}

/// How long ejection number `number` lasts.
fn ejection_time(policy: &OutlierPolicy, number: u32) -> Duration {
    let longest = policy.longest.max(policy.base_time);
    policy.base_time.saturating_mul(number).min(longest)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a cluster has ejected so far.
#[derive(Debug, Default)]
pub struct Ejections {
    /// Ejections by each detector, in the order of [`Detector`].
    pub enforced: [AtomicU64; 3],
    /// Ejections that did not happen because too many were out.
    pub overflow: AtomicU64,
    /// Somebody is deciding about an ejection: the next one waits for the next sign.
    deciding: AtomicBool,
    /// When the last ejection ends: before that, endpoints must be looked at one by one.
    some_out_until: AtomicU64,
}

impl Ejections {
    /// Another one that knows who is out, and has ejected nobody itself.
    pub fn fork(&self) -> Self {
        Self {
            some_out_until: AtomicU64::new(self.some_out_until.load(Ordering::Relaxed)),
            ..Self::default()
        }
    }

    /// Whether an endpoint of the cluster may be out at this time.
    pub fn may_be_some(&self, now: u64) -> bool {
        self.some_out_until.load(Ordering::Relaxed) > now
    }

    /// Tells the endpoint at `index` how a call to it ended.
    pub fn judge(
        &self,
        (policy, all): (&OutlierPolicy, &[Arc<Health>]),
        (index, sign): (usize, Sign),
        now: u64,
    ) -> Judgement {
        let Some(health) = all.get(index) else {
            return Judgement::Unchanged;
        };
        let Some(by) = health.count(policy, sign).filter(|_| health.is_in(now)) else {
            return Judgement::Unchanged;
        };
        if self.deciding.swap(true, Ordering::Acquire) {
            return Judgement::Unchanged;
        }
        let judgement = self.decide((policy, all), health, (by, now));
        self.deciding.store(false, Ordering::Release);
        judgement
    }

    fn decide(
        &self,
        (policy, all): (&OutlierPolicy, &[Arc<Health>]),
        health: &Health,
        (by, now): (Detector, u64),
    ) -> Judgement {
        let out = all.iter().filter(|health| !health.is_in(now)).count();
        if !may_eject(policy, (out, all.len())) {
            self.overflow.fetch_add(1, Ordering::Relaxed);
            return Judgement::Spared(by);
        }
        let time = health.eject(policy, now);
        self.enforced[by as usize].fetch_add(1, Ordering::Relaxed);
        self.some_out_until
            .fetch_max(now + millis(time), Ordering::Relaxed);
        Judgement::Ejected { by, time }
    }
}

/// Whether one more of `total` may be left out when `out` are.
fn may_eject(policy: &OutlierPolicy, (out, total): (usize, usize)) -> bool {
    let percent = (out + 1) * 100;
    percent <= policy.most as usize * total || (out == 0 && total > 1)
}

/// Whether so few are in that all are used.
pub fn is_panic(policy: &OutlierPolicy, (inside, total): (usize, usize)) -> bool {
    inside * 100 < policy.least_healthy as usize * total
}

#[cfg(test)]
mod tests;
