//! A token bucket for each set of dimensions, kept in the host's counters.

use std::time::Duration;

use osier_plugin::counters::{self, Terms};
use osier_plugin::serde::Deserialize;
use osier_plugin::types::QuotaInstance;
use osier_plugin::{Outcome, Plugin, Quota};

#[derive(Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Config {
    limit: u64,
}

struct TokenBucket(u64);

impl Plugin for TokenBucket {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        Ok(Self(config.limit))
    }
}

impl Quota for TokenBucket {
    fn allocate(&self, request: &QuotaInstance) -> Outcome {
        let key = format!("{:?}", request.dimensions);
        let terms = Terms {
            capacity: self.0,
            refill: self.0,
            interval: Duration::from_secs(3600),
        };
        let limits = counters::Bucket::new("limits");
        match limits.take(&key, request.amount, terms, request.best_effort) {
            Ok(taken) if taken.amount > 0 => Outcome::Granted {
                amount: taken.amount,
                headers: vec![("x-ratelimit-limit".into(), self.0.to_string())],
            },
            Ok(taken) => Outcome::Refused {
                reason: "the bucket is empty".into(),
                retry_after: Some(taken.retry_after),
                headers: Vec::new(),
            },
            Err(error) => Outcome::Refused {
                reason: format!("cannot count: {error}"),
                retry_after: None,
                headers: Vec::new(),
            },
        }
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(TokenBucket: quota);
