//! What a PodDisruptionBudget allows. Pure: a function of the budget, the pods that it speaks of, and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use osier_api::selector::LabelSelector;
use osier_api::typed::IntOrString;
use serde_json::{Map, Value, json};

use crate::conditions::{self, Condition};
use crate::facts;

/// An eviction that is not seen to come true after this long is forgotten, as upstream.
const PATIENCE: Duration = Duration::from_secs(120);

/// A pod of a budget.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) pod: Arc<Object>,
    /// The uid of what decides how many like it there are, and how many; `None` if nothing does.
    pub(super) scale: Option<(String, usize)>,
}

/// What to report.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) status: Value,
    /// When an eviction will be forgotten.
    pub(super) look_again: Option<Duration>,
}

/// The budget speaks of the pod: its selector is there, and an empty one selects every pod of the namespace.
pub(super) fn selects(budget: &Object, pod: &Object) -> bool {
    let selector = budget.get(&["spec", "selector"]);
    let selector = selector.filter(|selector| selector.is_object());
    let parsed = selector.and_then(|selector| LabelSelector::from_object(selector).ok());
    parsed.is_some_and(|selector| selector.selects(pod))
}

/// It serves, and stays.
pub(super) fn is_healthy(pod: &Object) -> bool {
    facts::is_active(pod) && facts::ready_since(pod).is_some()
}

/// Counts the pods of a budget.
pub(super) fn decide(budget: &Object, pods: &[Counted], now: Timestamp) -> Plan {
    let (disrupted, look_again) = disrupted(budget, pods, now);
    let healthy = pods
        .iter()
        .filter(|counted| is_healthy(&counted.pod) && !disrupted.contains_key(counted.pod.name()));
    let current = healthy.count();
    let conditions = budget.get(&["status", "conditions"]);
    let mut conditions = conditions
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let asked = asked(budget, pods);
    let (expected, desired) = asked.clone().unwrap_or((pods.len(), 0));
    let allowed = match asked {
        Ok((0, _)) | Err(_) => 0,
        Ok((_, desired)) => current.saturating_sub(desired),
    };
    conditions::put(&mut conditions, condition(allowed, asked.err()), now);
    let gone = budget
        .get(&["status", "disruptedPods"])
        .and_then(Value::as_object);
    let gone = gone.into_iter().flatten().map(|(name, _)| name);
    // A merge takes away what is null.
    let mut remembered: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    remembered.extend(disrupted);
    let status = json!({
        "observedGeneration": budget.generation(),
        "expectedPods": expected,
        "currentHealthy": current,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "disruptedPods": (!remembered.is_empty()).then_some(remembered),
        "conditions": conditions,
    });
    Plan { status, look_again }
}

fn condition(allowed: usize, failure: Option<String>) -> Condition {
    let (status, reason) = match (&failure, allowed) {
        (Some(_), _) => ("False", "SyncFailed"),
        (None, 0) => ("False", "InsufficientPods"),
        (None, _) => ("True", "SufficientPods"),
    };
    Condition {
        kind: "DisruptionAllowed",
        status,
        reason,
        message: failure.unwrap_or_default(),
    }
}

/// Evictions whose pods are there and are not on their way out yet, and when the first of them is forgotten.
fn disrupted(
    budget: &Object,
    pods: &[Counted],
    now: Timestamp,
) -> (Map<String, Value>, Option<Duration>) {
    let all = budget
        .get(&["status", "disruptedPods"])
        .and_then(Value::as_object);
    let (mut kept, mut look_again) = (Map::new(), None);
    for (name, at) in all.into_iter().flatten() {
        let mut there = pods.iter();
        let there =
            there.any(|one| one.pod.name() == name && one.pod.deletion_timestamp().is_none());
        let since = at.as_str().and_then(|at| at.parse().ok());
        let passed = now.duration_since(since.unwrap_or(Timestamp::UNIX_EPOCH));
        let passed = Duration::try_from(passed).unwrap_or_default();
        let left = PATIENCE.checked_sub(passed).filter(|left| !left.is_zero());
        if let Some(left) = left.filter(|_| there) {
            kept.insert(name.clone(), at.clone());
            look_again = Some(look_again.map_or(left, |before: Duration| before.min(left)));
        }
    }
    (kept, look_again)
}

/// How many pods there shall be, and how many of them must be healthy.
fn asked(budget: &Object, pods: &[Counted]) -> Result<(usize, usize), String> {
    let share = |field: &str| -> Option<IntOrString> {
        let value = budget.get(&["spec", field])?;
        serde_json::from_value(value.clone()).ok()
    };
    if let Some(unavailable) = share("maxUnavailable") {
        let expected = expected(pods)?;
        let away = unavailable.rounded_up(expected);
        return Ok((expected, expected.saturating_sub(away)));
    }
    match share("minAvailable") {
        Some(share @ IntOrString::String(_)) => {
            let expected = expected(pods)?;
            Ok((expected, share.rounded_up(expected)))
        }
        Some(IntOrString::Int(least)) => Ok((pods.len(), usize::try_from(least).unwrap_or(0))),
        None => Ok((pods.len(), 0)),
    }
}

/// The sum of what the pods' controllers ask for.
fn expected(pods: &[Counted]) -> Result<usize, String> {
    let mut scales = BTreeMap::new();
    for counted in pods {
        let Some((uid, replicas)) = &counted.scale else {
            return Err(format!(
                "pod {:?} has no controller with a number of replicas: give `minAvailable` as a number, or leave such pods out of `selector`",
                counted.pod.name()
            ));
        };
        scales.insert(uid.as_str(), *replicas);
    }
    Ok(scales.into_values().fold(0, usize::saturating_add))
}
