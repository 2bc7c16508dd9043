//! `rate-limit`: so many calls in so much time, per combination of dimensions, counted by the host for the whole node, or for all nodes that share
//! a Redis.

mod limiter;

use std::collections::BTreeMap;
use std::time::Duration;

use osier_plugin::counters::{self, Bucket};
use osier_plugin::serde::Deserialize;
use osier_plugin::types::{QuotaInstance, Value};
use osier_plugin::{Outcome, Period, Plugin, Quota};

use limiter::{Algorithm, Counters, Limit};

/// See `config.schema.json`.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Config {
    #[serde(default)]
    algorithm: Algorithm,
    limit: u64,
    window: Period,
    burst: Option<u64>,
    lease: Option<LeaseTerms>,
    #[serde(default = "bucket")]
    bucket: String,
    #[serde(default)]
    overrides: Vec<Override>,
}

fn bucket() -> String {
    "rate-limit".into()
}

/// So many tokens are taken at once, and handed out by the host for so long.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct LeaseTerms {
    amount: u64,
    valid_for: Period,
}

/// Another limit for calls whose dimensions agree; the first that fits counts.
#[derive(Debug, Deserialize)]
#[serde(
    crate = "osier_plugin::serde",
    rename_all = "camelCase",
    deny_unknown_fields
)]
struct Override {
    dimensions: BTreeMap<String, String>,
    limit: u64,
    window: Option<Period>,
    burst: Option<u64>,
}

/// The plugin.
struct RateLimit {
    algorithm: Algorithm,
    limit: Limit,
    overrides: Vec<(BTreeMap<String, String>, Limit)>,
    lease: Option<(u64, Duration)>,
    bucket: Bucket,
}

impl Plugin for RateLimit {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, String> {
        let limit = Limit::new("", config.limit, config.window.0, config.burst)?;
        let lease = config
            .lease
            .map(|terms| leasing(terms, limit))
            .transpose()?;
        let mut overrides = Vec::with_capacity(config.overrides.len());
        for (place, own) in config.overrides.into_iter().enumerate() {
            let window = own.window.unwrap_or(config.window).0;
            let path = format!("overrides[{place}].");
            overrides.push((
                own.dimensions,
                Limit::new(&path, own.limit, window, own.burst)?,
            ));
        }
        Ok(Self {
            algorithm: config.algorithm,
            limit,
            overrides,
            lease,
            bucket: Bucket::new(config.bucket),
        })
    }
}

impl RateLimit {
    fn limit_of(&self, dimensions: &BTreeMap<&str, String>) -> Limit {
        let fits = |wanted: &BTreeMap<String, String>| {
            (wanted.iter()).all(|(name, value)| dimensions.get(name.as_str()) == Some(value))
        };
        let own = self.overrides.iter().find(|(wanted, _)| fits(wanted));
        own.map_or(self.limit, |(_, limit)| *limit)
    }

    /// Takes a lease, if there is as much; else the call is asked about by itself.
    fn lease(
        &self,
        request: &QuotaInstance,
        counters: &impl Counters,
        (key, limit): (&str, Limit),
    ) -> Option<Outcome> {
        let (amount, time) = self.lease?;
        let more = request.amount > 0 && request.amount < amount;
        let taken = more.then(|| self.algorithm.take(counters, key, amount, false, limit));
        let taken = taken?.ok().filter(|taken| taken.amount > 0)?;
        Some(Outcome::Leased {
            amount: taken.amount,
            valid_for: time.min(self.algorithm.left(counters, limit)),
            headers: limit.headers(taken.remaining),
        })
    }

    fn decide(&self, request: &QuotaInstance, counters: &impl Counters) -> Outcome {
        let dimensions: BTreeMap<&str, String> = (request.dimensions.iter())
            .map(|(name, value)| (name.as_str(), text(value)))
            .collect();
        let limit = self.limit_of(&dimensions);
        let key = key(&dimensions);
        if let Some(leased) = self.lease(request, counters, (&key, limit)) {
            return leased;
        }
        let taken = self
            .algorithm
            .take(counters, &key, request.amount, request.best_effort, limit);
        match taken {
            Ok(taken) if taken.amount > 0 || request.amount == 0 => Outcome::Granted {
                amount: taken.amount,
                headers: limit.headers(taken.remaining),
            },
            Ok(taken) => Outcome::Refused {
                reason: format!(
                    "{} in {:?} are used up{}",
                    limit.amount,
                    limit.window,
                    whose(&dimensions)
                ),
                retry_after: Some(taken.retry_after),
                headers: limit.headers(taken.remaining),
            },
            // Failing would drop the instance; refusing keeps the promise of the limit.
            Err(error) => Outcome::Refused {
                reason: format!("cannot count: {error}"),
                retry_after: None,
                headers: Vec::new(),
            },
        }
    }
}

impl Quota for RateLimit {
    fn allocate(&self, request: &QuotaInstance) -> Outcome {
        self.decide(request, &self.bucket)
    }
}

impl Counters for Bucket {
    fn increment(&self, key: &str, delta: i64, ttl: Duration) -> Result<i64, counters::Error> {
        Bucket::increment(self, key, delta, Some(ttl))
    }

    fn get(&self, key: &str) -> Result<i64, counters::Error> {
        Ok(Bucket::get(self, key)?.unwrap_or(0))
    }

    fn take(
        &self,
        key: &str,
        amount: u64,
        terms: counters::Terms,
        best_effort: bool,
    ) -> Result<counters::Taken, counters::Error> {
        Bucket::take(self, key, amount, terms, best_effort)
    }

    fn now(&self) -> Duration {
        counters::now()
    }
}

/// A lease must fit into the limit, or it would never be granted.
fn leasing(terms: LeaseTerms, limit: Limit) -> Result<(u64, Duration), String> {
    let most = limit.amount.min(limit.burst);
    if !(2..=most).contains(&terms.amount) {
        return Err(format!(
            "lease.amount: {} is out of range; use 2 to {most}, the smaller of limit and burst",
            terms.amount
        ));
    }
    if terms.valid_for.0.is_zero() || terms.valid_for.0 > limit.window {
        return Err(format!(
            "lease.validFor: must be longer than nothing and at most the window, {:?}",
            limit.window
        ));
    }
    Ok((terms.amount, terms.valid_for.0))
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

fn text(value: &Value) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Time(time) => format!("{}.{:09}", time.seconds, time.nanoseconds),
        Value::Span(span) => format!("{}ns", span.nanoseconds),
        Value::Texts(texts) => texts
            .iter()
            .map(|(name, value)| format!("{name}={value},"))
            .collect(),
    }
}

osier_plugin::config_schema!("../config.schema.json");
osier_plugin::export!(RateLimit: quota);

#[cfg(test)]
mod tests;
