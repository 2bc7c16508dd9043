//! What a controller of like pods wants done about them. Pure: a function of the controller,
//! its pods and those that nobody owns, and the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::Value;

use crate::facts;
use crate::ownership::{Claim, Owner};

/// A controller creates or deletes at most this many pods at a time, as in Kubernetes.
pub(crate) const BURST: usize = 500;

/// What a controller's spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) owner: Owner,
    pub(crate) replicas: usize,
    pub(crate) template_labels: BTreeMap<String, String>,
    pub(crate) min_ready: Duration,
}

/// What to do, and what to report.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The pods that are ours, to be ours, and no longer ours.
    pub(crate) claim: Claim,
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
    /// Reads the spec.
    pub(crate) fn of(controller: &Object) -> Self {
        let number = |field: &str| controller.get(&["spec", field]).and_then(Value::as_u64);
        let replicas = number("replicas").unwrap_or(1);
        let labels = controller.get(&["spec", "template", "metadata", "labels"]);
        Self {
            owner: Owner::of(controller),
            replicas: usize::try_from(replicas).unwrap_or(usize::MAX),
            template_labels: strings(labels),
            min_ready: Duration::from_secs(number("minReadySeconds").unwrap_or(0)),
        }
    }
}

/// Decides from the controller's pods and those of its namespace that nobody owns; others change nothing.
pub(crate) fn decide(wanted: &Wanted, pods: &[Arc<Object>], now: Timestamp) -> Plan {
    let active = pods.iter().filter(|pod| facts::is_active(pod));
    let mut plan = Plan {
        claim: wanted.owner.claim(active),
        ..Plan::default()
    };
    let mine: Vec<&Arc<Object>> = plan.claim.mine.iter().collect();
    plan.counts = count(wanted, &mine, now);
    plan.look_again = mine
        .iter()
        .filter_map(|pod| facts::becomes_available(wanted.min_ready, pod, now))
        .min();
    if wanted.owner.leaving {
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
    let available = |pod: &&&Arc<Object>| {
        ready(pod) && facts::becomes_available(wanted.min_ready, pod, now).is_none()
    };
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
