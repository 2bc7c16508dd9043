//! A Job's promises over random histories of a world that it sees late.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use jiff::Timestamp;
use proptest::prelude::*;

use osier_workloads::job::{Failure, index};

use super::*;
use crate::expectations::Expectations;
use crate::facts;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A Job with more in its spec.
fn job(spec: &Value) -> Object {
    let mut job = Object::from_value(json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "sum", "namespace": "shop", "uid": "j"},
        "spec": {"selector": {"matchLabels": {"job": "j"}}, "parallelism": 2, "completions": 3, "backoffLimit": 2,
            "template": {"metadata": {"labels": {"job": "j"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}}}))
    .unwrap();
    for (field, value) in spec.as_object().unwrap() {
        job.set(&["spec", field], value.clone());
    }
    job
}

fn pod_in(name: &str, phase: &str) -> Arc<Object> {
    let mut pod = pod(&job(&json!({})), None);
    pod.set(&["metadata", "name"], name.into());
    pod.set(&["metadata", "uid"], name.into());
    pod.set(&["status", "phase"], phase.into());
    Arc::new(pod)
}

fn plan_of(job: &Object, pods: &[Arc<Object>], second: i64) -> Plan {
    decide(&Wanted::of(job), &Done::of(job), pods, at(second))
}

#[test]
fn as_many_pods_run_as_may_and_are_needed() {
    let plan = plan_of(&job(&json!({})), &[], 0);
    assert_eq!(plan.create.len(), 2);
    let mut later = job(&json!({"parallelism": 5}));
    later.set(&["status", "succeeded"], 2.into());
    let plan = plan_of(&later, &[pod_in("a", "Running"), pod_in("b", "Running")], 0);
    assert_eq!(
        (plan.create.len(), plan.delete.len()),
        (0, 1),
        "one more success is enough"
    );
    let suspended = job(&json!({"suspend": true}));
    let plan = plan_of(&suspended, &[pod_in("a", "Running")], 0);
    assert_eq!((plan.create.len(), plan.delete.len()), (0, 1));
}

#[test]
fn a_pod_that_ended_is_written_down_then_let_go_then_counted() {
    let mut job = job(&json!({}));
    let ended = pod_in("a", "Succeeded");
    let first = plan_of(&job, &[Arc::clone(&ended)], 0);
    assert!(first.counted.is_empty(), "it is not written down yet");
    job.set(&["status"], status(&job, &Wanted::of(&job), &first, at(0)));
    let uncounted = json!(["a"]);
    assert_eq!(
        job.get(&["status", "uncountedTerminatedPods", "succeeded"]),
        Some(&uncounted)
    );
    let second = plan_of(&job, &[Arc::clone(&ended)], 1);
    assert_eq!((second.counted.len(), second.done.succeeded), (1, 0));
    let mut free = (*ended).clone();
    free.remove(&["metadata", "finalizers"]);
    let third = plan_of(&job, &[Arc::new(free)], 2);
    assert_eq!((third.done.succeeded, third.done.is_counted()), (1, true));
    let gone = plan_of(&job, &[], 2);
    assert_eq!(
        gone.done.succeeded, 1,
        "a pod that is gone counts all the same"
    );
}

#[test]
fn failures_are_waited_after_and_then_too_many() {
    let started = |mut job: Object| {
        job.set(&["status", "startTime"], at(0).to_string().into());
        job
    };
    let ended = |name: &str, second: i64| {
        let mut pod = (*pod_in(name, "Failed")).clone();
        let terminated = json!([{"state": {"terminated": {"finishedAt": at(second).to_string()}}}]);
        pod.set(&["status", "containerStatuses"], terminated);
        Arc::new(pod)
    };
    let one = started(job(&json!({})));
    let plan = plan_of(&one, &[ended("a", 10)], 15);
    assert_eq!(
        (plan.create.len(), plan.look_again),
        (0, Some(Duration::from_secs(5)))
    );
    assert_eq!(plan_of(&one, &[ended("a", 10)], 20).create.len(), 2);
    let two = plan_of(&one, &[ended("a", 10), ended("b", 20)], 25);
    assert_eq!(
        two.look_again,
        Some(Duration::from_secs(15)),
        "twice as long"
    );
    let mut many = one.clone();
    many.set(&["status", "failed"], 3.into());
    let plan = plan_of(&many, &[pod_in("r", "Running")], 25);
    assert_eq!(
        (plan.failure, plan.delete.len()),
        (Some(Failure::Backoff), 1)
    );
    let slow = started(job(&json!({"activeDeadlineSeconds": 60})));
    assert_eq!(plan_of(&slow, &[], 59).failure, None);
    let late = plan_of(&slow, &[], 60);
    assert_eq!(late.failure, Some(Failure::Deadline));
    let status = super::status(&slow, &Wanted::of(&slow), &late, at(60));
    let reasons: Vec<&Value> = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|said| &said["reason"])
        .collect();
    assert_eq!(
        reasons,
        ["DeadlineExceeded", "DeadlineExceeded"],
        "FailureTarget and Failed"
    );
}

