//! What a Job wants done about its pods, and what its status says. Pure: a function of the Job, the
//! pods of its namespace, and the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::Object;

use super::failures::Verdict;
use super::wanted::{Done, Failure, Success, Wanted};
use crate::{Claim, facts};

/// A pod bears this until it is counted.
pub const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// The index of a pod: a label and an annotation.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// How often the pod's index had failed when it was made: an annotation, where failures are counted by index.
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often it had failed for nothing.
pub const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// Pods are created or deleted at most this many at a time.
const BURST: usize = 500;
/// The wait after a failed pod, doubled by each failure in a row up to the longest.
const BACKOFF: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(600);

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The index.
    pub index: usize,
    /// How often it has failed, and how often for nothing, where failures are counted by index.
    pub failed: Option<(usize, usize)>,
}

/// What to do, and what to report.
#[derive(Debug, Default)]
pub struct Plan {
    /// Whose pods are whose.
    pub claim: Claim,
    /// Pods that are missing; of an Indexed Job with their indexes.
    pub create: Vec<Option<Place>>,
    /// Pods that are too many.
    pub delete: Vec<Arc<Object>>,
    /// Pods whose end is written down in the status of now: they may go.
    pub counted: Vec<Arc<Object>>,
    /// What is done, with what is written down now.
    pub done: Done,
    /// Pods that run or will.
    pub active: usize,
    /// Those that are ready.
    pub ready: usize,
    /// Those on their way out.
    pub terminating: usize,
    /// The Job fails.
    pub failure: Option<Failure>,
    /// What was asked for has succeeded.
    pub success: Option<Success>,
    /// When something will be due that no change tells of.
    pub look_again: Option<Duration>,
}

/// Decides for a Job that has not ended.
#[must_use]
pub fn decide(wanted: &Wanted, done: &Done, pods: &[Arc<Object>], now: Timestamp) -> Plan {
    let mut plan = Plan {
        claim: wanted.owner.claim(pods),
        done: done.clone(),
        ..Plan::default()
    };
    let mine = plan.claim.mine.clone();
    let verdict = note_ends(wanted, &mine, &mut plan);
    let active: Vec<&Arc<Object>> = mine.iter().filter(|pod| facts::is_active(pod)).collect();
    plan.active = active.len();
    plan.ready = active
        .iter()
        .filter(|pod| facts::is_true(pod, "Ready"))
        .count();
    plan.terminating = mine.iter().filter(|pod| is_leaving(pod)).count();
    if done.succeeding.is_none() {
        let failing = done.failing.clone().or(verdict);
        plan.failure = failing.or_else(|| failure(wanted, &plan.done, &active, now));
    }
    plan.success = done
        .succeeding
        .clone()
        .or_else(|| success(wanted, &plan.done, active.is_empty()));
    if wanted.owner.leaving {
        return plan;
    }
    if plan.failure.is_some() || plan.success.is_some() || wanted.suspended {
        plan.delete = active.into_iter().cloned().collect();
        return plan;
    }
    plan.look_again = time_left(wanted, &plan.done, now);
    let witnesses = witnesses(wanted, &plan.done, &mine);
    // How often an index has failed is known by its last pod only, until the next one is there.
    let is_witness = |pod: &Object| witnesses.values().any(|last| last.uid() == pod.uid());
    plan.counted.retain(|pod| !is_witness(pod));
    let scene = Scene {
        wanted,
        now,
        mine: &mine,
        witnesses: &witnesses,
    };
    scene.balance(active, &mut plan);
    plan
}

/// Writes down the pods that have ended, and finds those that are written down already. Tells whether one of them fails the Job.
fn note_ends(wanted: &Wanted, mine: &[Arc<Object>], plan: &mut Plan) -> Option<Failure> {
    let mut tracked = BTreeSet::new();
    let mut verdict = None;
    for pod in mine
        .iter()
        .filter(|pod| pod.finalizers().contains(&FINALIZER))
    {
        tracked.insert(pod.uid());
        if !is_over(wanted, pod) {
            continue;
        }
        let known = plan.done.uncounted_succeeded.contains(pod.uid())
            || plan.done.uncounted_failed.contains(pod.uid());
        if known {
            plan.counted.push(Arc::clone(pod));
        } else if facts::phase(pod) == "Succeeded" {
            note_success(wanted, pod, plan);
        } else {
            let failed = note_failure(wanted, pod, plan);
            verdict = verdict.or(failed);
        }
    }
    let settle = |uids: &mut BTreeSet<String>, number: &mut usize| {
        let before = uids.len();
        uids.retain(|uid| tracked.contains(uid.as_str()));
        *number += before - uids.len();
    };
    let done = &mut plan.done;
    settle(&mut done.uncounted_succeeded, &mut done.succeeded);
    settle(&mut done.uncounted_failed, &mut done.failed);
    verdict
}

