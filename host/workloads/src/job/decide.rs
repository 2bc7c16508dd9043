//! What a Job wants done about its pods, and what its status says. Pure: a function of the Job, the
//! pods of its namespace, and the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;

use super::wanted::{Done, Failure, Wanted};
use crate::facts;
use crate::ownership::Claim;

/// A pod bears this until it is counted.
pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Pods are created or deleted at most this many at a time.
const BURST: usize = 500;
/// The wait after a failed pod, doubled by each failure in a row up to the longest.
const BACKOFF: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(600);

/// What to do, and what to report.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) claim: Claim,
    /// Pods that are missing; of an Indexed Job with their indexes.
    pub(super) create: Vec<Option<usize>>,
    pub(super) delete: Vec<Arc<Object>>,
    /// Pods whose end is written down in the status of now: they may go.
    pub(super) counted: Vec<Arc<Object>>,
    pub(super) done: Done,
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) failure: Option<Failure>,
    /// All that was asked for has succeeded.
    pub(super) succeeded: bool,
    pub(super) look_again: Option<Duration>,
}

/// Decides for a Job that has not ended.
pub(super) fn decide(wanted: &Wanted, done: &Done, pods: &[Arc<Object>], now: Timestamp) -> Plan {
    let mut plan = Plan {
        claim: wanted.owner.claim(pods),
        done: done.clone(),
        ..Plan::default()
    };
    let mine = plan.claim.mine.clone();
    note_ends(wanted, &mine, &mut plan);
    let active: Vec<&Arc<Object>> = mine.iter().filter(|pod| facts::is_active(pod)).collect();
    plan.active = active.len();
    plan.ready = active
        .iter()
        .filter(|pod| facts::is_true(pod, "Ready"))
        .count();
    plan.terminating = mine.iter().filter(|pod| is_leaving(pod)).count();
    plan.failure = done.failing.or(failure(wanted, &plan.done, &active, now));
    plan.succeeded = match wanted.completions {
        Some(completions) => plan.done.all_succeeded() >= completions,
        None => plan.done.all_succeeded() > 0 && active.is_empty(),
    };
    if wanted.owner.leaving {
        return plan;
    }
    if plan.failure.is_some() || plan.succeeded || wanted.suspended {
        plan.delete = active.into_iter().cloned().collect();
        return plan;
    }
    plan.look_again = time_left(wanted, &plan.done, now);
    balance(wanted, (&mine, active), now, &mut plan);
    plan
}

/// Writes down the pods that have ended, and finds those that are written down already.
fn note_ends(wanted: &Wanted, mine: &[Arc<Object>], plan: &mut Plan) {
    let done = &mut plan.done;
    let mut tracked = BTreeSet::new();
    for pod in mine
        .iter()
        .filter(|pod| pod.finalizers().contains(&FINALIZER))
    {
        tracked.insert(pod.uid());
        let succeeded = facts::phase(pod) == "Succeeded";
        if !succeeded && facts::is_active(pod) {
            continue;
        }
        let known = done.uncounted_succeeded.contains(pod.uid())
            || done.uncounted_failed.contains(pod.uid());
        if known {
            plan.counted.push(Arc::clone(pod));
            continue;
        }
        match (succeeded, index(pod)) {
            (true, Some(index)) if wanted.indexed => {
                let asked = wanted.completions.is_some_and(|count| index < count);
                if !asked || !done.indexes.insert(index) {
                    // Another pod has done it: this one counts for nothing and may go.
                    plan.counted.push(Arc::clone(pod));
                    continue;
                }
                done.uncounted_succeeded.insert(pod.uid().to_owned());
            }
            (true, _) => drop(done.uncounted_succeeded.insert(pod.uid().to_owned())),
            (false, _) => drop(done.uncounted_failed.insert(pod.uid().to_owned())),
        }
    }
    let settle = |uids: &mut BTreeSet<String>, number: &mut usize| {
        let before = uids.len();
        uids.retain(|uid| tracked.contains(uid.as_str()));
        *number += before - uids.len();
    };
    settle(&mut done.uncounted_succeeded, &mut done.succeeded);
    settle(&mut done.uncounted_failed, &mut done.failed);
}

/// It is on its way out and has not ended.
fn is_leaving(pod: &Object) -> bool {
    pod.deletion_timestamp().is_some() && !facts::is_finished(pod)
}

/// The completion index of a pod of an Indexed Job.
pub(super) fn index(pod: &Object) -> Option<usize> {
    pod.label(INDEX)?.parse().ok()
}

