//! The process's metric registry: rooms register, the admin listener encodes (OpenMetrics text).

mod histogram;

pub use histogram::Histogram;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// A shared registry. Rooms keep their own handles to counters; the lock is taken only to register and to encode.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a room's metrics; returns what the room wants to keep.
    pub fn register<T>(&self, with: impl FnOnce(&mut Registry) -> T) -> T {
        with(&mut self.0.lock())
    }

    /// All metrics in the OpenMetrics text format, which Prometheus reads
    /// (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.0.lock()) {
            Ok(()) => text,
            Err(error) => format!("# encoding failed: {error}\n# EOF\n"),
        }
    }
}

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn a_registered_counter_is_encoded() {
        let metrics = Metrics::new();
        let requests = metrics.register(|registry| {
            let requests = Counter::<u64>::default();
            registry.register("requests", "Requests", requests.clone());
            requests
        });
        requests.inc();
        assert!(metrics.encode().contains("requests_total 1"));
    }
}