#[test]
fn an_index_is_told_to_its_pod() {
    let place = Place {
        index: 4,
        failed: None,
    };
    let pod = pod(&job(&json!({})), Some(place));
    assert_eq!(index(&pod), Some(4));
    assert_eq!(pod.text(&["spec", "hostname"]), "sum-4");
    let env = json!([{"name": "JOB_COMPLETION_INDEX", "value": "4"}]);
    assert_eq!(pod.get(&["spec", "containers"]).unwrap()[0]["env"], env);
    assert!(pod.finalizers().contains(&FINALIZER));
}

fn failed_with(name: &str, code: i32, place: Option<Place>) -> Arc<Object> {
    let mut pod = pod(&job(&json!({})), place);
    pod.set(&["metadata", "name"], name.into());
    pod.set(&["metadata", "uid"], name.into());
    let ended = json!({"exitCode": code, "finishedAt": at(-5000).to_string()});
    let main = json!([{"name": "c", "state": {"terminated": ended}}]);
    pod.set(
        &["status"],
        json!({"phase": "Failed", "containerStatuses": main}),
    );
    Arc::new(pod)
}

#[test]
fn a_failed_pod_means_what_its_policy_says() {
    let rules = json!([{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [7]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]);
    let job = job(&json!({"podFailurePolicy": {"rules": rules}, "backoffLimit": 0}));
    let ignored = plan_of(&job, &[failed_with("a", 7, None)], 0);
    assert_eq!((ignored.failure, ignored.done.all_failed()), (None, 0));
    assert_eq!(
        (ignored.counted.len(), ignored.create.len()),
        (1, 2),
        "it goes, and others come"
    );
    let counts = plan_of(&job, &[failed_with("a", 1, None)], 0);
    assert_eq!(counts.failure, Some(Failure::Backoff));
    let fatal = plan_of(
        &job,
        &[failed_with("a", 42, None), pod_in("b", "Running")],
        0,
    );
    let status = super::status(&job, &Wanted::of(&job), &fatal, at(0));
    let condition = &status["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["reason"]),
        (&json!("FailureTarget"), &json!("PodFailurePolicy"))
    );
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("exit code 42"),
        "{condition}"
    );
    assert_eq!(fatal.delete.len(), 1, "nothing else is to run");
    let mut later = job.clone();
    later.set(&["status"], status);
    let after = plan_of(&later, &[], 0);
    assert_eq!(
        after.failure, fatal.failure,
        "it is remembered when the pod is gone"
    );
}

#[test]
fn pods_on_their_way_out_are_replaced_when_they_have_ended() {
    let mut leaving = (*pod_in("a", "Running")).clone();
    leaving.set(&["metadata", "deletionTimestamp"], at(0).to_string().into());
    leaving.set(&["spec", "nodeName"], "n".into());
    let made = |spec: Value, pod: &Object| {
        let plan = plan_of(&job(&spec), &[Arc::new(pod.clone())], 0);
        (plan.create.len(), plan.done.all_failed())
    };
    assert_eq!(made(json!({}), &leaving), (2, 1));
    let patient = json!({"podReplacementPolicy": "Failed"});
    assert_eq!(made(patient.clone(), &leaving), (1, 0));
    let mut forced = leaving.clone();
    forced.set(&["metadata", "deletionGracePeriodSeconds"], 0.into());
    assert_eq!(
        made(patient.clone(), &forced),
        (2, 1),
        "nobody will say how it ended"
    );
    leaving.set(
        &["status", "containerStatuses"],
        json!([{"state": {"terminated": {"finishedAt": at(-5000).to_string()}}}]),
    );
    leaving.set(&["status", "phase"], "Failed".into());
    assert_eq!(made(patient, &leaving), (2, 1));
}

