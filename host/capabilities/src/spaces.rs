//! What modules of proxy-wasm share and count: one space for each Plugin object, which outlives its versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::shared::{MetricKind, MetricView, SharedSpace};
use osier_process::metrics::Metrics;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// The spaces of all plugins of a node. Clones share them.
#[derive(Clone, Default)]
pub struct Spaces(Arc<Mutex<BTreeMap<String, Arc<SharedSpace>>>>);

impl std::fmt::Debug for Spaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spaces")
    }
}

impl Spaces {
    /// None yet, shown with these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let spaces = Self::default();
        metrics.register(|registry| registry.register_collector(Box::new(spaces.clone())));
        spaces
    }

    /// The space of a plugin.
    pub fn of(&self, plugin: &str) -> Arc<SharedSpace> {
        self.0.lock().entry(plugin.to_owned()).or_default().clone()
    }

    /// The plugin is gone for good.
    pub fn forget(&self, plugin: &str) {
        self.0.lock().remove(plugin);
    }
}

/// A name that Prometheus takes, with the prefix that Envoy has for the same.
fn shown(name: &str) -> String {
    let good = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    format!("wasmcustom_{}", name.chars().map(good).collect::<String>())
}

/// Metrics of several plugins by name and kind.
type Grouped = BTreeMap<(String, &'static str), Vec<(String, MetricView)>>;

impl Collector for Spaces {
    #[expect(
        clippy::cast_precision_loss,
        reason = "Prometheus has no other numbers"
    )]
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut grouped = Grouped::new();
        for (plugin, space) in &*self.0.lock() {
            for view in space.metrics() {
                let kind = match view.kind {
                    MetricKind::Counter => "counter",
                    MetricKind::Gauge => "gauge",
                    MetricKind::Histogram => "histogram",
                };
                let name = shown(&view.name);
                let name = name.strip_suffix("_total").unwrap_or(&name).to_owned();
                grouped
                    .entry((name, kind))
                    .or_default()
                    .push((plugin.clone(), view));
            }
        }
        for ((name, kind), views) in grouped {
            let kind = match kind {
                "counter" => MetricType::Counter,
                "gauge" => MetricType::Gauge,
                _ => MetricType::Histogram,
            };
            let help = "Defined by a module of proxy-wasm";
            let mut family = encoder.encode_descriptor(&name, help, None, kind)?;
            for (plugin, view) in views {
                let labels = [("plugin", plugin.as_str())];
                let mut metric = family.encode_family(&labels)?;
                match view.kind {
                    MetricKind::Counter => {
                        metric.encode_counter::<NoLabelSet, u64, u64>(&view.value, None)?;
                    }
                    MetricKind::Gauge => metric.encode_gauge(&(view.value as f64))?,
                    MetricKind::Histogram => {
                        let bounds = MetricView::BOUNDS.into_iter().chain([f64::INFINITY]);
                        let buckets: Vec<_> = bounds.zip(view.counts.iter().copied()).collect();
                        let count = view.counts.iter().sum();
                        metric.encode_histogram::<NoLabelSet>(
                            view.value as f64,
                            count,
                            &buckets,
                            None,
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}
