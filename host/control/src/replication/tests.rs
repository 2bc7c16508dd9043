//! The replication controller's promises over random histories of a world that it sees late.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use osier_api::selector::LabelSelector;
use osier_client::Change;
use proptest::prelude::*;

use super::*;
use crate::expectations::Expectations;
use crate::ownership::Owner;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn wanted(replicas: usize) -> Wanted {
    Wanted {
        owner: Owner {
            uid: "rc".to_owned(),
            selector: LabelSelector::from_match_labels([("app", "web")]),
            leaving: false,
        },
        replicas,
        template_labels: [("app".to_owned(), "web".to_owned())].into(),
        min_ready: Duration::ZERO,
    }
}

/// A pod of the controller, `change`d.
fn pod(name: &str, change: impl FnOnce(&mut Value)) -> Arc<Object> {
    let mut value = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "labels": {"app": "web"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "ownerReferences": [{"apiVersion": "v1", "kind": "ReplicationController", "name": "web", "uid": "rc", "controller": true}]},
        "spec": {"nodeName": "a"},
        "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]}});
    change(&mut value);
    Arc::new(Object::from_value(value).unwrap())
}

fn plain(name: &str) -> Arc<Object> {
    pod(name, |_| {})
}

fn names(pods: &[Arc<Object>]) -> Vec<&str> {
    pods.iter().map(|pod| pod.name()).collect()
}

#[test]
fn missing_pods_are_created_and_failed_ones_replaced() {
    let failed = pod("b", |pod| pod["status"]["phase"] = "Failed".into());
    let plan = decide(&wanted(3), &[plain("a"), failed], NOW);
    assert_eq!((plan.create, plan.delete.len()), (2, 0));
    assert_eq!(plan.counts.replicas, 1);
}