#[test]
fn the_last_pod_of_an_index_stays_until_the_next_one_is_there() {
    let mut job = job(
        &json!({"completionMode": "Indexed", "completions": 2, "backoffLimitPerIndex": 1, "backoffLimit": 100}),
    );
    let first = failed_with(
        "a",
        1,
        Some(Place {
            index: 0,
            failed: Some((0, 0)),
        }),
    );
    job.set(
        &["status", "uncountedTerminatedPods"],
        json!({"failed": ["a"]}),
    );
    let plan = plan_of(&job, &[Arc::clone(&first)], 0);
    assert!(
        plan.counted.is_empty(),
        "who else knows how often index 0 failed?"
    );
    let next = Place {
        index: 0,
        failed: Some((1, 0)),
    };
    assert_eq!(
        plan.create,
        [
            Some(next),
            Some(Place {
                index: 1,
                failed: Some((0, 0))
            })
        ]
    );
    let mut second = (*failed_with("b", 1, Some(next))).clone();
    second.set(&["status", "phase"], "Running".into());
    let plan = plan_of(&job, &[Arc::clone(&first), Arc::new(second)], 0);
    assert_eq!(plan.counted.len(), 1);
    let again = failed_with("b", 1, Some(next));
    let plan = plan_of(&job, &[first, again], 0);
    assert_eq!(plan.done.failed_indexes, [0].into());
    job.set(&["spec", "maxFailedIndexes"], 0.into());
    job.set(&["status"], json!({"failedIndexes": "0"}));
    assert_eq!(plan_of(&job, &[], 0).failure, Some(Failure::TooManyIndexes));
    job.set(&["spec", "maxFailedIndexes"], 1.into());
    assert_eq!(plan_of(&job, &[], 0).failure, None);
    job.set(
        &["status"],
        json!({"failedIndexes": "0", "completedIndexes": "1", "succeeded": 1}),
    );
    assert_eq!(plan_of(&job, &[], 0).failure, Some(Failure::Indexes));
}

#[test]
fn a_job_of_somebody_else_is_let_be() {
    assert!(is_ours(&job(&json!({}))));
    assert!(!is_ours(&job(&json!({"managedBy": "acme.com/queue"}))));
}

/// The real world, and the controller's late view of it.
struct World {
    job: Object,
    seen_job: Object,
    real: Vec<Arc<Object>>,
    seen: Vec<Arc<Object>>,
    news: VecDeque<Change>,
    expectations: Expectations,
    revision: u64,
    /// Indexes, or names, of the pods that really succeeded.
    succeeded: Vec<String>,
    /// How often pods of an index really ended badly.
    failed: BTreeMap<usize, usize>,
}

impl World {
    fn new(job: Object) -> Self {
        Self {
            seen_job: job.clone(),
            job,
            real: vec![],
            seen: vec![],
            news: VecDeque::new(),
            expectations: Expectations::default(),
            revision: 1,
            succeeded: vec![],
            failed: BTreeMap::new(),
        }
    }

    /// What the controller does, step by step as it does it.
    fn sync(&mut self) {
        if end(&self.seen_job).is_some() {
            return;
        }
        let wanted = Wanted::of(&self.seen_job);
        let fulfilled = self.expectations.fulfilled("j", at(0));
        let plan = decide(&wanted, &Done::of(&self.seen_job), &self.seen, at(0));
        for pod in plan.counted.iter().chain(&plan.delete) {
            self.change(pod.uid(), |pod| {
                drop(pod.remove(&["metadata", "finalizers"]))
            });
        }
        if fulfilled && !(plan.create.is_empty() && plan.delete.is_empty()) {
            let going: HashSet<String> =
                plan.delete.iter().map(|pod| pod.uid().to_owned()).collect();
            self.expectations
                .order("j", plan.create.len(), going, at(0));
            for index in &plan.create {
                self.revision += 1;
                let mut pod = pod(&self.job, *index);
                let name = format!("p{}", self.revision);
                pod.set(&["metadata", "name"], name.as_str().into());
                pod.set(&["metadata", "uid"], name.into());
                pod.set(&["status", "phase"], "Running".into());
                self.real.push(Arc::new(pod.clone()));
                self.news.push_back(Change::Added(Arc::new(pod)));
            }
            for pod in &plan.delete {
                self.delete(pod.uid());
            }
        }
        let status = super::status(&self.seen_job, &wanted, &plan, at(0));
        if self.seen_job.resource_version() == self.job.resource_version()
            && !covers(self.job.get(&["status"]), &status)
        {
            self.revision += 1;
            self.job.set(&["status"], status);
            self.job.set_resource_version(self.revision);
        }
    }

