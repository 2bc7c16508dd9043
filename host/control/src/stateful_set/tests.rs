//! The promises of a StatefulSet over random histories of a world that the controller sees late.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use osier_api::selector::LabelSelector;
use osier_client::Change;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use super::decide::New;
use super::wanted::Strategy;
use super::*;
use crate::expectations::Expectations;
use crate::facts;
use crate::ownership::Owner;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const OLD: &str = "web-old";
const NEW: &str = "web-new";

fn wanted(replicas: usize) -> Wanted {
    Wanted {
        owner: Owner {
            uid: "sts".to_owned(),
            selector: LabelSelector::from_match_labels([("app", "web")]),
            leaving: false,
        },
        name: "web".to_owned(),
        replicas,
        start: 0,
        ordered: true,
        strategy: Strategy::Rolling {
            partition: 0,
            unavailable: 1,
        },
        min_ready: Duration::ZERO,
        history: 10,
    }
}

/// A pod of the set.
fn made(ordinal: usize, revision: &str, uid: usize) -> Object {
    let name = format!("web-{ordinal}");
    Object::from_value(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": uid.to_string(), "labels": {"app": "web", LABEL: revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "sts", "controller": true}]},
        "spec": {}, "status": {"phase": "Pending"}}))
    .unwrap()
}

