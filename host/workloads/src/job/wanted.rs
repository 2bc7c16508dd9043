//! What a Job's spec asks for, and what its status says was done. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::Value;

use super::indexes;
use crate::facts;
use crate::ownership::Owner;

/// What a Job's spec asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) owner: Owner,
    pub(super) parallelism: usize,
    /// None: a queue of work, done when one pod says so.
    pub(super) completions: Option<usize>,
    pub(super) indexed: bool,
    pub(super) backoff_limit: usize,
    pub(super) deadline: Option<Duration>,
    pub(super) ttl: Option<Duration>,
    pub(super) suspended: bool,
    /// Containers are restarted in their pod.
    pub(super) restarts: bool,
}

/// What the status says was done. A pod that has ended is counted in three steps, so that none is
/// lost or counted twice whatever fails in between: its uid is written down, its finalizer removed,
/// and then the number is raised and the uid forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    pub(super) uncounted_succeeded: BTreeSet<String>,
    pub(super) uncounted_failed: BTreeSet<String>,
    pub(super) indexes: BTreeSet<usize>,
    pub(super) started: Option<Timestamp>,
    /// It is decided that the Job fails, and why.
    pub(super) failing: Option<Failure>,
}

/// Why a Job fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Too many pods failed, or their containers too often.
    Backoff,
    /// It took too long.
    Deadline,
}

/// How a Job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    Failed,
}

impl Wanted {
    pub(super) fn of(job: &Object) -> Self {
        let number = |field: &str| job.get(&["spec", field]).and_then(Value::as_u64);
        let count =
            |field: &str| number(field).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        let seconds = |field: &str| number(field).map(Duration::from_secs);
        let restart = ["spec", "template", "spec", "restartPolicy"];
        Self {
            owner: Owner::of(job),
            parallelism: count("parallelism").unwrap_or(1),
            completions: count("completions"),
            indexed: job.text(&["spec", "completionMode"]) == "Indexed",
            backoff_limit: count("backoffLimit").unwrap_or(6),
            deadline: seconds("activeDeadlineSeconds"),
            ttl: seconds("ttlSecondsAfterFinished"),
            suspended: job.get(&["spec", "suspend"]) == Some(&Value::Bool(true)),
            restarts: job.text(&restart) == "OnFailure",
        }
    }
}

impl Done {
    pub(super) fn of(job: &Object) -> Self {
        let number = |field: &str| {
            let number = job.get(&["status", field]).and_then(Value::as_u64);
            number
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(0)
        };
        let uids = |field: &str| {
            let list = job.get(&["status", "uncountedTerminatedPods", field]);
            let list = list.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(|uid| uid.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            succeeded: number("succeeded"),
            failed: number("failed"),
            uncounted_succeeded: uids("succeeded"),
            uncounted_failed: uids("failed"),
            indexes: indexes::read(job.text(&["status", "completedIndexes"])),
            started: job.text(&["status", "startTime"]).parse().ok(),
            failing: facts::condition(job, "FailureTarget").map(|condition| {
                if condition["reason"] == "DeadlineExceeded" {
                    Failure::Deadline
                } else {
                    Failure::Backoff
                }
            }),
        }
    }

    pub(super) fn all_succeeded(&self) -> usize {
        self.succeeded + self.uncounted_succeeded.len()
    }

    pub(super) fn all_failed(&self) -> usize {
        self.failed + self.uncounted_failed.len()
    }

    pub(super) fn is_counted(&self) -> bool {
        self.uncounted_succeeded.is_empty() && self.uncounted_failed.is_empty()
    }
}

/// How and when the Job ended, if it has.
pub(super) fn end(job: &Object) -> Option<(End, Timestamp)> {
    let ends = [("Complete", End::Complete), ("Failed", End::Failed)];
    let (kind, end) = ends
        .into_iter()
        .find(|(kind, _)| facts::is_true(job, kind))?;
    let condition = facts::condition(job, kind)?;
    let at = condition["lastTransitionTime"].as_str()?.parse();
    Some((end, at.unwrap_or(Timestamp::UNIX_EPOCH)))
}
