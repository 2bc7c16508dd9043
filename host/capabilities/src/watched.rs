//! What plugins do, as Prometheus sees it. Handles are resolved when a policy is compiled, so that a call touches only atomics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    plugin: String,
    template: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    plugin: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportLabels {
    plugin: String,
    template: String,
    outcome: &'static str,
}

/// The families: what is counted of all plugins.
#[derive(Clone)]
pub struct Families(Arc<Inner>);

struct Inner {
    verdicts: Family<VerdictLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    reports: Family<ReportLabels, Counter>,
    hits: Family<PluginLabels, Counter>,
    latency: Family<PluginLabels, Histogram, fn() -> Histogram>,
    cpu: Family<PluginLabels, Counter<f64, AtomicU64>>,
    instances: Family<PluginLabels, Gauge>,
    memory: Family<PluginLabels, Gauge>,
}

/// Bounds from one microsecond to ten milliseconds, in seconds.
const BOUNDS: [f64; 13] = [
    1e-6, 2e-6, 3e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2,
];

fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// Why a plugin gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It trapped.
    Trap,
    /// It overran its deadline.
    Deadline,
    /// It wanted more memory than it may have.
    Memory,
    /// Every instance was busy.
    Overload,
    /// What it answered was no answer.
    Answer,
    /// What it was to be asked could not be computed.
    Expression,
    /// Its counters could not be had.
    Counters,
    /// A service that it calls did not answer.
    Calls,
}

impl FailureKind {
    const ALL: [FailureKind; 8] = [
        FailureKind::Trap,
        FailureKind::Deadline,
        FailureKind::Memory,
        FailureKind::Overload,
        FailureKind::Answer,
        FailureKind::Expression,
        FailureKind::Counters,
        FailureKind::Calls,
    ];

    fn label(self) -> &'static str {
        match self {
            FailureKind::Trap => "trap",
            FailureKind::Deadline => "deadline",
            FailureKind::Memory => "memory",
            FailureKind::Overload => "overload",
            FailureKind::Answer => "answer",
            FailureKind::Expression => "expression",
            FailureKind::Counters => "counters",
            FailureKind::Calls => "calls",
        }
    }
}

/// Counters of one plugin.
#[derive(Clone)]
pub struct PluginMetrics {
    failures: [Counter; 8],
    /// Answers from the check cache.
    pub hits: Counter,
    /// Where the counters stood when this version of the plugin was loaded; they count for the object, whatever its version.
    before: [u64; 9],
    /// Time of one call.
    pub latency: Histogram,
    /// Processor time, in seconds.
    pub cpu: Counter<f64, AtomicU64>,
    /// Instances that exist.
    pub instances: Gauge,
    /// Bytes of linear memory of the idle ones.
    pub memory: Gauge,
}

impl PluginMetrics {
    /// Counts a failure.
    pub fn failed(&self, kind: FailureKind) {
        self.failures[kind as usize].inc();
    }

    /// Failures since this version was loaded.
    #[must_use]
    pub fn failures(&self, kind: FailureKind) -> u64 {
        let at = kind as usize;
        self.failures[at].get().saturating_sub(self.before[at])
    }

    /// Answers from the cache since this version was loaded.
    #[must_use]
    pub fn cache_hits(&self) -> u64 {
        self.hits.get().saturating_sub(self.before[8])
    }
}

/// Counters of one plugin and template.
#[derive(Clone)]
pub struct VerdictMetrics {
    /// It let through.
    pub allowed: Counter,
    /// It turned away.
    pub denied: Counter,
    /// It gave no answer.
    pub failed: Counter,
}

/// Records of one plugin and template.
#[derive(Clone)]
pub struct ReportMetrics {
    /// The plugin took them.
    pub delivered: Counter,
    /// They were lost with a failure of the plugin.
    pub failed: Counter,
    /// They found no room.
    pub dropped: Counter,
}

impl Families {
    /// Families that show at `/metrics`.
    #[must_use]
    pub fn new(metrics: &osier_process::metrics::Metrics) -> Self {
        let inner = Inner {
            verdicts: Family::default(),
            failures: Family::default(),
            reports: Family::default(),
            hits: Family::default(),
            latency: Family::new_with_constructor(histogram as fn() -> Histogram),
            cpu: Family::default(),
            instances: Family::default(),
            memory: Family::default(),
        };
        metrics.register(|registry| {
            registry.register(
                "osier_plugin_calls",
                "Answers of plugins by verdict, cached ones included",
                inner.verdicts.clone(),
            );
            registry.register(
                "osier_plugin_failures",
                "Calls to which a plugin gave no answer",
                inner.failures.clone(),
            );
            registry.register(
                "osier_plugin_reports",
                "Records for plugins by what became of them: delivered, failed with the plugin, dropped for want of room",
                inner.reports.clone(),
            );
            registry.register(
                "osier_plugin_cache_hits",
                "Answers that came from the check cache",
                inner.hits.clone(),
            );
            registry.register(
                "osier_plugin_duration_seconds",
                "Time of one call into a plugin",
                inner.latency.clone(),
            );
            registry.register(
                "osier_plugin_cpu_seconds",
                "Processor time of calls into plugins, estimated from one call in 61, each second",
                inner.cpu.clone(),
            );
            registry.register(
                "osier_plugin_instances",
                "Instances of plugins that exist, each second",
                inner.instances.clone(),
            );
            registry.register(
                "osier_plugin_memory_bytes",
                "Linear memory of idle instances of plugins, each second",
                inner.memory.clone(),
            );
        });
        Self(Arc::new(inner))
    }

    /// Those of one plugin.
    #[must_use]
    pub fn plugin(&self, plugin: &str) -> PluginMetrics {
        let labels = PluginLabels {
            plugin: plugin.to_owned(),
        };
        let failures = FailureKind::ALL.map(|kind| {
            let labels = FailureLabels {
                plugin: plugin.to_owned(),
                reason: kind.label(),
            };
            self.0.failures.get_or_create(&labels).clone()
        });
        let hits = self.0.hits.get_or_create(&labels).clone();
        let mut before = [0; 9];
        for (place, counter) in before.iter_mut().zip(failures.iter().chain([&hits])) {
            *place = counter.get();
        }
        PluginMetrics {
            failures,
            hits,
            before,
            latency: self.0.latency.get_or_create(&labels).clone(),
            cpu: self.0.cpu.get_or_create(&labels).clone(),
            instances: self.0.instances.get_or_create(&labels).clone(),
            memory: self.0.memory.get_or_create(&labels).clone(),
        }
    }

    /// Those of one plugin and template.
    #[must_use]
    pub fn verdicts(&self, plugin: &str, template: &str) -> VerdictMetrics {
        let counter = |verdict| {
            let labels = VerdictLabels {
                plugin: plugin.to_owned(),
                template: template.to_owned(),
                verdict,
            };
            self.0.verdicts.get_or_create(&labels).clone()
        };
        VerdictMetrics {
            allowed: counter("allow"),
            denied: counter("deny"),
            failed: counter("failed"),
        }
    }

    /// Those of one plugin and template of reports.
    #[must_use]
    pub fn reports(&self, plugin: &str, template: &str) -> ReportMetrics {
        let counter = |outcome| {
            let labels = ReportLabels {
                plugin: plugin.to_owned(),
                template: template.to_owned(),
                outcome,
            };
            self.0.reports.get_or_create(&labels).clone()
        };
        ReportMetrics {
            delivered: counter("delivered"),
            failed: counter("failed"),
            dropped: counter("dropped"),
        }
    }
}