fn ready(mut pod: Object) -> Object {
    let conditions =
        json!([{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
    pod.set(
        &["status"],
        json!({"phase": "Running", "conditions": conditions}),
    );
    pod
}

fn steps(wanted: &Wanted, pods: &[Object]) -> (Vec<New>, Vec<String>) {
    let pods: Vec<Arc<Object>> = pods.iter().cloned().map(Arc::new).collect();
    let plan = decide(wanted, (OLD, NEW), &pods, NOW);
    let deleted = plan.delete.iter().map(|pod| pod.name().to_owned());
    (plan.create, deleted.collect())
}

fn new(ordinal: usize, updated: bool) -> New {
    New { ordinal, updated }
}

#[test]
fn pods_come_one_by_one_or_all_at_once() {
    let (zero, one) = (made(0, NEW, 0), made(1, NEW, 1));
    assert_eq!(steps(&wanted(3), &[]).0, [new(0, true)]);
    assert!(steps(&wanted(3), std::slice::from_ref(&zero)).0.is_empty());
    assert_eq!(steps(&wanted(3), &[ready(zero)]).0, [new(1, true)]);
    let parallel = Wanted {
        ordered: false,
        start: 5,
        ..wanted(3)
    };
    assert_eq!(
        steps(&parallel, &[]).0,
        [new(5, true), new(6, true), new(7, true)]
    );
    // The one below the first number is too many.
    assert_eq!(steps(&parallel, &[ready(one)]).1, ["web-1"]);
}

#[test]
fn the_last_one_goes_first() {
    let pods: Vec<Object> = (0..4)
        .map(|ordinal| ready(made(ordinal, NEW, ordinal)))
        .collect();
    assert_eq!(steps(&wanted(1), &pods).1, ["web-3"]);
    let mut leaving = pods.clone();
    leaving[3].set(
        &["metadata", "deletionTimestamp"],
        "2026-01-01T00:00:00Z".into(),
    );
    assert!(
        steps(&wanted(1), &leaving).1.is_empty(),
        "it has not left yet"
    );
    let mut sick = pods;
    sick[2] = made(2, NEW, 2);
    assert_eq!(steps(&wanted(1), &sick).1, ["web-3"], "it is well itself");
    sick[3] = made(3, NEW, 3);
    assert!(
        steps(&wanted(1), &sick).1.is_empty(),
        "it is not the first sick one"
    );
}

#[test]
fn a_partition_keeps_what_is_below_it() {
    let pods: Vec<Object> = (0..3)
        .map(|ordinal| ready(made(ordinal, OLD, ordinal)))
        .collect();
    let strategy = Strategy::Rolling {
        partition: 2,
        unavailable: 1,
    };
    let kept = Wanted {
        strategy,
        ..wanted(3)
    };
    assert_eq!(steps(&kept, &pods).1, ["web-2"]);
    assert_eq!(
        steps(&kept, &pods[1..]).0,
        [new(0, false)],
        "of the template that it had"
    );
    let by_hand = Wanted {
        strategy: Strategy::OnDelete,
        ..wanted(3)
    };
    assert_eq!(steps(&by_hand, &pods), (Vec::new(), Vec::new()));
    assert_eq!(steps(&by_hand, &pods[..2]).0, [new(2, true)]);
}

#[test]
fn an_ended_pod_is_replaced_under_its_name() {
    let mut failed = made(0, NEW, 0);
    failed.set(&["status", "phase"], "Failed".into());
    assert_eq!(
        steps(&wanted(1), &[failed]),
        (Vec::new(), vec!["web-0".to_owned()])
    );
}

#[test]
fn only_pods_with_a_number_are_taken_up() {
    let free = |name: &str| {
        let mut pod = made(0, NEW, 0);
        pod.set(&["metadata", "name"], name.into());
        pod.remove(&["metadata", "ownerReferences"]);
        Arc::new(pod)
    };
    let pods = ["web-0", "web-01", "web-x", "website-1", "web--1"].map(free);
    let plan = decide(&wanted(1), (OLD, NEW), &pods, NOW);
    let adopted: Vec<&str> = plan.claim.adopt.iter().map(|pod| pod.name()).collect();
    assert_eq!(adopted, ["web-0"]);
}

#[test]
fn a_pod_has_its_place_in_its_name_and_labels() {
    let set = Object::from_value(json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": "sts"}, "spec": {"serviceName": "peers"}}))
    .unwrap();
    let revision = json!({"metadata": {"name": NEW}, "data": {"spec": {"template": {"$patch": "replace",
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "v1"}]}}}}});
    let pod = pod::pod(&set, &Object::from_value(revision).unwrap(), 2);
    assert_eq!(
        (pod.name(), pod.text(&["metadata", "generateName"])),
        ("web-2", "")
    );
    let labels = [
        "app",
        LABEL,
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    ];
    assert_eq!(
        labels.map(|label| pod.label(label).unwrap()),
        ["web", NEW, "web-2", "2"]
    );
    assert_eq!(
        (
            pod.text(&["spec", "hostname"]),
            pod.text(&["spec", "subdomain"])
        ),
        ("web-2", "peers")
    );
    assert_eq!(pod.controller_of().unwrap().uid, "sts");
}

#[derive(Debug, Clone)]
enum Act {
    Decide,
    Hear,
    /// A pod becomes ready.
    Ready(usize),
    /// A pod that is asked to leave has left.
    Leave(usize),
    /// A pod fails for good.
    Fail(usize),
    Scale(usize),
    Template(usize),
}

/// The real pods by name, and the controller's late view of them.
struct World {
    wanted: Wanted,
    revisions: (String, String),
    real: BTreeMap<String, Object>,
    seen: BTreeMap<String, Arc<Object>>,
    news: VecDeque<Change>,
    expectations: Expectations,
    born: usize,
}

impl World {
    fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            revisions: ("v0".to_owned(), "v0".to_owned()),
            real: BTreeMap::new(),
            seen: BTreeMap::new(),
            news: VecDeque::new(),
            expectations: Expectations::default(),
            born: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        let pick = |which: usize, names: Vec<String>| {
            let count = names.len().max(1);
            names.into_iter().nth(which % count)
        };
        let names = |leaving: bool| -> Vec<String> {
            let pods = self.real.iter();
            let pods = pods.filter(|(_, pod)| pod.deletion_timestamp().is_some() == leaving);
            pods.map(|(name, _)| name.clone()).collect()
        };
        match act {
            Act::Decide => self.decide(),
            Act::Hear => self.hear(),
            Act::Ready(which) => {
                if let Some(name) = pick(*which, names(false)) {
                    let pod = self.real[&name].clone();
                    if facts::is_active(&pod) {
                        self.change(ready(pod));
                    }
                }
            }
            Act::Leave(which) => {
                if let Some(pod) =
                    pick(*which, names(true)).and_then(|name| self.real.remove(&name))
                {
                    self.news.push_back(Change::Deleted(Arc::new(pod)));
                }
            }
            Act::Fail(which) => {
                if let Some(name) = pick(*which, names(false)) {
                    let mut pod = self.real[&name].clone();
                    pod.set(&["status"], json!({"phase": "Failed"}));
                    self.change(pod);
                }
            }
            Act::Scale(replicas) => self.wanted.replicas = *replicas,
            Act::Template(version) => self.revisions.1 = format!("v{version}"),
        }
    }

    fn change(&mut self, pod: Object) {
        let name = pod.name().to_owned();
        let new = Arc::new(pod.clone());
        let old = self.real.insert(name, pod).unwrap();
        self.news.push_back(Change::Modified {
            old: Arc::new(old),
            new,
        });
    }

    fn decide(&mut self) {
        let fulfilled = self.expectations.fulfilled("sts", NOW);
        let pods: Vec<Arc<Object>> = self.seen.values().cloned().collect();
        let (current, update) = self.revisions.clone();
        let plan = decide(&self.wanted, (&current, &update), &pods, NOW);
        if plan.complete {
            self.revisions.0 = update.clone();
        }
        if !fulfilled || (plan.create.is_empty() && plan.delete.is_empty()) {
            return;
        }
        let going = plan.delete.iter().map(|pod| pod.uid().to_owned()).collect();
        self.expectations
            .order("sts", plan.create.len(), going, NOW);
        for New { ordinal, updated } in plan.create {
            self.born += 1;
            let pod = made(ordinal, if updated { &update } else { &current }, self.born);
            if self.real.contains_key(pod.name()) {
                // The name is taken; it will be tried again.
                self.expectations.created("sts", 1);
                continue;
            }
            self.real.insert(pod.name().to_owned(), pod.clone());
            self.news.push_back(Change::Added(Arc::new(pod)));
        }
        for gone in plan.delete {
            match self
                .real
                .get(gone.name())
                .filter(|pod| pod.uid() == gone.uid())
            {
                Some(pod) => {
                    let mut pod = pod.clone();
                    pod.set(
                        &["metadata", "deletionTimestamp"],
                        "2026-01-01T00:00:00Z".into(),
                    );
                    self.change(pod);
                }
                None => self.expectations.deleted("sts", gone.uid()),
            }
        }
    }

    fn hear(&mut self) {
        let Some(change) = self.news.pop_front() else {
            return;
        };
        self.expectations.note(&change);
        let pod = Arc::clone(change.object());
        if change.is_deleted() {
            self.seen.remove(pod.name());
        } else {
            self.seen.insert(pod.name().to_owned(), pod);
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            if self.is_whole() && self.news.is_empty() {
                return;
            }
            while !self.news.is_empty() {
                self.hear();
            }
            self.decide();
            for which in 0..self.real.len() {
                self.act(&Act::Ready(which));
            }
            self.act(&Act::Leave(0));
        }
    }

    /// Pods that are ready and stay.
    fn serving(&self) -> usize {
        let pods = self.real.values();
        pods.filter(|pod| facts::is_active(pod) && facts::ready_since(pod).is_some())
            .count()
    }

    fn is_whole(&self) -> bool {
        let expected: Vec<String> = (0..self.wanted.replicas)
            .map(|ordinal| format!("web-{ordinal}"))
            .collect();
        let mut names: Vec<String> = self.real.keys().cloned().collect();
        names.sort_by_key(|name| self.wanted.ordinal(name));
        let of_now = |pod: &Object| pod.label(LABEL) == Some(self.revisions.1.as_str());
        names == expected && self.serving() == expected.len() && self.real.values().all(of_now)
    }
}

