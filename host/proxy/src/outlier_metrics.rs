//! What outlier detection did, under Envoy's names; read from the mesh of the moment when somebody asks
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats#outlier-detection-statistics>).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use osier_process::clock::Uptime;
use osier_process::metrics::Metrics;
use osier_snapshot::{Cluster, Detector, Ejections, Snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

/// Reads the clusters that have an outlier policy.
#[derive(Debug)]
struct OutlierMetrics {
    snapshot: watch::Receiver<Arc<Snapshot>>,
    uptime: Uptime,
}

pub(crate) fn register(
    metrics: &Metrics,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    uptime: Uptime,
) {
    let collector = Box::new(OutlierMetrics { snapshot, uptime });
    metrics.register(|registry| registry.register_collector(collector));
}

impl Collector for OutlierMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let clusters = judged(&snapshot);
        let now = self.uptime.millis();
        let help = "Endpoints that are left out now";
        let name = "envoy_cluster_outlier_detection_ejections_active";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, clusters) in &clusters {
            let all = clusters.iter().flat_map(|cluster| &cluster.health);
            let out = all.filter(|health| !health.is_in(now)).count();
            let out = ConstGauge::new(i64::try_from(out).unwrap_or(i64::MAX));
            let labels = [("cluster_name", *name)];
            out.encode(family.encode_family(&labels)?)?;
        }
        let help = "Times that an endpoint was left out, by what found it";
        let name = "envoy_cluster_outlier_detection_ejections_enforced";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, clusters) in &clusters {
            for (place, detector) in Detector::ALL.iter().enumerate() {
                let count = sum(clusters, |ejections| &ejections.enforced[place]);
                let labels = [("cluster_name", *name), ("detector", detector.name())];
                count.encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Times that an endpoint was not left out because too many were";
        let name = "envoy_cluster_outlier_detection_ejections_overflow";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (name, clusters) in &clusters {
            let count = sum(clusters, |ejections| &ejections.overflow);
            let labels = [("cluster_name", *name)];
            count.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Clusters with an outlier policy by name. Those of one name differ in the callers whom they are for; what several of them know
/// together is counted once.
fn judged(snapshot: &Snapshot) -> BTreeMap<&str, Vec<&Arc<Cluster>>> {
    let mut by_name: BTreeMap<&str, Vec<&Arc<Cluster>>> = BTreeMap::new();
    for cluster in snapshot.clusters() {
        if cluster.balancing.outlier.is_none() {
            continue;
        }
        let alike = by_name.entry(&cluster.name).or_default();
        let mut known = alike.iter();
        if !known.any(|known| Arc::ptr_eq(&known.ejections, &cluster.ejections)) {
            alike.push(cluster);
        }
    }
    by_name
}

fn sum(clusters: &[&Arc<Cluster>], count: impl Fn(&Ejections) -> &AtomicU64) -> ConstCounter<u64> {
    let all = clusters.iter().map(|cluster| &*cluster.ejections);
    let counts = all.map(|ejections| count(ejections).load(Ordering::Relaxed));
    ConstCounter::new(counts.sum())
}
