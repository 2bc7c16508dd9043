//! Retires pods that nobody else removes: finished ones beyond a bound, those deleted before they
//! had a node, and those whose node no longer exists.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{NODES, PODS};
use osier_client::{CONTROLLER, Client, ClientError, DeleteOptions, Informer, WorkQueue};
use osier_process::Tasks;

use crate::reconcile::{self, Key, Outcome, gone_is_fine};
use crate::{Context, facts};

/// How often is looked when nothing changes; a node may be away this long before its pods go.
const EVERY: Duration = Duration::from_secs(40);

/// Starts the sweep.
pub(crate) fn start(context: &Context, finished: usize) {
    let informers = &context.informers;
    let (Some(pods), Some(nodes)) = (informers.of(&PODS), informers.of(&NODES)) else {
        return;
    };
    let retire = Arc::new(Retire {
        client: context.client.clone(),
        pods: Arc::clone(pods),
        nodes: Arc::clone(nodes),
        finished,
    });
    retire.listen(&context.tasks);
    let stopping = context.tasks.stopping();
    context.tasks.spawn("retire", async move {
        tokio::select! {
            () = retire.run() => {}
            () = stopping.cancelled() => {}
        }
    });
}

struct Retire {
    client: Client,
    pods: Arc<Informer>,
    nodes: Arc<Informer>,
    finished: usize,
}

impl Retire {
    /// Pods that never ran go as soon as they are deleted: each costs a look at itself.
    fn listen(self: &Arc<Self>, tasks: &Tasks) {
        let queue = WorkQueue::new(CONTROLLER);
        let noted = queue.clone();
        self.pods.on_change(move |change| {
            if !change.is_deleted() && never_ran(change.object()) {
                noted.add(Key::of(change.object()));
            }
        });
        let this = Arc::clone(self);
        reconcile::run("retire", &queue, (1, tasks), move |key: Key| {
            let this = Arc::clone(&this);
            async move { this.never_ran(&key).await }
        });
    }

    async fn never_ran(&self, key: &Key) -> Result<Outcome, ClientError> {
        let pod = self.pods.get(&key.namespace, &key.name);
        if let Some(pod) = pod.filter(|pod| never_ran(pod)) {
            gone_is_fine(self.delete(&pod).await)?;
        }
        Ok(Outcome::Done)
    }

    async fn run(self: Arc<Self>) {
        self.pods.synced().await;
        self.nodes.synced().await;
        // Nodes that were missing at the last sweep: a pod goes only after two in a row.
        let mut missing = BTreeSet::new();
        let mut sweep = tokio::time::interval(EVERY);
        loop {
            sweep.tick().await;
            let pods = self.pods.list();
            let now_missing = missing_nodes(&pods, &self.nodes);
            let lost: BTreeSet<String> = missing.intersection(&now_missing).cloned().collect();
            self.remove(stranded(&pods, &lost)).await;
            self.remove(surplus(&pods, self.finished)).await;
            missing = now_missing;
        }
    }

    async fn remove(&self, pods: Vec<Arc<Object>>) {
        for pod in pods {
            if let Err(error) = self.delete(&pod).await {
                tracing::debug!(%error, pod = pod.name(), "a pod stays for now");
            }
        }
    }

    async fn delete(&self, pod: &Object) -> Result<(), ClientError> {
        let options = DeleteOptions {
            grace: Some(0),
            ..DeleteOptions::exactly(pod)
        };
        let of = (pod.namespace(), pod.name());
        self.client.delete(&PODS, of, &options).await
    }
}

/// It is being deleted and has no node: no agent will confirm it.
fn never_ran(pod: &Object) -> bool {
    pod.deletion_timestamp().is_some() && facts::node(pod).is_empty() && pod.finalizers().is_empty()
}

fn missing_nodes(pods: &[Arc<Object>], nodes: &Informer) -> BTreeSet<String> {
    let bound = pods
        .iter()
        .map(|pod| facts::node(pod))
        .filter(|node| !node.is_empty());
    bound
        .filter(|node| nodes.get("", node).is_none())
        .map(ToOwned::to_owned)
        .collect()
}

fn stranded(pods: &[Arc<Object>], lost: &BTreeSet<String>) -> Vec<Arc<Object>> {
    pods.iter()
        .filter(|pod| lost.contains(facts::node(pod)))
        .cloned()
        .collect()
}

/// Finished pods beyond the newest `keep`.
fn surplus(pods: &[Arc<Object>], keep: usize) -> Vec<Arc<Object>> {
    let mut finished: Vec<_> = pods
        .iter()
        .filter(|pod| facts::is_finished(pod))
        .cloned()
        .collect();
    finished.sort_by_key(|pod| facts::created(pod));
    finished.truncate(finished.len().saturating_sub(keep));
    finished
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, phase: &str, node: &str, day: u8) -> Arc<Object> {
        let created = format!("2026-01-{day:02}T00:00:00Z");
        let value = json!({"metadata": {"name": name, "creationTimestamp": created},
            "spec": {"nodeName": node}, "status": {"phase": phase}});
        Arc::new(Object::from_value(value).unwrap())
    }

    fn names(pods: &[Arc<Object>]) -> Vec<&str> {
        pods.iter().map(|pod| pod.name()).collect()
    }

    #[test]
    fn the_oldest_finished_pods_go() {
        let pods = [
            pod("c", "Failed", "n", 3),
            pod("a", "Succeeded", "n", 1),
            pod("r", "Running", "n", 1),
            pod("b", "Failed", "n", 2),
        ];
        assert_eq!(names(&surplus(&pods, 1)), ["a", "b"]);
        assert!(surplus(&pods, 3).is_empty());
    }

    #[test]
    fn pods_without_an_agent_go() {
        let mut leaving = (*pod("x", "Pending", "", 1)).clone();
        leaving.set(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        );
        let pods = [pod("y", "Pending", "", 1), pod("z", "Running", "lost", 1)];
        assert!(never_ran(&leaving) && !pods.iter().any(|pod| never_ran(pod)));
        assert_eq!(names(&stranded(&pods, &["lost".to_owned()].into())), ["z"]);
    }
}
