//! One connection, which all questions share. Lost, it is nobody's: questions are answered at once that there is none, and a task asks for
//! another.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use osier_process::Tasks;
use osier_process::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio::sync::Notify;

use crate::settings::Settings;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection that nobody uses is probed so often; the clock is read with it.
const PROBE: Duration = Duration::from_secs(1);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// A connection to Redis, or none.
pub(crate) struct Connection {
    settings: Settings,
    current: ArcSwapOption<MultiplexedConnection>,
    lost: Notify,
    /// Microseconds by which Redis' clock is ahead of this machine's.
    ahead: AtomicI64,
    up: Gauge,
    failures: Counter,
}

impl Connection {
    /// Begins to connect, as a task that runs until the process stops.
    pub(crate) fn start(settings: Settings, metrics: &Metrics, tasks: &Tasks) -> Arc<Self> {
        let own = Arc::new(Self {
            settings,
            current: ArcSwapOption::empty(),
            lost: Notify::new(),
            ahead: AtomicI64::new(0),
            up: Gauge::default(),
            failures: Counter::default(),
        });
        metrics.register(|registry| {
            let help = "1 while the counters that nodes share can be reached";
            registry.register("osier_shared_counters_up", help, own.up.clone());
            let help = "Questions to the counters that nodes share which were not answered";
            registry.register("osier_shared_counters_failures", help, own.failures.clone());
        });
        let (keeper, stopping) = (Arc::clone(&own), tasks.stopping());
        tasks.spawn("shared-counters", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = keeper.keep() => {}
            }
        });
        own
    }

    /// Asks, if there is a connection, and waits no longer than the settings say.
    pub(crate) async fn ask<T, F>(
        &self,
        question: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let current = self.current.load_full();
        let Some(current) = current else {
            self.failures.inc();
            return None;
        };
        let asked = question(MultiplexedConnection::clone(&current));
        let reason = match tokio::time::timeout(self.settings.timeout, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.settings.timeout),
        };
        self.failures.inc();
        self.lose(&current, &reason);
        None
    }

    /// Now, by Redis' clock.
    pub(crate) fn now(&self) -> u64 {
        let own = SystemTime::now().duration_since(UNIX_EPOCH);
        let own = i64::try_from(own.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX);
        let ahead = self.ahead.load(Ordering::Relaxed).saturating_mul(1000);
        u64::try_from(own.saturating_add(ahead)).unwrap_or(0)
    }

    /// Connects, and connects again.
    async fn keep(&self) {
        let mut told = false;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!(redis = %self.settings.place, "plugins count into shared counters");
                    told = false;
                    self.hold(connection).await;
                }
                Err(reason) if !told => {
                    tracing::warn!(redis = %self.settings.place, reason, "the shared counters cannot be reached: plugins cannot count");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let client = &self.settings.client;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let connected = connected.map_err(|_| format!("no answer within {CONNECT:?}"))?;
        let mut connection = connected.map_err(|error| error.to_string())?;
        self.read_clock(&mut connection).await?;
        Ok(connection)
    }

    /// Offers the connection until it is lost.
    async fn hold(&self, connection: MultiplexedConnection) {
        let shared = Arc::new(connection);
        self.current.store(Some(Arc::clone(&shared)));
        self.up.set(1);
        loop {
            tokio::select! {
                () = self.lost.notified() => {}
                () = tokio::time::sleep(PROBE) => {
                    let mut probe = MultiplexedConnection::clone(&shared);
                    if let Err(reason) = self.read_clock(&mut probe).await {
                        self.lose(&shared, &reason);
                    }
                }
            }
            let held = self.current.load();
            if !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &shared)) {
                self.up.set(0);
                return;
            }
        }
    }

    /// This connection is of no more use; another one that was made meanwhile stays.
    fn lose(&self, connection: &Arc<MultiplexedConnection>, reason: &str) {
        let lost = Some(Arc::clone(connection));
        let held = self.current.compare_and_swap(&lost, None);
        if held
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, connection))
        {
            tracing::warn!(redis = %self.settings.place, reason, "the shared counters are lost: plugins cannot count");
            self.lost.notify_one();
        }
    }

    /// Reads Redis' clock, half a round trip old.
    async fn read_clock(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let began = SystemTime::now();
        let command = redis::cmd("TIME");
        let asked = command.query_async::<(i64, i64)>(connection);
        let answered = tokio::time::timeout(CONNECT, asked).await;
        let answered = answered.map_err(|_| format!("no answer within {CONNECT:?}"))?;
        let (seconds, micros) = answered.map_err(|error| error.to_string())?;
        let took = began.elapsed().unwrap_or_default();
        let middle = (began + took / 2)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let own = i64::try_from(middle.as_micros()).unwrap_or(i64::MAX);
        let theirs = seconds.saturating_mul(1_000_000).saturating_add(micros);
        let ahead = theirs.saturating_sub(own);
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}