    fn change(&mut self, uid: &str, change: impl FnOnce(&mut Object)) {
        let Some(position) = self.real.iter().position(|pod| pod.uid() == uid) else {
            return;
        };
        let old = Arc::clone(&self.real[position]);
        let mut new = (*old).clone();
        change(&mut new);
        let new = Arc::new(new);
        if new.deletion_timestamp().is_some() && new.finalizers().is_empty() {
            self.real.remove(position);
            self.news.push_back(Change::Deleted(new));
        } else {
            self.real[position] = Arc::clone(&new);
            self.news.push_back(Change::Modified { old, new });
        }
    }

    /// Somebody deletes a pod: it goes when it has no finalizers.
    fn delete(&mut self, uid: &str) {
        let Some(position) = self.real.iter().position(|pod| pod.uid() == uid) else {
            return;
        };
        let pod = Arc::clone(&self.real[position]);
        if !pod.finalizers().is_empty() && facts::is_active(&pod) {
            self.fails(&pod);
        }
        if self.real[position].finalizers().is_empty() {
            let pod = self.real.remove(position);
            self.news.push_back(Change::Deleted(pod));
        } else {
            self.change(uid, |pod| {
                pod.set(&["metadata", "deletionTimestamp"], at(0).to_string().into())
            });
        }
    }

    fn end(&mut self, which: usize, phase: &str) {
        let running = |pod: &&Arc<Object>| facts::is_active(pod);
        let Some(pod) = self.real.iter().filter(running).nth(which).cloned() else {
            return;
        };
        // Long ago, so that no failure is waited after.
        let terminated = json!([{"state": {"terminated": {"finishedAt": at(-5000).to_string()}}}]);
        self.change(pod.uid(), |pod| {
            pod.set(&["status", "phase"], phase.into());
            pod.set(&["status", "containerStatuses"], terminated);
        });
        if phase == "Failed" {
            self.fails(&pod);
        }
        if phase == "Succeeded" {
            self.succeeded
                .push(index(&pod).map_or_else(|| pod.uid().to_owned(), |index| index.to_string()));
        }
    }

    fn fails(&mut self, pod: &Object) {
        if let Some(index) = index(pod) {
            *self.failed.entry(index).or_default() += 1;
        }
    }

    /// A pod that is on its way out has ended.
    fn finish(&mut self, which: usize) {
        let leaving =
            |pod: &&Arc<Object>| pod.deletion_timestamp().is_some() && !facts::is_finished(pod);
        let pod = self.real.iter().filter(leaving).nth(which).cloned();
        if let Some(pod) = pod {
            self.change(pod.uid(), |pod| {
                pod.set(&["status", "phase"], "Failed".into())
            });
        }
    }

    fn hear(&mut self) {
        let Some(change) = self.news.pop_front() else {
            return;
        };
        self.expectations.note(&change);
        let pod = Arc::clone(change.object());
        self.seen.retain(|seen| seen.uid() != pod.uid());
        if !change.is_deleted() {
            self.seen.push(pod);
        }
    }

    fn active(&self) -> usize {
        self.real.iter().filter(|pod| facts::is_active(pod)).count()
    }

    fn settle(&mut self) {
        for _ in 0..60 {
            while !self.news.is_empty() {
                self.hear();
            }
            self.seen_job = self.job.clone();
            self.sync();
            self.finish(0);
            self.end(0, "Succeeded");
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0_u8..9, 0_usize..6), 1..120)
}

