//! What outlier detection did, under Envoy's names; read from the mesh of the moment when somebody asks
//! (<https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats#outlier-detection-statistics>).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use osier_process::metrics::Metrics;
use osier_snapshot::{Cluster, Detector, Snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use crate::uptime::Uptime;

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
        let judged = |cluster: &&Arc<Cluster>| cluster.balancing.outlier.is_some();
        let clusters: Vec<_> = snapshot.clusters().filter(judged).collect();
        let now = self.uptime.millis();
        let help = "Endpoints that are left out now";
        let name = "envoy_cluster_outlier_detection_ejections_active";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for cluster in &clusters {
            let out = cluster.health.iter().filter(|health| !health.is_in(now));
            let out = ConstGauge::new(i64::try_from(out.count()).unwrap_or(i64::MAX));
            let labels = [("cluster_name", &*cluster.name)];
            out.encode(family.encode_family(&labels)?)?;
        }
        let help = "Times that an endpoint was left out, by what found it";
        let name = "envoy_cluster_outlier_detection_ejections_enforced";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for cluster in &clusters {
            for (detector, count) in Detector::ALL.iter().zip(&cluster.ejections.enforced) {
                let count = ConstCounter::new(count.load(Ordering::Relaxed));
                let labels = [
                    ("cluster_name", &*cluster.name),
                    ("detector", detector.name()),
                ];
                count.encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Times that an endpoint was not left out because too many were";
        let name = "envoy_cluster_outlier_detection_ejections_overflow";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for cluster in &clusters {
            let count = ConstCounter::new(cluster.ejections.overflow.load(Ordering::Relaxed));
            let labels = [("cluster_name", &*cluster.name)];
            count.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