fn note_success(wanted: &Wanted, pod: &Arc<Object>, plan: &mut Plan) {
    if let Some(index) = index(pod).filter(|_| wanted.indexed) {
        let asked = wanted.completions.is_some_and(|count| index < count);
        if !asked || !plan.done.indexes.insert(index) {
            // Another pod has done it: this one counts for nothing and may go.
            plan.counted.push(Arc::clone(pod));
            return;
        }
    }
    plan.done.uncounted_succeeded.insert(pod.uid().to_owned());
}

fn note_failure(wanted: &Wanted, pod: &Arc<Object>, plan: &mut Plan) -> Option<Failure> {
    let verdict = wanted.failures.judge(pod);
    if verdict == Verdict::Ignored {
        plan.counted.push(Arc::clone(pod));
        return None;
    }
    plan.done.uncounted_failed.insert(pod.uid().to_owned());
    let spent = wanted
        .index_limit
        .is_some_and(|limit| failed(pod).0 >= limit);
    let asked = |index: &usize| wanted.completions.is_some_and(|count| *index < count);
    if let Some(index) = index(pod).filter(asked)
        && wanted.index_limit.is_some()
        && (spent || verdict == Verdict::FailsIndex)
        && !plan.done.indexes.contains(&index)
    {
        plan.done.failed_indexes.insert(index);
    }
    match verdict {
        Verdict::FailsJob(words) => Some(Failure::Policy(words)),
        _ => None,
    }
}

/// It has ended, or counts as if it had: nobody will say more of a pod that is on its way out and has no node, or no time left.
fn is_over(wanted: &Wanted, pod: &Object) -> bool {
    let grace = pod.get(&["metadata", "deletionGracePeriodSeconds"]);
    let silent = || facts::node(pod).is_empty() || grace.is_some_and(|grace| grace == 0);
    let leaving = pod.deletion_timestamp().is_some();
    facts::is_finished(pod) || (leaving && (!wanted.patient || silent()))
}

/// How often the pod's index had failed when it was made, and how often for nothing.
fn failed(pod: &Object) -> (usize, usize) {
    let number = |name| pod.annotation(name).and_then(|text| text.parse().ok());
    (number(FAILURES).unwrap_or(0), number(IGNORED).unwrap_or(0))
}

/// By index the last pod that failed, where its failures are counted and no other pod tells how many there were.
fn witnesses<'a>(
    wanted: &Wanted,
    done: &Done,
    mine: &'a [Arc<Object>],
) -> BTreeMap<usize, &'a Arc<Object>> {
    let mut last = BTreeMap::new();
    if wanted.index_limit.is_none() {
        return last;
    }
    let open = |index: &usize| is_open(done, *index);
    for pod in mine {
        let Some(index) = index(pod).filter(open) else {
            continue;
        };
        let counts = |pod: &Object| {
            let (failures, ignored) = failed(pod);
            failures + ignored
        };
        let before = last
            .get(&index)
            .is_some_and(|last: &&Arc<Object>| counts(last) >= counts(pod));
        if !before {
            last.insert(index, pod);
        }
    }
    last.retain(|_, pod| pod.finalizers().contains(&FINALIZER) && is_over(wanted, pod));
    last
}

/// It is on its way out and has not ended.
fn is_leaving(pod: &Object) -> bool {
    pod.deletion_timestamp().is_some() && !facts::is_finished(pod)
}

/// The completion index of a pod of an Indexed Job.
#[must_use]
pub fn index(pod: &Object) -> Option<usize> {
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
    if left.is_some_and(|left| left.is_zero()) {
        return Some(Failure::Deadline);
    }
    let failed = done.failed_indexes.len();
    if wanted.most_failed.is_some_and(|most| failed > most) {
        return Some(Failure::TooManyIndexes);
    }
    let through = done.indexes.len() + failed;
    let is_through = wanted.completions.is_some_and(|count| through >= count);
    (failed > 0 && is_through).then_some(Failure::Indexes)
}

