//! `quota`: an allowance for each window of time and combination of dimensions. What a call may cost is reserved before it passes; what it did
//! cost is settled when it has ended, and the rest goes back.

mod ledger;

use std::collections::BTreeMap;
use std::time::Duration;

use osier_plugin::counters::{self, Bucket};
use osier_plugin::serde::Deserialize;
use osier_plugin::types::{QuotaInstance, SettlementInstance, Value};
use osier_plugin::{Outcome, Period, Plugin, Quota, Settlement};

use ledger::{Counters, Ledger, Reserved};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    limit: u64,
    window: Period,
    #[serde(default = "reservation")]
    reservation: Period,
    #[serde(default = "bucket")]
    bucket: String,
    #[serde(default)]
    overrides: Vec<Override>,
}

fn reservation() -> Period {
    Period(Duration::from_secs(15 * 60))
}

fn bucket() -> String {
    "quota".into()
}

/// Another limit for calls whose dimensions agree; the first that fits counts.
#[derive(Debug, Deserialize)]
#[serde(crate = "osier_plugin::serde", deny_unknown_fields)]
struct Override {
    dimensions: BTreeMap<String, String>,
    limit: u64,
}

/// The plugin.
struct Quotas {
    limit: u64,
    overrides: Vec<Override>,
    ledger: Ledger,
    bucket: Bucket,
}

impl Plugin for Quotas {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let (window, reservation) = (config.window.0, config.reservation.0);
        for (field, time) in [("window", window), ("reservation", reservation)] {
            if time < Duration::from_secs(1) {
                return Err(format!("{field}: must be 1s or longer"));
            }
        }
        let limits = config.overrides.iter().map(|own| own.limit);
        if limits
            .chain([config.limit])
            .any(|limit| limit > i64::MAX as u64)
        {
            return Err("limit: is larger than what can be counted (2^63 - 1)".into());
        }
        Ok(Self {
            limit: config.limit,
            overrides: config.overrides,
            ledger: Ledger {
                window,
                reservation,
            },
            bucket: Bucket::new(config.bucket),
        })
    }
}

impl Quotas {
    fn limit_of(&self, dimensions: &BTreeMap<&str, String>) -> u64 {
        let fits = |own: &&Override| {
            let mut wanted = own.dimensions.iter();
            wanted.all(|(name, value)| dimensions.get(name.as_str()) == Some(value))
        };
        let own = self.overrides.iter().find(fits);
        own.map_or(self.limit, |own| own.limit)
    }

    fn reserve(&self, request: &QuotaInstance, counters: &impl Counters) -> Outcome {
        let dimensions = texts(&request.dimensions);
        let limit = self.limit_of(&dimensions);
        let key = key(&dimensions);
        let wanted = (request.amount, request.best_effort);
        let id = &request.deduplication_id;
        match self.ledger.reserve(counters, (&key, id), wanted, limit) {
            Ok(Reserved {
                amount, remaining, ..
            }) if amount > 0 || request.amount == 0 => Outcome::Granted {
                amount,
                headers: headers(limit, remaining),
            },
            Ok(reserved) => Outcome::Refused {
                reason: format!(
                    "{} of {limit} are left{}, and {} are wanted",
                    reserved.remaining,
                    whose(&dimensions),
                    request.amount
                ),
                retry_after: Some(reserved.until_next),
                headers: headers(limit, reserved.remaining),
            },
            // Failing would drop the instance; refusing keeps the promise of the limit.
            Err(error) => Outcome::Refused {
                reason: format!("cannot count: {error}"),
                retry_after: None,
                headers: Vec::new(),
            },
        }
    }

    fn settle_with(
        &self,
        batch: &[SettlementInstance],
        counters: &impl Counters,
    ) -> Result<(), String> {
        for one in batch {
            let key = key(&texts(&one.dimensions));
            let settled = self
                .ledger
                .settle(counters, (&key, &one.deduplication_id), one.used);
            settled.map_err(|error| format!("cannot settle: {error}"))?;
        }
        Ok(())
    }
}

impl Quota for Quotas {
    fn allocate(&self, request: &QuotaInstance) -> Outcome {
        self.reserve(request, &self.bucket)
    }
}

impl Settlement for Quotas {
    fn settle(&self, batch: &[SettlementInstance]) -> Result<(), String> {
        self.settle_with(batch, &self.bucket)
    }
}

impl Counters for Bucket {
    fn add(&self, key: &str, delta: i64, life: Duration) -> Result<i64, counters::Error> {
        self.increment(key, delta, Some(life))
    }

    fn now(&self) -> Duration {
        counters::now()
    }
}

fn headers(limit: u64, remaining: u64) -> Vec<(String, String)> {
    vec![
        ("x-quota-limit".into(), limit.to_string()),
        ("x-quota-remaining".into(), remaining.to_string()),
    ]
}

fn texts(dimensions: &[(String, Value)]) -> BTreeMap<&str, String> {
    let texts = dimensions.iter();
    texts
        .map(|(name, value)| (name.as_str(), value.to_text()))
        .collect()
}

/// Whose allowance it is, for people; nothing if all share one.
fn whose(dimensions: &BTreeMap<&str, String>) -> String {
    let each = dimensions.iter();
    let words: Vec<String> = each
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(" for {}", words.join(", ")),
    }
}

/// One text per combination of dimensions; lengths keep `a=b,c` and `a`, `b,c` apart.
fn key(dimensions: &BTreeMap<&str, String>) -> String {
    let mut key = String::new();
    for (name, value) in dimensions {
        key.push_str(&format!("{name}={}:{value};", value.len()));
    }
    key
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(Quotas: quota, settlement);

#[cfg(test)]
mod tests;
