//! Notices nodes that fall silent or say that they are not ready: both are marked with taints, which their pods bear for a while before
//! they leave (`taint_eviction`). A silent node is said to be unknown and its pods get no calls. Pods whose Node is gone are removed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use osier_api::Object;
use osier_api::resources::{LEASES, NODES, PODS};
use osier_client::{Client, ClientError, Index, Informer, Part, Recorder, Reference};
use osier_process::clock;
use osier_scheduling::marks::{self, Step, decide};
use osier_scheduling::taints::{NOT_READY, UNREACHABLE};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::conditions::{self, Condition};
use crate::leaving::{self, Why};
use crate::reconcile::gone_is_fine;
use crate::{Context, facts};

/// Where nodes say that they live.
const LEASES_IN: &str = "kube-node-lease";
/// A grace is looked at this many times.
const LOOKS: u32 = 8;
/// Why a pod of a lost node is not ready; the node's agent says otherwise when it is back.
const LOST: &str = "NodeLost";
/// Pods of a Node that is not there stay at least this long, as with upstream's pod garbage collector: it may come.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Who tells of those pods, by upstream's name, and why they go in its words.
const COLLECTOR: &str = "pod-garbage-collector-controller";
const COLLECTED: &str = "DeletionByPodGC";

struct Lifecycle {
    client: Client,
    nodes: Arc<Informer>,
    leases: Arc<Informer>,
    pods: Arc<Informer>,
    by_node: Arc<Index>,
    grace: Duration,
    /// The last sign of each node, and when it was seen here: clocks of machines differ.
    seen: HashMap<String, (String, Instant)>,
    recorder: Recorder,
    /// Pods that are bound to a Node that is not there, by uid.
    orphaned: HashMap<String, Orphan>,
}

/// A pod without a Node.
#[derive(Debug, Clone, Copy)]
struct Orphan {
    since: Instant,
    /// It was said that it waits for its Node in vain.
    told: bool,
}

/// Starts the controller.
pub(crate) fn start(context: &Context, by_node: &Arc<Index>, grace: Duration) {
    let of = |resource| context.informers.of(resource).cloned();
    let (Some(nodes), Some(leases), Some(pods)) = (of(&NODES), of(&LEASES), of(&PODS)) else {
        return;
    };
    let lifecycle = Lifecycle {
        client: context.client.clone(),
        recorder: context.recorder(COLLECTOR),
        nodes,
        leases,
        by_node: Arc::clone(by_node),
        pods,
        grace,
        seen: HashMap::new(),
        orphaned: HashMap::new(),
    };
    let stopping = context.tasks.stopping();
    context.tasks.spawn("node-lifecycle", async move {
        tokio::select! {
            () = lifecycle.run() => {}
            () = stopping.cancelled() => {}
        }
    });
}

impl Lifecycle {
    async fn run(mut self) {
        for informer in [&self.nodes, &self.leases, &self.pods] {
            informer.synced().await;
        }
        loop {
            tokio::time::sleep(self.grace / LOOKS).await;
            self.forgive().await;
            let nodes = self.nodes.list();
            let names: HashSet<&str> = nodes.iter().map(|node| node.name()).collect();
            self.seen.retain(|name, _| names.contains(&**name));
            for node in &nodes {
                let silent = self.is_silent(node);
                if let Err(error) = self.care(node, silent).await {
                    tracing::debug!(node = node.name(), %error, "a node's state could not be told; it will be tried again");
                }
            }
            if let Err(error) = self.collect(&names).await {
                tracing::debug!(%error, "pods of nodes that are gone stay for now");
            }
        }
    }

    /// Whether a node gave no sign for longer than the grace.
    fn is_silent(&mut self, node: &Object) -> bool {
        let lease = self.leases.get(LEASES_IN, node.name());
        let sign = lease
            .as_ref()
            .map_or("", |lease| lease.text(&["spec", "renewTime"]));
        let now = Instant::now();
        let fresh = || (sign.to_owned(), now);
        let (last, at) = self
            .seen
            .entry(node.name().to_owned())
            .or_insert_with(fresh);
        if last != sign {
            (*last, *at) = fresh();
        }
        now.duration_since(*at) > self.grace
    }

    /// While nothing can be written no node can say that it lives: their silence counts from when it can.
    async fn forgive(&mut self) {
        if !self.client.is_ready().await {
            let now = Instant::now();
            self.seen.values_mut().for_each(|(_, at)| *at = now);
        }
    }

    async fn care(&self, node: &Object, silent: bool) -> Result<(), ClientError> {
        match decide(node, silent) {
            Step::Rest => Ok(()),
            Step::Welcome => {
                tracing::info!(node = node.name(), "the node is back");
                self.taint(node, marks::unmarked(node)).await
            }
            Step::Doubt => {
                tracing::warn!(node = node.name(), "the node says that it is not ready");
                let taints = marks::marked(node, NOT_READY, &clock::seconds(clock::now()));
                self.taint(node, taints).await
            }
            Step::Lose => self.lose(node).await,
        }
    }