#[test]
fn surplus_goes_in_the_order_of_kubernetes() {
    let newest = pod("new", |pod| {
        pod["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z".into()
    });
    let unready = pod("unready", |pod| {
        pod["status"]["conditions"][0]["status"] = "False".into()
    });
    let pending = pod("pending", |pod| pod["status"]["phase"] = "Pending".into());
    let unbound = pod("unbound", |pod| {
        pod["spec"] = json!({});
        pod["status"] = json!({"phase": "Pending"});
    });
    let dear = pod("dear", |pod| {
        pod["metadata"]["annotations"] =
            json!({"controller.kubernetes.io/pod-deletion-cost": "10"});
    });
    let pods = [plain("old"), newest, dear, unready, unbound, pending];
    let plan = decide(&wanted(0), &pods, NOW);
    assert_eq!(
        names(&plan.delete),
        ["unbound", "pending", "unready", "new", "old", "dear"]
    );
}

#[test]
fn crowded_nodes_are_thinned_first() {
    let on = |node: &'static str| move |pod: &mut Value| pod["spec"]["nodeName"] = node.into();
    let pods = [pod("a1", on("a")), pod("b1", on("b")), pod("b2", on("b"))];
    assert_eq!(names(&decide(&wanted(2), &pods, NOW).delete), ["b1"]);
}

#[test]
fn orphans_are_adopted_and_strays_released() {
    let orphan = pod("orphan", |pod| {
        pod["metadata"]["ownerReferences"] = json!([])
    });
    let stray = pod("stray", |pod| {
        pod["metadata"]["labels"] = json!({"app": "other"})
    });
    let foreign = pod("foreign", |pod| {
        pod["metadata"]["ownerReferences"][0]["uid"] = "other".into()
    });
    let plan = decide(&wanted(2), &[orphan, stray, foreign], NOW);
    assert_eq!(
        (names(&plan.claim.adopt), names(&plan.claim.release)),
        (vec!["orphan"], vec!["stray"])
    );
    assert_eq!(plan.create, 1);
}

#[test]
fn a_leaving_controller_only_reports() {
    let mut leaving = wanted(5);
    leaving.owner.leaving = true;
    let orphan = pod("orphan", |pod| {
        pod["metadata"]["ownerReferences"] = json!([])
    });
    let plan = decide(&leaving, &[plain("a"), orphan], NOW);
    assert_eq!(
        (plan.create, plan.delete.len(), plan.claim.adopt.len()),
        (0, 0, 0)
    );
    assert_eq!(plan.counts.replicas, 1);
}

#[test]
fn available_is_ready_for_long_enough() {
    let slow = Wanted {
        min_ready: Duration::from_secs(30),
        ..wanted(1)
    };
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let plan = decide(&slow, &[plain("a")], at("2026-01-01T00:00:20Z"));
    assert_eq!((plan.counts.ready, plan.counts.available), (1, 0));
    assert_eq!(plan.look_again, Some(Duration::from_secs(20)));
    let plan = decide(&slow, &[plain("a")], at("2026-01-01T00:00:40Z"));
    assert_eq!((plan.counts.available, plan.look_again), (1, None));
}

#[test]
fn an_unchanged_status_is_not_written() {
    let controller = Object::from_value(json!({"metadata": {"generation": 2},
        "status": {"replicas": 1, "readyReplicas": 1, "observedGeneration": 2}}))
    .unwrap();
    let counts = Counts {
        replicas: 1,
        ready: 1,
        ..Counts::default()
    };
    assert!(covers(
        controller.get(&["status"]),
        &status(&controller, counts, &Failure::None)
    ));
    assert!(!covers(
        controller.get(&["status"]),
        &status(&controller, counts, &Failure::Found("quota".to_owned()))
    ));
}

#[test]
fn a_failure_is_told_once_until_nothing_fails() {
    let failing =
        |message: &str| Failure::Found(format!("pods {message:?} is forbidden: exceeded quota"));
    let mut controller = Object::from_value(json!({"metadata": {"generation": 1}})).unwrap();
    let told = status(&controller, Counts::default(), &failing("web-a"));
    controller.set(&["status"], told);
    for failure in [failing("web-b"), Failure::Unknown] {
        let again = status(&controller, Counts::default(), &failure);
        assert!(covers(controller.get(&["status"]), &again), "{again}");
    }
    let well = status(&controller, Counts::default(), &Failure::None);
    assert_eq!(well["conditions"], Value::Null);
}

/// The real world and the controller's late view of it.
struct World {
    real: Vec<Arc<Object>>,
    seen: Vec<Arc<Object>>,
    news: VecDeque<Change>,
    expectations: Expectations,
    born: usize,
}

impl World {
    fn sync(&mut self, replicas: usize) {
        let wanted = wanted(replicas);
        let fulfilled = self.expectations.fulfilled("rc", NOW);
        let plan = decide(&wanted, &self.seen, NOW);
        if !fulfilled || (plan.create == 0 && plan.delete.is_empty()) {
            return;
        }
        let going = plan.delete.iter().map(|pod| pod.uid().to_owned()).collect();
        self.expectations.order("rc", plan.create, going, NOW);
        for _ in 0..plan.create {
            self.born += 1;
            let created = plain(&format!("p{}", self.born));
            self.real.push(Arc::clone(&created));
            self.news.push_back(Change::Added(created));
        }
        for pod in plan.delete {
            self.real.retain(|real| real.uid() != pod.uid());
            self.news.push_back(Change::Deleted(pod));
        }
    }

    fn hear(&mut self) {
        let Some(change) = self.news.pop_front() else {
            return;
        };
        self.expectations.note(&change);
        let object = Arc::clone(change.object());
        self.seen.retain(|seen| seen.uid() != object.uid());
        if !change.is_deleted() {
            self.seen.push(object);
        }
    }

    fn fail(&mut self, which: usize) {
        let count = self.real.len().max(1);
        let Some(pod) = self.real.get(which % count).cloned() else {
            return;
        };
        let mut failed = (*pod).clone();
        failed.set(&["status", "phase"], "Failed".into());
        let failed = Arc::new(failed);
        self.real.retain(|real| real.uid() != pod.uid());
        self.news.push_back(Change::Modified {
            old: pod,
            new: failed,
        });
    }
}

proptest! {
    /// However late the controller hears of its own deeds and of failures, there are never more
    /// pods than the largest number asked for, and in the end exactly as many as asked for.
    #[test]
    fn converges_and_never_overshoots(
        steps in prop::collection::vec((0_u8..4, 0_usize..12), 1..80),
        last in 0_usize..12,
    ) {
        let mut world = World { real: vec![], seen: vec![], news: VecDeque::new(), expectations: Expectations::default(), born: 0 };
        let (mut replicas, mut most) = (3, 3);
        for (step, number) in steps {
            match step {
                0 => world.sync(replicas),
                1 => world.hear(),
                2 => world.fail(number),
                _ => { replicas = number; most = most.max(number); }
            }
            prop_assert!(world.real.len() <= most, "{} pods, at most {most} were asked for", world.real.len());
        }
        for _ in 0..100 {
            world.sync(last);
            while !world.news.is_empty() { world.hear(); }
        }
        prop_assert_eq!(world.real.len(), last);
    }
}
