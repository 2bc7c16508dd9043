//! What was asked and how it was answered, as Prometheus sees it.

use std::time::Duration;

use osier_process::metrics::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

type Labels = [(&'static str, &'static str); 1];

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With records of the mesh.
    Answered,
    /// The name has nothing of what was asked.
    Nothing,
    /// There is no such name in the cluster.
    NoSuchName,
    /// With what a resolver said.
    Forwarded,
    /// No resolver is asked, or too much was.
    Refused,
    /// No resolver answered in time, or the mesh is not known yet.
    Failed,
    /// It was no query.
    Malformed,
}

impl Ended {
    fn word(self) -> &'static str {
        match self {
            Self::Answered => "mesh",
            Self::Nothing => "nodata",
            Self::NoSuchName => "nxdomain",
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Malformed => "malformed",
        }
    }
}

/// The metrics of the server.
#[derive(Clone)]
pub(crate) struct DnsMetrics {
    queries: Family<Labels, Counter>,
    forwarding: Histogram,
}

impl DnsMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let this = Self {
            queries: Family::default(),
            // From 0.5 ms to 4 s.
            forwarding: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
        };
        metrics.register(|registry| {
            let words = "Queries by name, by how they were answered";
            registry.register("osier_dns_queries", words, this.queries.clone());
            let words = "Time until a resolver answered, in seconds";
            registry.register("osier_dns_forward_seconds", words, this.forwarding.clone());
        });
        this
    }

    pub(crate) fn ended(&self, how: Ended) {
        self.queries.get_or_create(&[("answer", how.word())]).inc();
    }

    pub(crate) fn forwarded(&self, took: Duration) {
        self.forwarding.observe(took.as_secs_f64());
    }
}