fn act(world: &mut World, (act, which): (u8, usize)) {
    match act {
        0 | 1 => world.sync(),
        2 | 3 => world.hear(),
        4 => world.seen_job = world.job.clone(),
        5 => world.end(which, "Succeeded"),
        6 => world.end(which, "Failed"),
        7 => world.finish(which),
        _ => {
            if let Some(uid) = world.real.get(which).map(|pod| pod.uid().to_owned()) {
                world.delete(&uid);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever ends, is deleted, or is heard of late: no more pods run than may, every success is
    /// counted once, and in the end there are as many as asked for.
    #[test]
    fn every_success_counts_once(acts in acts(), parallelism in 1_usize..5, completions in 1_usize..7) {
        let spec = json!({"parallelism": parallelism, "completions": completions, "backoffLimit": 10_000});
        let mut world = World::new(job(&spec));
        for one in acts {
            act(&mut world, one);
            prop_assert!(world.active() <= parallelism);
        }
        world.settle();
        prop_assert_eq!(end(&world.job).map(|(end, _)| end), Some(End::Complete));
        prop_assert_eq!(Done::of(&world.job).succeeded, world.succeeded.len());
        prop_assert!(world.succeeded.len() >= completions);
        prop_assert!(world.real.iter().all(|pod| pod.finalizers().is_empty()));
    }

    /// Of an Indexed Job every index is done, and none counts twice.
    #[test]
    fn every_index_is_done_once(acts in acts(), parallelism in 1_usize..5, completions in 1_usize..7) {
        let spec = json!({"parallelism": parallelism, "completions": completions, "backoffLimit": 10_000, "completionMode": "Indexed"});
        let mut world = World::new(job(&spec));
        for one in acts {
            act(&mut world, one);
            prop_assert!(world.active() <= parallelism);
        }
        world.settle();
        let done = Done::of(&world.job);
        prop_assert_eq!(&done.indexes, &(0..completions).collect::<BTreeSet<_>>());
        prop_assert_eq!(done.succeeded, completions);
        let really: BTreeSet<String> = world.succeeded.iter().cloned().collect();
        prop_assert_eq!(really.len(), completions);
    }

    /// Where failures are counted by index, an index fails when it has failed once more than it may, not sooner and not later, and
    /// the Job ends when all its indexes are through.
    #[test]
    fn an_index_fails_by_its_own_limit(acts in acts(), parallelism in 1_usize..5, completions in 1_usize..7, limit in 0_usize..3, patient in any::<bool>()) {
        let replace = if patient { "Failed" } else { "TerminatingOrFailed" };
        let spec = json!({"parallelism": parallelism, "completions": completions, "backoffLimit": 10_000, "completionMode": "Indexed",
            "backoffLimitPerIndex": limit, "podReplacementPolicy": replace});
        let mut world = World::new(job(&spec));
        for one in acts {
            act(&mut world, one);
            prop_assert!(world.active() <= parallelism);
        }
        world.settle();
        let done = Done::of(&world.job);
        prop_assert!(done.indexes.is_disjoint(&done.failed_indexes));
        let through: BTreeSet<usize> = done.indexes.union(&done.failed_indexes).copied().collect();
        prop_assert_eq!(through, (0..completions).collect::<BTreeSet<_>>());
        for (index, failed) in &world.failed {
            prop_assert!(*failed <= limit + 1, "index {} failed {} times", index, failed);
            prop_assert_eq!(done.failed_indexes.contains(index), *failed > limit);
        }
        let wanted = if done.failed_indexes.is_empty() { End::Complete } else { End::Failed };
        prop_assert_eq!(end(&world.job).map(|(end, _)| end), Some(wanted));
        prop_assert!(world.real.iter().all(|pod| pod.finalizers().is_empty()));
    }

    /// A Job that has succeeded by its policy ends well, with as many as the policy asks for.
    #[test]
    fn enough_is_enough(acts in acts(), parallelism in 1_usize..5, count in 1_usize..4) {
        let spec = json!({"parallelism": parallelism, "completions": 6, "backoffLimit": 10_000, "completionMode": "Indexed",
            "successPolicy": {"rules": [{"succeededCount": count}]}});
        let mut world = World::new(job(&spec));
        for one in acts {
            act(&mut world, one);
            prop_assert!(world.active() <= parallelism);
        }
        world.settle();
        prop_assert_eq!(end(&world.job).map(|(end, _)| end), Some(End::Complete));
        prop_assert!(Done::of(&world.job).indexes.len() >= count);
        prop_assert!(world.real.iter().all(|pod| pod.finalizers().is_empty()));
    }
}
