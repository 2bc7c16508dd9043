//! Conditions of a status: one of each type, whose times say when it last changed. Pure.

use jiff::Timestamp;
use osier_process::clock;
use serde_json::{Value, json};

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Value], kind: &str) -> Option<&'a Value> {
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// The condition has this reason.
#[must_use]
pub fn has_reason(condition: Option<&Value>, reason: &str) -> bool {
    condition.is_some_and(|condition| condition["reason"] == reason)
}

/// Says it, unless the same is said already with the same reason.
pub fn put(conditions: &mut Vec<Value>, condition: Condition, now: Timestamp) {
    let said = find(conditions, condition.kind);
    let same = said.is_some_and(|said| {
        said["status"] == condition.status && said["reason"] == condition.reason
    });
    if !same {
        renew(conditions, condition, now);
    }
}

/// Says it as of now, whatever is said already; the transition time moves only with the status.
pub fn renew(conditions: &mut Vec<Value>, condition: Condition, now: Timestamp) {
    let time = clock::seconds(now);
    let said = find(conditions, condition.kind).filter(|said| said["status"] == condition.status);
    let since = said.and_then(|said| said["lastTransitionTime"].as_str());
    let written = json!({
        "type": condition.kind, "status": condition.status, "reason": condition.reason,
        "message": condition.message, "lastUpdateTime": time,
        "lastTransitionTime": since.unwrap_or(&time),
    });
    remove(conditions, condition.kind);
    conditions.push(written);
}

/// It is said no longer.
pub fn remove(conditions: &mut Vec<Value>, kind: &str) {
    conditions.retain(|condition| condition["type"] != kind);
}