fn failure(
    wanted: &Wanted,
    done: &Done,
    active: &[&Arc<Object>],
    now: Timestamp,
) -> Option<Failure> {
    let restarts: u64 = active.iter().map(|pod| facts::restarts(pod)).sum();
    let restarts = usize::try_from(restarts).unwrap_or(usize::MAX);
    let restarted = wanted.restarts && restarts > 0 && restarts >= wanted.backoff_limit;
    if restarted || done.all_failed() > wanted.backoff_limit {
        return Some(Failure::Backoff);
    }
    let left = time_left(wanted, done, now);
    left.is_some_and(|left| left.is_zero())
        .then_some(Failure::Deadline)
}

/// What is left of `activeDeadlineSeconds`.
fn time_left(wanted: &Wanted, done: &Done, now: Timestamp) -> Option<Duration> {
    let passed = now.duration_since(done.started?);
    let passed = Duration::try_from(passed).unwrap_or_default();
    Some(wanted.deadline?.saturating_sub(passed))
}

/// Creates what is missing and deletes what is too much.
fn balance(
    wanted: &Wanted,
    (mine, active): (&[Arc<Object>], Vec<&Arc<Object>>),
    now: Timestamp,
    plan: &mut Plan,
) {
    let target = match wanted.completions {
        Some(completions) => {
            let left = completions.saturating_sub(plan.done.all_succeeded());
            left.min(wanted.parallelism)
        }
        None if plan.done.all_succeeded() > 0 => active.len().min(wanted.parallelism),
        None => wanted.parallelism,
    };
    let (kept, surplus) = if wanted.indexed {
        once_each(&plan.done, active)
    } else {
        (active, Vec::new())
    };
    plan.delete = surplus.into_iter().cloned().collect();
    let mut rank = kept.clone();
    rank.sort_by_key(|pod| {
        let ready = facts::ready_since(pod);
        let place = (!facts::node(pod).is_empty(), ready.is_some());
        (place, Reverse(facts::created(pod)), pod.name().to_owned())
    });
    let beyond = kept.len().saturating_sub(target);
    plan.delete.extend(rank.into_iter().take(beyond).cloned());
    let missing = target.saturating_sub(kept.len()).min(BURST);
    if missing == 0 {
        return;
    }
    if let Some(wait) = backoff(mine, now) {
        plan.look_again = Some(plan.look_again.map_or(wait, |other| other.min(wait)));
        return;
    }
    plan.create = if wanted.indexed {
        let taken: BTreeSet<usize> = kept.iter().filter_map(|pod| index(pod)).collect();
        let open = 0..wanted.completions.unwrap_or(0);
        open.filter(|index| !plan.done.indexes.contains(index) && !taken.contains(index))
            .take(missing)
            .map(Some)
            .collect()
    } else {
        vec![None; missing]
    };
}

/// Of the active pods of an Indexed Job one for each index that is still open; the others are too
/// many.
fn once_each<'a>(
    done: &Done,
    active: Vec<&'a Arc<Object>>,
) -> (Vec<&'a Arc<Object>>, Vec<&'a Arc<Object>>) {
    let mut first: BTreeMap<usize, &str> = BTreeMap::new();
    let mut oldest = active.clone();
    oldest.sort_by_key(|pod| (facts::created(pod), pod.name().to_owned()));
    for pod in oldest {
        if let Some(index) = index(pod).filter(|index| !done.indexes.contains(index)) {
            first.entry(index).or_insert(pod.uid());
        }
    }
    let keeps =
        |pod: &&Arc<Object>| index(pod).is_some_and(|index| first.get(&index) == Some(&pod.uid()));
    active.into_iter().partition(keeps)
}

/// How long to wait before another pod, because of those that failed in a row at the end.
fn backoff(mine: &[Arc<Object>], now: Timestamp) -> Option<Duration> {
    let ended = mine.iter().filter(|pod| facts::is_finished(pod));
    let mut ended: Vec<(Timestamp, bool)> = ended
        .map(|pod| (facts::ended(pod), facts::phase(pod) == "Failed"))
        .collect();
    ended.sort();
    let failures = ended.iter().rev().take_while(|(_, failed)| *failed).count();
    let (last, _) = ended.last().filter(|_| failures > 0)?;
    let doublings = u32::try_from(failures - 1).unwrap_or(u32::MAX).min(10);
    let wait = (BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
    let passed = Duration::try_from(now.duration_since(*last)).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}
