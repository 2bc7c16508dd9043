//! What a Job's spec asks for, and what its status says was done. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;
use serde_json::Value;

use super::failures::Failures;
use super::indexes;
use super::success::Successes;
use crate::Owner;
use crate::facts;

/// The controller that does what `spec.managedBy` names nobody for.
const OURS: &str = "kubernetes.io/job-controller";

/// What a Job's spec asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose pods are the Job's.
    pub owner: Owner,
    /// Pods at once.
    pub parallelism: usize,
    /// None: a queue of work, done when one pod says so.
    pub completions: Option<usize>,
    /// Each pod has an index of its own.
    pub indexed: bool,
    /// Failures beyond which the Job has failed.
    pub backoff_limit: usize,
    /// Failures of one index beyond which that index has failed.
    pub index_limit: Option<usize>,
    /// Failed indexes beyond which the Job has failed; as many as there are without it.
    pub most_failed: Option<usize>,
    /// How long it may be active.
    pub deadline: Option<Duration>,
    /// How long it stays after it ended.
    pub ttl: Option<Duration>,
    /// Nothing is to run.
    pub suspended: bool,
    /// Containers are restarted in their pod.
    pub restarts: bool,
    /// A pod that is on its way out is replaced when it has ended, and not before (`podReplacementPolicy: Failed`).
    pub patient: bool,
    /// What failed pods mean.
    pub(super) failures: Failures,
    /// When it has succeeded before all its indexes have.
    pub(super) successes: Successes,
}

/// What the status says was done. A pod that has ended is counted in three steps, so that none is
/// lost or counted twice whatever fails in between: its uid is written down, its finalizer removed,
/// and then the number is raised and the uid forgotten.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Pods that succeeded, as counted.
    pub succeeded: usize,
    /// Pods that failed, as counted.
    pub failed: usize,
    /// Those that succeeded and are written down only.
    pub uncounted_succeeded: BTreeSet<String>,
    /// Those that failed and are written down only.
    pub uncounted_failed: BTreeSet<String>,
    /// Indexes that have succeeded.
    pub indexes: BTreeSet<usize>,
    /// Indexes that have failed for good.
    pub failed_indexes: BTreeSet<usize>,
    /// Since when it is active.
    pub started: Option<Timestamp>,
    /// It is decided that the Job fails, and why.
    pub failing: Option<Failure>,
    /// It is decided that the Job has succeeded, and why.
    pub succeeding: Option<Success>,
}

/// Why a Job fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Too many pods failed, or their containers too often.
    Backoff,
    /// It took too long.
    Deadline,
    /// A failed pod means so, by a rule of `podFailurePolicy`; the words for it.
    Policy(String),
    /// All indexes are through, and some failed.
    Indexes,
    /// More indexes failed than may.
    TooManyIndexes,
}

/// Why a Job has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Success {
    /// As many pods as asked for have.
    Completions,
    /// A rule of `successPolicy` is met; the words for it.
    Policy(String),
}

/// How a Job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Well.
    Complete,
    /// Badly.
    Failed,
}

impl Failure {
    /// The reason of the condition that says it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Backoff => "BackoffLimitExceeded",
            Self::Deadline => "DeadlineExceeded",
            Self::Policy(_) => "PodFailurePolicy",
            Self::Indexes => "FailedIndexes",
            Self::TooManyIndexes => "MaxFailedIndexesExceeded",
        }
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Self::Backoff => "Job has reached the specified backoff limit",
            Self::Deadline => "Job was active longer than specified deadline",
            Self::Policy(words) => words,
            Self::Indexes => "Job has failed indexes",
            Self::TooManyIndexes => {
                "Job has exceeded the specified maximal number of failed indexes"
            }
        }
    }

    fn said(condition: &Value) -> Self {
        match condition["reason"].as_str().unwrap_or_default() {
            "DeadlineExceeded" => Self::Deadline,
            "PodFailurePolicy" => Self::Policy(words(condition)),
            "FailedIndexes" => Self::Indexes,
            "MaxFailedIndexesExceeded" => Self::TooManyIndexes,
            _ => Self::Backoff,
        }
    }
}

impl Success {
    /// The reason of the condition that says it.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Completions => "CompletionsReached",
            Self::Policy(_) => "SuccessPolicy",
        }
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Self::Completions => "Reached expected number of succeeded pods",
            Self::Policy(words) => words,
        }
    }

    fn said(condition: &Value) -> Self {
        match condition["reason"] == "SuccessPolicy" {
            true => Self::Policy(words(condition)),
            false => Self::Completions,
        }
    }
}

fn words(condition: &Value) -> String {
    condition["message"].as_str().unwrap_or_default().to_owned()
}

impl Wanted {
    /// Of a Job.
    #[must_use]
    pub fn of(job: &Object) -> Self {
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
            index_limit: count("backoffLimitPerIndex"),
            most_failed: count("maxFailedIndexes"),
            deadline: seconds("activeDeadlineSeconds"),
            ttl: seconds("ttlSecondsAfterFinished"),
            suspended: job.get(&["spec", "suspend"]) == Some(&Value::Bool(true)),
            restarts: job.text(&restart) == "OnFailure",
            patient: job.text(&["spec", "podReplacementPolicy"]) == "Failed"
                || job.get(&["spec", "podFailurePolicy"]).is_some(),
            failures: Failures::of(job),
            successes: Successes::of(job),
        }
    }
}

impl Done {
    /// By the status of a Job.
    #[must_use]
    pub fn of(job: &Object) -> Self {
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
            failed_indexes: indexes::read(job.text(&["status", "failedIndexes"])),
            started: job.text(&["status", "startTime"]).parse().ok(),
            failing: facts::condition(job, "FailureTarget").map(Failure::said),
            succeeding: facts::condition(job, "SuccessCriteriaMet").map(Success::said),
        }
    }

    /// Pods that succeeded, counted or written down.
    #[must_use]
    pub fn all_succeeded(&self) -> usize {
        self.succeeded + self.uncounted_succeeded.len()
    }

    /// Pods that failed, counted or written down.
    #[must_use]
    pub fn all_failed(&self) -> usize {
        self.failed + self.uncounted_failed.len()
    }

    /// Whether all that is written down is counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.uncounted_succeeded.is_empty() && self.uncounted_failed.is_empty()
    }
}

/// Whether this controller is to do what the Job wants (`spec.managedBy`).
#[must_use]
pub fn is_ours(job: &Object) -> bool {
    matches!(job.text(&["spec", "managedBy"]), "" | OURS)
}

/// How and when the Job ended, if it has.
#[must_use]
pub fn end(job: &Object) -> Option<(End, Timestamp)> {
    let ends = [("Complete", End::Complete), ("Failed", End::Failed)];
    let (kind, end) = ends
        .into_iter()
        .find(|(kind, _)| facts::is_true(job, kind))?;
    let condition = facts::condition(job, kind)?;
    let at = condition["lastTransitionTime"].as_str()?.parse();
    Some((end, at.unwrap_or(Timestamp::UNIX_EPOCH)))
}
