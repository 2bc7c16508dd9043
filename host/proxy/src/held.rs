//! Calls that wait for a pod of a service that sleeps: held until one is ready, no more than a bound, no longer than the service says.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use osier_snapshot::{Caller, Cluster, ServiceRef, Snapshot};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::Refusal;
use crate::flags::Flag;

/// Calls that wait for one service at once.
const MOST: usize = 1000;

/// The calls that wait, and who is told for which services some do.
#[derive(Debug, Default)]
pub(crate) struct Held {
    waiting: Mutex<HashMap<String, usize>>,
    told: watch::Sender<BTreeSet<String>>,
}

/// One call that waits.
struct Waiting<'a> {
    held: &'a Held,
    service: String,
}

impl Held {
    /// The services, as `namespace/name`, for which calls wait at this moment.
    pub(crate) fn services(&self) -> watch::Receiver<BTreeSet<String>> {
        self.told.subscribe()
    }

    /// Waits for an endpoint of a cluster without any, if its service may sleep; gives the cluster with it.
    pub(crate) async fn wait(
        &self,
        cluster: &Arc<Cluster>,
        caller: Caller<'_>,
        (mut snapshots, deadline): (watch::Receiver<Arc<Snapshot>>, Option<Instant>),
    ) -> Result<Arc<Cluster>, Refusal> {
        let service = &cluster.service;
        let hold = |snapshot: &Snapshot| snapshot.service(&service.host, None)?.hold;
        let Some(patience) = hold(&snapshots.borrow()) else {
            return Ok(Arc::clone(cluster));
        };
        let waiting = self.enter(service);
        let _waiting = waiting.ok_or_else(|| refusal(service, Flag::Overflow, &full()))?;
        let until = Instant::now() + patience;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let awake = |snapshot: &Arc<Snapshot>| {
            let now = snapshot.again(cluster, &caller);
            now.is_none_or(|now| !now.endpoints.is_empty())
        };
        let woken = tokio::time::timeout_at(until, snapshots.wait_for(awake)).await;
        let Ok(Ok(snapshot)) = woken else {
            return Err(refusal(service, Flag::NoEndpoint, &late(patience)));
        };
        // A service that is gone has no endpoint either, and is refused like any other without.
        let now = snapshot.again(cluster, &caller);
        Ok(Arc::clone(now.unwrap_or(cluster)))
    }

    fn enter(&self, service: &ServiceRef) -> Option<Waiting<'_>> {
        let service = format!("{}/{}", service.namespace, service.name);
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(service.clone()).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        if *count == 1 {
            self.told.send_modify(|told| told.extend([service.clone()]));
        }
        drop(waiting);
        Some(Waiting {
            held: self,
            service,
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.held.waiting.lock();
        let Some(count) = waiting.get_mut(&self.service) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            waiting.remove(&self.service);
            self.held
                .told
                .send_modify(|told| told.retain(|one| *one != self.service));
        }
    }
}

fn full() -> String {
    format!("{MOST} calls wait already for a pod")
}

fn late(patience: Duration) -> String {
    format!("it sleeps (scaled to zero), and no pod of it was ready in time ({patience:?} at most)")
}

fn refusal(service: &ServiceRef, flag: Flag, why: &str) -> Refusal {
    let reason = format!("service {}.{}: {why}", service.name, service.namespace);
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, flag, reason)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn service(name: &str) -> ServiceRef {
        ServiceRef {
            namespace: "shop".into(),
            name: name.into(),
            host: format!("{name}.shop.svc.cluster.local").into(),
            fingerprint: 0,
        }
    }

    #[test]
    fn no_more_wait_than_the_bound_and_each_service_is_told_once() {
        let held = Held::default();
        let mut told = held.services();
        let all: Vec<_> = (0..MOST)
            .map(|_| held.enter(&service("web")).unwrap())
            .collect();
        assert!(held.enter(&service("web")).is_none());
        let other = held.enter(&service("db")).unwrap();
        let names = |told: &mut watch::Receiver<BTreeSet<String>>| {
            let set = told.borrow_and_update().clone();
            set.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names(&mut told), ["shop/db", "shop/web"]);
        drop(all);
        assert_eq!(names(&mut told), ["shop/db"]);
        drop(other);
        assert!(names(&mut told).is_empty() && held.waiting.lock().is_empty());
        assert!(held.enter(&service("web")).is_some());
    }
}
