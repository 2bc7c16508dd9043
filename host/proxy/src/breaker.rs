//! Circuit breaking as Envoy means it: a cluster carries so many requests and repeated tries at once, and what is more is refused at
//! once (<https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/circuit_breaking>). Connections and waiting requests
//! are bounded where they are made, in [`crate::upstream`].

use std::sync::Arc;

use osier_snapshot::{Cluster, Gauge, Load};

/// One request or repeated try under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    load: Arc<Load>,
    gauge: fn(&Load) -> &Gauge,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.load).leave();
    }
}

/// Counts a request; `None` if the cluster carries as many as it may (`http2MaxRequests`).
pub(crate) fn request(cluster: &Cluster) -> Option<Counted> {
    count(
        cluster,
        |load| &load.requests,
        cluster.upstream.pool.max_requests,
    )
}

/// Counts a repeated try; `None` if there are as many as there may be (`retryBudget`, or else `maxRetries`).
pub(crate) fn retry(cluster: &Cluster) -> Option<Counted> {
    let under_way = cluster.load.requests.get();
    let limit = match &cluster.balancing.budget {
        Some(budget) => budget.limit(under_way),
        None => cluster.upstream.pool.max_retries,
    };
    count(cluster, |load| &load.retries, limit)
}

fn count(cluster: &Cluster, gauge: fn(&Load) -> &Gauge, limit: u32) -> Option<Counted> {
    let load = Arc::clone(&cluster.load);
    gauge(&load).enter(limit).then_some(())?;
    Some(Counted { load, gauge })
}
