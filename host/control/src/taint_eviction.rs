//! Taints with the effect `NoExecute`: pods that do not tolerate one leave the node, at once or when they have borne it for their
//! `tolerationSeconds`. That a node is lost is such a taint too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_api::resources::{NODES, PODS};
use osier_client::{
    CONTROLLER, Change, Client, ClientError, Index, Informer, Recorder, Reference, WorkQueue,
};
use osier_process::clock;
use osier_scheduling::taints::{self, Taint};
use parking_lot::Mutex;
use serde_json::Value;

use crate::leaving::{self, Why};
use crate::reconcile::{self, Outcome};
use crate::{Context, facts};

const WORKERS: usize = 2;
/// Upstream's name for it.
const NAME: &str = "taint-eviction-controller";

struct Evictions {
    client: Client,
    recorder: Recorder,
    pods: Arc<Informer>,
    by_node: Arc<Index>,
    nodes: Arc<Informer>,
    /// When taints were first seen that do not say when they came, by node. Bounded by the taints that there are.
    seen: Mutex<HashMap<String, Vec<(Taint, Timestamp)>>>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, by_node: &Arc<Index>) {
    let informers = &context.informers;
    let (Some(pods), Some(nodes)) = (informers.of(&PODS), informers.of(&NODES)) else {
        return;
    };
    let this = Arc::new(Evictions {
        client: context.client.clone(),
        recorder: context.recorder(NAME),
        by_node: Arc::clone(by_node),
        pods: Arc::clone(pods),
        nodes: Arc::clone(nodes),
        seen: Mutex::default(),
    });
    let queue = WorkQueue::new(CONTROLLER);
    this.listen(&queue);
    let tasks = (WORKERS, &context.tasks);
    reconcile::run(NAME, &queue, tasks, move |node: String| {
        let this = Arc::clone(&this);
        async move { this.reconcile(&node).await }
    });
}

/// The taints that drive pods out.
fn driving(node: &Object) -> Vec<Taint> {
    let mut taints = Taint::all(node);
    taints.retain(Taint::drives_out);
    taints
}

fn concerns(change: &Change) -> bool {
    let now = driving(change.object());
    let before = change.old().map(|old| driving(old)).unwrap_or_default();
    now != before
}

impl Evictions {
    fn listen(&self, queue: &WorkQueue<String>) {
        let own = queue.clone();
        self.nodes.on_change(move |change| {
            if concerns(change) {
                own.add(change.object().name().to_owned());
            }
        });
        let (queue, nodes) = (queue.clone(), Arc::clone(&self.nodes));
        self.pods.on_change(move |change| {
            let node = facts::node(change.object());
            let was = change.old().map_or("", |old| facts::node(old));
            let came = !node.is_empty() && was != node;
            let tainted = |node: Arc<Object>| !driving(&node).is_empty();
            if came && nodes.get("", node).is_some_and(tainted) {
                queue.add(node.to_owned());
            }
        });
    }

    async fn reconcile(&self, name: &str) -> Result<Outcome, ClientError> {
        self.nodes.synced().await;
        self.pods.synced().await;
        let node = self.nodes.get("", name);
        let taints = node.map(|node| driving(&node)).unwrap_or_default();
        let taints = self.dated(name, taints);
        if taints.is_empty() {
            return Ok(Outcome::Done);
        }
        let now = clock::now();
        let mut next: Option<Timestamp> = None;
        for pod in self.by_node.of(name) {
            if !facts::is_active(&pod) {
                continue;
            }
            match leaves_at(&pod, &taints) {
                Some((at, taint)) if at <= now => self.evict(&pod, name, taint).await?,
                Some((at, _)) => next = Some(next.map_or(at, |before| before.min(at))),
                None => {}
            }
        }
        Ok(next.map_or(Outcome::Done, |at| again(at, now)))
    }

    /// The taints with the time since when pods bear them.
    fn dated(&self, node: &str, taints: Vec<Taint>) -> Vec<(Taint, Timestamp)> {
        let mut seen = self.seen.lock();
        let known = seen.remove(node).unwrap_or_default();
        let since = |taint: &Taint| {
            let known = known
                .iter()
                .find(|(one, _)| one == taint)
                .map(|(_, at)| *at);
            taint.since.or(known).unwrap_or_else(clock::now)
        };
        let dated: Vec<_> = taints
            .into_iter()
            .map(|taint| (taint.clone(), since(&taint)))
            .collect();
        if !dated.is_empty() {
            seen.insert(node.to_owned(), dated.clone());
        }
        dated
    }

    async fn evict(&self, pod: &Object, node: &str, taint: &Taint) -> Result<(), ClientError> {
        let (namespace, name) = (pod.namespace(), pod.name());
        tracing::info!(
            pod = name,
            namespace,
            node,
            taint = taint.key,
            "the pod leaves its tainted node"
        );
        let about = Reference::to(pod);
        let words = format!("Marking for deletion Pod {namespace}/{name}");
        self.recorder.normal(&about, "TaintManagerEviction", words);
        let why = Why {
            reason: "DeletionByTaintManager",
            message: format!(
                "Taint manager: deleting due to NoExecute taint {{{}: {}}}",
                taint.key, taint.value
            ),
        };
        leaving::evict(&self.client, (namespace, name), pod.uid(), &why).await
    }
}

fn again(at: Timestamp, now: Timestamp) -> Outcome {
    let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    Outcome::Again(left.max(Duration::from_millis(10)))
}

/// When the first of the taints makes the pod leave, if any does.
fn leaves_at<'a>(pod: &Object, taints: &'a [(Taint, Timestamp)]) -> Option<(Timestamp, &'a Taint)> {
    let spec = pod.get(&["spec"]).unwrap_or(&Value::Null);
    let tolerations = taints::tolerations(spec);
    let times = taints.iter().filter_map(|(taint, since)| {
        let at = taints::leaves_at(tolerations, taint, *since)?;
        Some((at, taint))
    });
    times.min_by_key(|(at, _)| *at)
}
