//! The choice of one endpoint of a cluster.

use std::sync::Arc;

use osier_snapshot::{Cluster, Endpoint, LoadBalancer};
use rand::Rng;

/// Picks an endpoint, another one than `avoid` if there is one.
pub(crate) fn pick(cluster: &Cluster, avoid: Option<&Arc<Endpoint>>) -> Option<Arc<Endpoint>> {
    let endpoints = cluster.endpoints.as_slice();
    let first = match endpoints {
        [] => return None,
        [only] => return Some(Arc::clone(only)),
        _ => choose(cluster),
    };
    let avoided = |index: usize| {
        avoid.is_some_and(|avoid| endpoints.get(index).is_some_and(|e| Arc::ptr_eq(e, avoid)))
    };
    let index = if avoided(first) {
        (first + 1) % endpoints.len()
    } else {
        first
    };
    endpoints.get(index).cloned()
}

fn choose(cluster: &Cluster) -> usize {
    let count = cluster.endpoints.len();
    match cluster.balancer {
        LoadBalancer::RoundRobin => cluster.next_turn() % count,
        LoadBalancer::Random => rand::rng().random_range(0..count),
        LoadBalancer::LeastRequest => {
            let mut random = rand::rng();
            let one = random.random_range(0..count);
            // A second one that differs from the first.
            let other = (one + random.random_range(1..count)) % count;
            less_loaded(&cluster.endpoints, one, other)
        }
    }
}

fn less_loaded(endpoints: &[Arc<Endpoint>], one: usize, other: usize) -> usize {
    let load = |index: usize| {
        endpoints
            .get(index)
            .map_or(u32::MAX, |endpoint| endpoint.in_flight())
    };
    if load(other) < load(one) { other } else { one }
}
