//! What controllers read off a pod. Pure.

use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::Value;

/// `status.phase`; a pod without one is Pending.
#[must_use]
pub fn phase(pod: &Object) -> &str {
    match pod.text(&["status", "phase"]) {
        "" => "Pending",
        phase => phase,
    }
}

/// The node that the pod is bound to, empty if none.
#[must_use]
pub fn node(pod: &Object) -> &str {
    pod.text(&["spec", "nodeName"])
}

/// Succeeded or Failed: it will never run again.
#[must_use]
pub fn is_finished(pod: &Object) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Counts towards a controller's replicas.
#[must_use]
pub fn is_active(pod: &Object) -> bool {
    !is_finished(pod) && pod.deletion_timestamp().is_none()
}

/// A status condition by its type.
#[must_use]
pub fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    let conditions = object.get(&["status", "conditions"])?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// The condition is True.
#[must_use]
pub fn is_true(object: &Object, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Since when the pod is ready, if it is.
#[must_use]
pub fn ready_since(pod: &Object) -> Option<Timestamp> {
    let condition = condition(pod, "Ready").filter(|condition| condition["status"] == "True")?;
    let since = condition["lastTransitionTime"]
        .as_str()
        .and_then(|time| time.parse().ok());
    Some(since.unwrap_or(Timestamp::UNIX_EPOCH))
}

/// How long until a ready pod has been ready for `minReadySeconds`.
#[must_use]
pub fn becomes_available(min_ready: Duration, pod: &Object, now: Timestamp) -> Option<Duration> {
    let since = ready_since(pod)?;
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    min_ready.checked_sub(passed).filter(|left| !left.is_zero())
}

/// The highest restart count of its containers.
#[must_use]
pub fn restarts(pod: &Object) -> u64 {
    let statuses = pod
        .get(&["status", "containerStatuses"])
        .and_then(Value::as_array);
    let counts = statuses
        .into_iter()
        .flatten()
        .filter_map(|status| status["restartCount"].as_u64());
    counts.max().unwrap_or(0)
}

/// When a finished pod ended, as far as it says so.
#[must_use]
pub fn ended(pod: &Object) -> Timestamp {
    let statuses = pod
        .get(&["status", "containerStatuses"])
        .and_then(Value::as_array);
    let times = statuses.into_iter().flatten().filter_map(|status| {
        status["state"]["terminated"]["finishedAt"]
            .as_str()?
            .parse()
            .ok()
    });
    times.max().unwrap_or_else(|| created(pod))
}

/// When the object was created.
#[must_use]
pub fn created(object: &Object) -> Timestamp {
    let time = object.text(&["metadata", "creationTimestamp"]).parse();
    time.unwrap_or(Timestamp::UNIX_EPOCH)
}