fn acts(rough: bool) -> impl Generate<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Decide),
        6 => Just(Act::Hear),
        5 => (0_usize..12).prop_map(Act::Ready),
        3 => (0_usize..12).prop_map(Act::Leave),
        1 => (1_usize..4).prop_map(Act::Template),
        1 => (0_usize..8).prop_map(move |number| if rough { Act::Scale(number) } else { Act::Hear }),
        1 => (0_usize..8).prop_map(move |number| if rough { Act::Fail(number) } else { Act::Decide }),
    ];
    prop::collection::vec(act, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is rolled out, and however late everything is heard of: as long as no pod fails, never more pods are away than
    /// may be.
    #[test]
    fn an_update_takes_no_more_than_may_be_away(
        acts in acts(false), replicas in 1_usize..7, unavailable in 1_usize..4, ordered: bool,
    ) {
        let strategy = Strategy::Rolling { partition: 0, unavailable };
        let mut world = World::new(Wanted { ordered, strategy, ..wanted(replicas) });
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
        for act in &acts {
            world.act(act);
            prop_assert!(world.serving() + unavailable >= replicas, "after {act:?}: {:?}", world.real);
        }
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
    }

    /// In order, pods are only made above pods that are there, and taken from the top: without failures there is never a gap
    /// but the one pod that is being replaced.
    #[test]
    fn in_order_there_is_never_more_than_one_gap(acts in acts(false), sizes in prop::collection::vec(0_usize..6, 1..5)) {
        let mut world = World::new(wanted(3));
        let share = acts.len() / sizes.len() + 1;
        for (chunk, size) in acts.chunks(share).zip(&sizes) {
            world.act(&Act::Scale(*size));
            for act in chunk {
                world.act(act);
                let top = world.real.keys().filter_map(|name| world.wanted.ordinal(name)).max();
                let gaps = top.map_or(0, |top| top + 1 - world.real.len());
                prop_assert!(gaps <= 1, "after {act:?}: {:?}", world.real.keys());
            }
        }
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
    }

    /// With failures and changes of size in between, it converges all the same.
    #[test]
    fn it_converges(acts in acts(true), ordered: bool, last in 0_usize..6) {
        let mut world = World::new(Wanted { ordered, ..wanted(3) });
        for act in &acts {
            world.act(act);
        }
        world.act(&Act::Scale(last));
        world.settle();
        prop_assert!(world.is_whole(), "{:?} of {:?}", world.real, world.revisions);
    }
}
