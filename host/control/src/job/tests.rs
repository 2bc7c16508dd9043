//! A Job's promises over random histories of a world that it sees late.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, HashSet, VecDeque};

use jiff::Timestamp;
use proptest::prelude::*;

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
    job.set(
        &["status"],
        status::status(&job, &Wanted::of(&job), &first, at(0)),
    );
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
        (Some(wanted::Failure::Backoff), 1)
    );
    let slow = started(job(&json!({"activeDeadlineSeconds": 60})));
    assert_eq!(plan_of(&slow, &[], 59).failure, None);
    let late = plan_of(&slow, &[], 60);
    assert_eq!(late.failure, Some(wanted::Failure::Deadline));
    let status = status::status(&slow, &Wanted::of(&slow), &late, at(60));
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
    let pod = pod(&job(&json!({})), Some(4));
    assert_eq!(decide::index(&pod), Some(4));
    assert_eq!(pod.text(&["spec", "hostname"]), "sum-4");
    let env = json!([{"name": "JOB_COMPLETION_INDEX", "value": "4"}]);
    assert_eq!(pod.get(&["spec", "containers"]).unwrap()[0]["env"], env);
    assert!(pod.finalizers().contains(&FINALIZER));
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
        }
    }

    /// What the controller does, step by step as it does it.
    fn sync(&mut self) {
        if wanted::end(&self.seen_job).is_some() {
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
        let status = status::status(&self.seen_job, &wanted, &plan, at(0));
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
        if phase == "Succeeded" {
            self.succeeded.push(
                decide::index(&pod).map_or_else(|| pod.uid().to_owned(), |index| index.to_string()),
            );
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
            self.end(0, "Succeeded");
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0_u8..8, 0_usize..6), 1..120)
}

fn act(world: &mut World, (act, which): (u8, usize)) {
    match act {
        0 | 1 => world.sync(),
        2 | 3 => world.hear(),
        4 => world.seen_job = world.job.clone(),
        5 => world.end(which, "Succeeded"),
        6 => world.end(which, "Failed"),
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
        prop_assert_eq!(wanted::end(&world.job).map(|(end, _)| end), Some(wanted::End::Complete));
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
}