    async fn lose(&self, node: &Object) -> Result<(), ClientError> {
        let now = clock::now();
        tracing::warn!(
            node = node.name(),
            "the node is silent: its pods get no calls, and leave when they have tolerated it long enough"
        );
        let list = node
            .get(&["status", "conditions"])
            .and_then(Value::as_array);
        let mut list = list.cloned().unwrap_or_default();
        let unknown = Condition {
            kind: "Ready",
            status: "Unknown",
            reason: "NodeStatusUnknown",
            message: "the node stopped renewing its Lease".to_owned(),
        };
        conditions::put(&mut list, unknown, now);
        let (of, patch) = (("", node.name()), json!({"status": {"conditions": list}}));
        gone_is_fine(self.client.patch(&NODES, of, patch, Part::Status).await)?;
        let taints = marks::marked(node, UNREACHABLE, &clock::seconds(now));
        self.taint(node, taints).await?;
        for pod in self.by_node.of(node.name()) {
            if facts::is_true(&pod, "Ready") {
                self.unready(&pod).await?;
            }
        }
        Ok(())
    }

    async fn taint(&self, node: &Object, taints: Vec<Value>) -> Result<(), ClientError> {
        // An empty list is none.
        let taints = (!taints.is_empty()).then_some(taints);
        let patch = json!({"spec": {"taints": taints}});
        let of = ("", node.name());
        gone_is_fine(self.client.patch(&NODES, of, patch, Part::Whole).await)
    }

    async fn unready(&self, pod: &Object) -> Result<(), ClientError> {
        // Of conditions only the one is mirrored: the others are read, to be written again as they are.
        let of = (pod.namespace(), pod.name());
        let pod = match self.client.get(&PODS, of.0, of.1).await {
            Err(error) if error.is_not_found() => return Ok(()),
            found => found?,
        };
        let list = pod.get(&["status", "conditions"]).and_then(Value::as_array);
        let mut list = list.cloned().unwrap_or_default();
        for kind in ["Ready", "ContainersReady"] {
            let lost = Condition {
                kind,
                status: "False",
                reason: LOST,
                message: "the pod's node is silent".to_owned(),
            };
            conditions::put(&mut list, lost, clock::now());
        }
        let patch = json!({"status": {"conditions": list}});
        gone_is_fine(self.client.patch(&PODS, of, patch, Part::Status).await)
    }

    /// Removes pods whose Node has not been there for long: nobody will ever say that they ended.
    async fn collect(&mut self, nodes: &HashSet<&str>) -> Result<(), ClientError> {
        let now = Instant::now();
        let named = self.by_node.groups();
        let gone = named.iter().filter(|node| !nodes.contains(&***node));
        let orphans: Vec<Arc<Object>> = gone.flat_map(|node| self.by_node.of(node)).collect();
        let uids: HashSet<&str> = orphans.iter().map(|pod| pod.uid()).collect();
        self.orphaned.retain(|uid, _| uids.contains(&**uid));
        let quarantine = self.grace.max(QUARANTINE);
        for pod in &orphans {
            let Some(orphan) = self.orphaned.get_mut(pod.uid()) else {
                let orphan = Orphan {
                    since: now,
                    told: false,
                };
                self.orphaned.insert(pod.uid().to_owned(), orphan);
                continue;
            };
            // Told at the second look: at the first its Node may have come a moment ago.
            let (since, told) = (orphan.since, std::mem::replace(&mut orphan.told, true));
            if !told {
                self.warn(pod, quarantine);
            }
            if now.duration_since(since) > quarantine && !is_removed(pod) {
                self.remove(pod).await?;
            }
        }
        Ok(())
    }

    /// Who mistyped `spec.nodeName` reads it before the pod is gone.
    fn warn(&self, pod: &Object, quarantine: Duration) {
        let (node, seconds) = (facts::node(pod), quarantine.as_secs());
        let words = format!(
            "There is no Node \"{node}\" (spec.nodeName): the pod is deleted unless it comes within {seconds} s"
        );
        self.recorder
            .warning(&Reference::to(pod), "NodeNotFound", words);
    }

    async fn remove(&self, pod: &Object) -> Result<(), ClientError> {
        let node = facts::node(pod);
        let words = format!("Deleting the pod: its Node \"{node}\" no longer exists");
        self.recorder.normal(&Reference::to(pod), COLLECTED, words);
        let why = Why {
            reason: COLLECTED,
            message: "PodGC: node no longer exists".to_owned(),
        };
        let of = (pod.namespace(), pod.name());
        leaving::abandon(&self.client, of, pod.uid(), &why).await
    }
}

/// It was removed at once, and is there as long as finalizers hold it.
fn is_removed(pod: &Object) -> bool {
    let grace = pod.get(&["metadata", "deletionGracePeriodSeconds"]);
    grace.and_then(Value::as_u64) == Some(0)
}
