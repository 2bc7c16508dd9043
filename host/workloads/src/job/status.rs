//! A Job's status: its numbers and how it ended. Pure.

use jiff::Timestamp;
use osier_api::Object;
use osier_process::clock;
use serde_json::{Value, json};

use super::decide::Plan;
use super::indexes;
use super::wanted::Wanted;
use crate::conditions::{self, Condition};

/// The status to write, as a merge patch.
#[must_use]
pub fn status(job: &Object, wanted: &Wanted, plan: &Plan, now: Timestamp) -> Value {
    let done = &plan.done;
    let mut said = said(job);
    let ends = end(plan);
    let is_over = ends.is_some() && plan.active == 0 && plan.terminating == 0 && done.is_counted();
    if let Some(end) = &ends {
        let target = if end.kind == "Failed" {
            "FailureTarget"
        } else {
            "SuccessCriteriaMet"
        };
        let target = Condition {
            kind: target,
            ..end.clone()
        };
        put(&mut said, target, now);
        if is_over {
            put(&mut said, end.clone(), now);
        }
    }
    let was_suspended = conditions::find(&said, "Suspended").is_some();
    if ends.is_none() && (wanted.suspended || was_suspended) {
        put(&mut said, suspension(wanted.suspended), now);
    }
    let started = match (wanted.suspended, done.started) {
        (true, _) => Value::Null,
        (false, Some(_)) => job
            .get(&["status", "startTime"])
            .cloned()
            .unwrap_or_default(),
        (false, None) => clock::seconds(now).into(),
    };
    let completed = plan.success.is_some() && plan.failure.is_none() && is_over;
    let uids = |uids: &std::collections::BTreeSet<String>| match uids.is_empty() {
        true => Value::Null,
        false => json!(uids),
    };
    let indexes = |of: &std::collections::BTreeSet<usize>| match of.is_empty() || !wanted.indexed {
        true => Value::Null,
        false => indexes::write(of).into(),
    };
    json!({
        "active": number(plan.active), "ready": plan.ready, "terminating": plan.terminating,
        "succeeded": number(done.succeeded), "failed": number(done.failed),
        "startTime": started,
        "completionTime": if completed { clock::seconds(now).into() } else { Value::Null },
        "completedIndexes": indexes(&done.indexes), "failedIndexes": indexes(&done.failed_indexes),
        "uncountedTerminatedPods": {"succeeded": uids(&done.uncounted_succeeded), "failed": uids(&done.uncounted_failed)},
        "conditions": if said.is_empty() { Value::Null } else { said.into() },
    })
}

/// Zero is left out, as Kubernetes does.
fn number(number: usize) -> Value {
    if number == 0 {
        Value::Null
    } else {
        number.into()
    }
}

fn said(job: &Object) -> Vec<Value> {
    let said = job.get(&["status", "conditions"]).and_then(Value::as_array);
    said.cloned().unwrap_or_default()
}

/// The condition, with the time of its last look as Jobs have it.
fn put(said: &mut Vec<Value>, condition: Condition, now: Timestamp) {
    let kind = condition.kind;
    let before = said.clone();
    conditions::put(said, condition, now);
    if *said == before {
        return;
    }
    for condition in said
        .iter_mut()
        .filter(|condition| condition["type"] == kind)
    {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastUpdateTime");
            condition.insert("lastProbeTime".to_owned(), clock::seconds(now).into());
        }
    }
}

fn end(plan: &Plan) -> Option<Condition> {
    let (kind, reason, words) = match (&plan.failure, &plan.success) {
        (Some(failure), _) => ("Failed", failure.reason(), failure.words()),
        (None, Some(success)) => ("Complete", success.reason(), success.words()),
        (None, None) => return None,
    };
    Some(Condition {
        kind,
        status: "True",
        reason,
        message: words.to_owned(),
    })
}

fn suspension(suspended: bool) -> Condition {
    let (status, reason, words) = if suspended {
        ("True", "JobSuspended", "Job suspended")
    } else {
        ("False", "JobResumed", "Job resumed")
    };
    Condition {
        kind: "Suspended",
        status,
        reason,
        message: words.to_owned(),
    }
}
