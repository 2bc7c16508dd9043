//! A token bucket for each set of dimensions, over the host's counters: template `quota`.

use std::time::Duration;

use osier_plugin::counters::{Bucket, Terms};
use osier_plugin::types::QuotaInstance;
use osier_plugin::{Outcome, Quota};

use crate::Examples;

impl Quota for Examples {
    fn allocate(&self, request: &QuotaInstance) -> Outcome {
        let limit = self.0.limit;
        let terms = Terms {
            capacity: limit,
            refill: limit,
            interval: Duration::from_secs(3600),
        };
        let key = format!("{:?}", request.dimensions);
        let refused = |reason: String, retry_after| Outcome::Refused {
            reason,
            retry_after,
            headers: Vec::new(),
        };
        match Bucket::new("limits").take(&key, request.amount, terms, request.best_effort) {
            Ok(taken) if taken.amount > 0 => Outcome::Granted {
                amount: taken.amount,
                headers: vec![("x-ratelimit-limit".into(), limit.to_string())],
            },
            Ok(taken) => refused("the bucket is empty".into(), Some(taken.retry_after)),
            Err(error) => refused(format!("cannot count: {error}"), None),
        }
    }
}
