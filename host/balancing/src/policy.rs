//! How calls are spread over the endpoints of a cluster: the settings, compiled. Pure values; the proxy acts on them.

use std::time::Duration;

use crate::hashing::ConsistentHash;
use crate::locality::LocalityRule;
use crate::outlier::OutlierPolicy;

/// How calls are spread over the endpoints of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Balancing {
    /// How an endpoint is chosen.
    pub balancer: LoadBalancer,
    /// Hashing, which decides before the balancer where the request has the key.
    pub hash: Option<ConsistentHash>,
    /// Which endpoints are preferred.
    pub locality: Option<LocalityRule>,
    /// Slow start of new endpoints.
    pub warmup: Option<Warmup>,
    /// Which endpoints are left out.
    pub outlier: Option<OutlierPolicy>,
    /// How many repetitions may be under way.
    pub budget: Option<RetryBudget>,
}

/// How a cluster's endpoints are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoadBalancer {
    /// The less loaded of two taken at random.
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
}

/// Slow start: a new endpoint gets a growing share of what the others get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// How long.
    pub time: Duration,
    /// The share that it begins with, in parts of one.
    pub least: f64,
    /// The form of the curve: 1 is a straight line, more is steeper at the beginning.
    pub aggression: f64,
}

impl Warmup {
    /// The share of an endpoint of this age, in parts of one.
    pub fn share(&self, age: Duration) -> f64 {
        if age >= self.time {
            return 1.0;
        }
        let grown = age.as_secs_f64() / self.time.as_secs_f64();
        grown.powf(1.0 / self.aggression).clamp(self.least, 1.0)
    }
}

/// How many repetitions may be under way at once, measured by the requests that are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    /// Percent of the requests under way.
    pub percent: f64,
    /// As many are always allowed.
    pub least: u32,
}

impl RetryBudget {
    /// How many repetitions may be under way with so many requests.
    pub fn limit(&self, requests: u32) -> u32 {
        let share = (f64::from(requests) * self.percent / 100.0).floor();
        (share as u32).max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_endpoint_grows_into_its_share() {
        let warmup = |aggression| Warmup {
            time: Duration::from_secs(10),
            least: 0.1,
            aggression,
        };
        let share = |aggression, seconds| warmup(aggression).share(Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 5, 10, 60].map(|age| share(1.0, age)),
            [0.1, 0.1, 0.5, 1.0, 1.0]
        );
        assert!(share(2.0, 5) > 0.7 && share(0.5, 5) < 0.26);
    }

    #[test]
    fn a_budget_grows_with_the_requests() {
        let budget = RetryBudget {
            percent: 20.0,
            least: 3,
        };
        assert_eq!(
            [0, 10, 50].map(|requests| budget.limit(requests)),
            [3, 3, 10]
        );
    }
}