/// Whether what was asked for has succeeded, by a rule or because all of it has.
fn success(wanted: &Wanted, done: &Done, idle: bool) -> Option<Success> {
    if let Some(words) = wanted.successes.met(&done.indexes) {
        return Some(Success::Policy(words));
    }
    let all = match wanted.completions {
        Some(completions) => done.all_succeeded() >= completions,
        None => done.all_succeeded() > 0 && idle,
    };
    all.then_some(Success::Completions)
}

/// What is left of `activeDeadlineSeconds`.
fn time_left(wanted: &Wanted, done: &Done, now: Timestamp) -> Option<Duration> {
    let passed = now.duration_since(done.started?);
    let passed = Duration::try_from(passed).unwrap_or_default();
    Some(wanted.deadline?.saturating_sub(passed))
}

/// What a Job that goes on has.
struct Scene<'a> {
    wanted: &'a Wanted,
    now: Timestamp,
    mine: &'a [Arc<Object>],
    witnesses: &'a BTreeMap<usize, &'a Arc<Object>>,
}

impl Scene<'_> {
    /// Creates what is missing and deletes what is too much.
    fn balance(&self, active: Vec<&Arc<Object>>, plan: &mut Plan) {
        let wanted = self.wanted;
        let through = plan.done.all_succeeded() + plan.done.failed_indexes.len();
        let target = match wanted.completions {
            Some(completions) => completions.saturating_sub(through).min(wanted.parallelism),
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
        let awaited = self.awaited();
        let missing = target.saturating_sub(kept.len() + awaited.len()).min(BURST);
        if missing > 0 {
            self.create(missing, (&kept, &awaited), plan);
        }
    }

    /// Pods on their way out that are not replaced before they have ended.
    fn awaited(&self) -> Vec<&Arc<Object>> {
        let waits = |pod: &&Arc<Object>| {
            self.wanted.patient && pod.deletion_timestamp().is_some() && !is_over(self.wanted, pod)
        };
        self.mine.iter().filter(waits).collect()
    }

    fn create(
        &self,
        missing: usize,
        (kept, awaited): (&[&Arc<Object>], &[&Arc<Object>]),
        plan: &mut Plan,
    ) {
        let by_index = self.wanted.index_limit.is_some();
        if !by_index && let Some(wait) = backoff(self.mine, self.now) {
            return look_in(plan, wait);
        }
        if !self.wanted.indexed {
            plan.create = vec![None; missing];
            return;
        }
        let there = kept.iter().chain(awaited);
        let taken: BTreeSet<usize> = there.filter_map(|pod| index(pod)).collect();
        let open = 0..self.wanted.completions.unwrap_or(0);
        let done = plan.done.clone();
        let open = open.filter(|index| is_open(&done, *index) && !taken.contains(index));
        for index in open {
            if plan.create.len() == missing {
                break;
            }
            let last = self.witnesses.get(&index);
            match last.and_then(|pod| index_backoff(pod, self.now)) {
                Some(wait) => look_in(plan, wait),
                None => plan.create.push(Some(Place {
                    index,
                    failed: by_index.then(|| self.failed(index)),
                })),
            }
        }
    }

    /// What the next pod of an index is told of those before it.
    fn failed(&self, index: usize) -> (usize, usize) {
        let Some(last) = self.witnesses.get(&index) else {
            return (0, 0);
        };
        let (failures, ignored) = failed(last);
        match self.wanted.failures.judge(last) {
            Verdict::Ignored => (failures, ignored + 1),
            _ => (failures + 1, ignored),
        }
    }
}

fn look_in(plan: &mut Plan, wait: Duration) {
    plan.look_again = Some(plan.look_again.map_or(wait, |other| other.min(wait)));
}

fn is_open(done: &Done, index: usize) -> bool {
    !done.indexes.contains(&index) && !done.failed_indexes.contains(&index)
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
        if let Some(index) = index(pod).filter(|index| is_open(done, *index)) {
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
    waited((*last, failures), now)
}

/// The same for one index, after the last of its pods that failed.
fn index_backoff(last: &Object, now: Timestamp) -> Option<Duration> {
    let (failures, ignored) = failed(last);
    waited((facts::ended(last), failures + ignored + 1), now)
}

/// What is left of the wait after the last of so many failures.
fn waited((last, failures): (Timestamp, usize), now: Timestamp) -> Option<Duration> {
    let doublings = u32::try_from(failures - 1).unwrap_or(u32::MAX).min(10);
    let wait = (BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
    let passed = Duration::try_from(now.duration_since(last)).unwrap_or_default();
    wait.checked_sub(passed).filter(|left| !left.is_zero())
}
