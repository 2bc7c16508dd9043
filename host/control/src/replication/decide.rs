//! What a replication controller wants done about its pods. Pure: a function of the controller,
//! the pods of its namespace, and the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::{Map, Value, json};

use crate::facts;

/// A controller creates or deletes at most this many pods at a time, as in Kubernetes.
pub(crate) const BURST: usize = 500;

/// What a replication controller's spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) uid: String,
    pub(crate) replicas: usize,
    pub(crate) selector: BTreeMap<String, String>,
    pub(crate) template_labels: BTreeMap<String, String>,
    pub(crate) min_ready: Duration,
    /// The controller is being deleted: it only reports.
    pub(crate) leaving: bool,
}

/// What to do, and what to report.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Pods that match and have no controller: take them.
    pub(crate) adopt: Vec<Arc<Object>>,
    /// Pods of ours that no longer match: let them go.
    pub(crate) release: Vec<Arc<Object>>,
    /// How many pods are missing.
    pub(crate) create: usize,
    /// The surplus, first to go first.
    pub(crate) delete: Vec<Arc<Object>>,
    /// For the status.
    pub(crate) counts: Counts,
    /// When a ready pod will become available, if one will.
    pub(crate) look_again: Option<Duration>,
}

/// The numbers of `status`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) replicas: usize,
    pub(crate) fully_labeled: usize,
    pub(crate) ready: usize,
    pub(crate) available: usize,
}

impl Wanted {
    /// Reads the spec; an empty selector means the template's labels, as the API defaults it.
    pub(crate) fn of(controller: &Object) -> Self {
        let template_labels = strings(controller.get(&["spec", "template", "metadata", "labels"]));
        let selector = strings(controller.get(&["spec", "selector"]));
        let replicas = controller
            .get(&["spec", "replicas"])
            .and_then(Value::as_u64)
            .unwrap_or(1);
        let min_ready = controller
            .get(&["spec", "minReadySeconds"])
            .and_then(Value::as_u64);
        Self {
            uid: controller.uid().to_owned(),
            replicas: usize::try_from(replicas).unwrap_or(usize::MAX),
            selector: if selector.is_empty() {
                template_labels.clone()
            } else {
                selector
            },
            template_labels,
            min_ready: Duration::from_secs(min_ready.unwrap_or(0)),
            leaving: controller.deletion_timestamp().is_some(),
        }
    }

    pub(crate) fn selects(&self, pod: &Object) -> bool {
        !self.selector.is_empty() && has_labels(pod, &self.selector)
    }

    fn owns(&self, pod: &Object) -> bool {
        pod.controller_of()
            .is_some_and(|owner| owner.uid == self.uid)
    }
}

/// Decides from the pods of the controller's namespace.
pub(crate) fn decide(wanted: &Wanted, pods: &[Arc<Object>], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut mine: Vec<&Arc<Object>> = Vec::new();
    for pod in pods.iter().filter(|pod| facts::is_active(pod)) {
        match (wanted.owns(pod), wanted.selects(pod)) {
            (true, true) => mine.push(pod),
            (true, false) if !wanted.leaving => plan.release.push(Arc::clone(pod)),
            (false, true) if pod.controller_of().is_none() && !wanted.leaving => {
                plan.adopt.push(Arc::clone(pod));
                mine.push(pod);
            }
            _ => {}
        }
    }
    plan.counts = count(wanted, &mine, now);
    plan.look_again = mine
        .iter()
        .filter_map(|pod| becomes_available(wanted, pod, now))
        .min();
    if wanted.leaving {
        return plan;
    }
    plan.create = wanted.replicas.saturating_sub(mine.len()).min(BURST);
    let surplus = mine.len().saturating_sub(wanted.replicas).min(BURST);
    plan.delete = first_to_go(mine)
        .into_iter()
        .take(surplus)
        .cloned()
        .collect();
    plan
}

fn count(wanted: &Wanted, mine: &[&Arc<Object>], now: Timestamp) -> Counts {
    let ready = |pod: &&&Arc<Object>| facts::ready_since(pod).is_some();
    let available =
        |pod: &&&Arc<Object>| ready(pod) && becomes_available(wanted, pod, now).is_none();
    Counts {
        replicas: mine.len(),
        fully_labeled: mine
            .iter()
            .filter(|pod| has_labels(pod, &wanted.template_labels))
            .count(),
        ready: mine.iter().filter(ready).count(),
        available: mine.iter().filter(available).count(),
    }
}

/// How long until a ready pod has been ready for `minReadySeconds`.
fn becomes_available(wanted: &Wanted, pod: &Object, now: Timestamp) -> Option<Duration> {
    let since = facts::ready_since(pod)?;
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    wanted
        .min_ready
        .checked_sub(passed)
        .filter(|left| !left.is_zero())
}

/// Surplus pods in the order in which Kubernetes deletes them: unassigned before assigned, pending
/// before running, not ready before ready, cheap before dear (`pod-deletion-cost`), those that
/// share a node with more of their kind, the most recently ready, the most often restarted, the
/// newest.
fn first_to_go(mut pods: Vec<&Arc<Object>>) -> Vec<&Arc<Object>> {
    let mut together: HashMap<String, usize> = HashMap::new();
    for pod in &pods {
        *together.entry(facts::node(pod).to_owned()).or_default() += 1;
    }
    pods.sort_by_cached_key(|pod| {
        let phase = match facts::phase(pod) {
            "Pending" => 0,
            "Unknown" => 1,
            _ => 2,
        };
        let cost = pod.annotation("controller.kubernetes.io/pod-deletion-cost");
        let cost: i32 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
        let ready = facts::ready_since(pod);
        let place = (!facts::node(pod).is_empty(), phase, ready.is_some(), cost);
        let crowd = together.get(facts::node(pod)).copied().unwrap_or(0);
        let age = (
            Reverse(ready),
            Reverse(facts::restarts(pod)),
            Reverse(facts::created(pod)),
        );
        (place, Reverse(crowd), age, pod.name().to_owned())
    });
    pods
}

/// A pod as the template describes it, owned by the controller; the API names it.
pub(crate) fn pod_from_template(controller: &Object) -> Map<String, Value> {
    let template = controller
        .get(&["spec", "template"])
        .cloned()
        .unwrap_or_default();
    let mut metadata = Map::new();
    for kept in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(kept) {
            metadata.insert(kept.to_owned(), value.clone());
        }
    }
    metadata.insert(
        "generateName".to_owned(),
        format!("{}-", controller.name()).into(),
    );
    metadata.insert("namespace".to_owned(), controller.namespace().into());
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([owner_reference(controller)]),
    );
    let mut pod = Map::new();
    pod.insert("apiVersion".to_owned(), "v1".into());
    pod.insert("kind".to_owned(), "Pod".into());
    pod.insert("metadata".to_owned(), metadata.into());
    pod.insert("spec".to_owned(), template["spec"].clone());
    pod
}

/// The reference by which `controller` owns a pod.
pub(crate) fn owner_reference(controller: &Object) -> Value {
    json!({
        "apiVersion": controller.api_version(), "kind": controller.kind(),
        "name": controller.name(), "uid": controller.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn has_labels(object: &Object, wanted: &BTreeMap<String, String>) -> bool {
    let labels = object
        .get(&["metadata", "labels"])
        .and_then(Value::as_object);
    let has = |(key, value): (&String, &String)| {
        labels
            .and_then(|labels| labels.get(key))
            .and_then(Value::as_str)
            == Some(value.as_str())
    };
    wanted.iter().all(has)
}

fn strings(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
