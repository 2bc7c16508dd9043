//! `osier:policy/counters` over Redis: the same contract as the node's own counters.

use std::sync::Arc;
use std::time::Duration;

use osier_capabilities::{CounterStore, KeyValue, KeyValueError, Taken, Terms, waited};
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use redis::ScriptInvocation;
use tokio::runtime::Handle;

use crate::connection::Connection;
use crate::scripts::Scripts;
use crate::settings::Settings;

/// Longest key, in bytes; as on the node.
const MAX_KEY: usize = 4_096;
/// Life of a counter that gives none, from its last increment.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// Most tokens that are counted: beyond that Redis' numbers are no longer whole.
const MOST: u64 = 1 << 53;
/// Longest life of a counter.
const LONGEST: Duration = Duration::from_secs(86_400 * 366);

/// Counters in a Redis, shared by all nodes that are given it. Clones share the connection.
#[derive(Clone)]
pub struct SharedCounters(Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    scripts: Scripts,
    runtime: Handle,
}

impl SharedCounters {
    /// Begins to connect; until that is done nobody can count. Call it on a runtime with several threads, which carries the connection.
    pub fn start(settings: Settings, metrics: &Metrics, tasks: &Tasks) -> Self {
        Self(Arc::new(Inner {
            connection: Connection::start(settings, metrics, tasks),
            scripts: Scripts::new(),
            runtime: Handle::current(),
        }))
    }
}

impl CounterStore for SharedCounters {
    fn granted(&self, plugin: &str, buckets: Vec<String>) -> Arc<dyn KeyValue> {
        Arc::new(Granted {
            counters: self.clone(),
            plugin: plugin.to_owned(),
            buckets,
        })
    }
}

/// The counters as one plugin sees them.
struct Granted {
    counters: SharedCounters,
    plugin: String,
    buckets: Vec<String>,
}

impl Granted {
    /// Where a counter and a token bucket of that name are kept. In a cluster both are on one shard.
    fn keys(&self, bucket: &str, key: &str) -> Result<[String; 2], KeyValueError> {
        if !self.buckets.iter().any(|granted| granted == bucket) {
            return Err(KeyValueError::NotGranted);
        }
        if key.len() > MAX_KEY {
            return Err(KeyValueError::Full);
        }
        // Names of plugins and buckets have no braces and no colons; what follows them may have any.
        let name = format!("{{{}:{bucket}:{key}}}", self.plugin);
        Ok([
            format!("osier:count:{name}"),
            format!("osier:tokens:{name}"),
        ])
    }

    /// Asks Redis on this thread; others of the runtime go on.
    fn ask<T>(&self, invocation: &ScriptInvocation<'_>) -> Result<T, KeyValueError>
    where
        T: redis::FromRedisValue,
    {
        let inner = &self.counters.0;
        let asked = inner.connection.ask(|mut connection| async move {
            invocation.invoke_async::<T>(&mut connection).await
        });
        let answered = waited(&inner.runtime, asked).flatten();
        answered.ok_or(KeyValueError::Unavailable)
    }
}

/// A life in whole milliseconds, at least one.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(LONGEST).as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl KeyValue for Granted {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<i64>, KeyValueError> {
        let [count, tokens] = self.keys(bucket, key)?;
        let script = &self.counters.0.scripts.get;
        self.ask(script.key(count).key(tokens))
    }

    fn increment(
        &self,
        bucket: &str,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, KeyValueError> {
        let [count, _] = self.keys(bucket, key)?;
        let script = &self.counters.0.scripts.increment;
        let life = millis(ttl.unwrap_or(DEFAULT_LIFE));
        let renews = i32::from(ttl.is_none());
        self.ask(script.key(count).arg(delta).arg(life).arg(renews))
    }

    fn take(
        &self,
        bucket: &str,
        key: &str,
        amount: u64,
        terms: Terms,
        best_effort: bool,
    ) -> Result<Taken, KeyValueError> {
        let [_, tokens] = self.keys(bucket, key)?;
        let script = &self.counters.0.scripts.take;
        // Tokens per microsecond: Redis' clock counts those.
        let rate = terms.refill as f64 * 1e3 / (terms.interval as f64).max(1.0);
        // A bucket that has had time to fill up is as good as new.
        let life = (terms.capacity as f64 / rate / 1e6).clamp(1.0, LONGEST.as_secs_f64());
        let mut invocation = script.key(tokens);
        invocation
            .arg(amount.min(MOST))
            .arg(terms.capacity.min(MOST))
            .arg(rate)
            .arg(i32::from(best_effort))
            .arg(millis(Duration::from_secs_f64(life)));
        let (amount, remaining, wait) = self.ask::<(u64, u64, u64)>(&invocation)?;
        Ok(Taken {
            amount,
            remaining,
            retry_after: wait.saturating_mul(1000),
        })
    }

    fn now(&self) -> u64 {
        self.counters.0.connection.now()
    }
}
