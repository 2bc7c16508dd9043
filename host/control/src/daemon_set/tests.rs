//! The promises of a DaemonSet over random histories of a world that the controller sees late.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use osier_api::typed::IntOrString;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use super::wanted::{Fit, Strategy};
use super::*;
use crate::expectations::Expectations;
use crate::facts;

const LATER: &str = "2026-01-01T01:00:00Z";

fn now() -> Timestamp {
    LATER.parse().unwrap()
}

fn set(pod: &Value) -> Object {
    let mut spec = json!({"containers": [{"image": "v1"}]});
    for (field, value) in pod.as_object().unwrap() {
        spec[field] = value.clone();
    }
    Object::from_value(json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "log", "namespace": "shop", "uid": "ds"},
        "spec": {"selector": {"matchLabels": {"app": "log"}},
            "template": {"metadata": {"labels": {"app": "log"}}, "spec": spec}}}))
    .unwrap()
}

fn node(name: &str, taints: &Value) -> Arc<Object> {
    let node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {"taints": taints}});
    Arc::new(Object::from_value(node).unwrap())
}

/// A pod of the set on its way to a node.
fn made(node: &str, hash: &str, uid: usize) -> Object {
    let mut pod = pod::pod(&set(&json!({})), hash, node);
    pod.set(&["metadata", "name"], format!("log-{uid}").into());
    pod.set(&["metadata", "uid"], uid.to_string().into());
    pod.set(
        &["metadata", "creationTimestamp"],
        "2026-01-01T00:00:00Z".into(),
    );
    pod
}

fn ready(mut pod: Object) -> Object {
    let name = pod::node(&pod).to_owned();
    pod.set(&["spec", "nodeName"], name.into());
    let conditions =
        json!([{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    pod.set(
        &["status"],
        json!({"phase": "Running", "conditions": conditions}),
    );
    pod
}

/// The nodes that get a pod, and the nodes whose pods go.
fn steps(wanted: &Wanted, nodes: &[Arc<Object>], pods: &[Object]) -> (Vec<String>, Vec<String>) {
    let pods: Vec<Arc<Object>> = pods.iter().cloned().map(Arc::new).collect();
    let plan = decide(wanted, "new", (nodes, &pods), now());
    let gone = plan.delete.iter().map(|pod| pod::node(pod).to_owned());
    (plan.create, gone.collect())
}

#[test]
fn a_node_is_fit_by_name_labels_and_taints() {
    let fit = |pod: &Value, taints: &Value| Wanted::of(&set(pod)).fit(&node("a", taints));
    let none = json!([]);
    assert_eq!(fit(&json!({}), &none), Fit::Runs);
    assert_eq!(fit(&json!({"nodeName": "b"}), &none), Fit::Refuses);
    let elsewhere = json!({"nodeSelector": {"kubernetes.io/hostname": "b"}});
    assert_eq!(fit(&elsewhere, &none), Fit::Refuses);
    let gpu = |effect: &str| json!([{"key": "gpu", "value": "yes", "effect": effect}]);
    assert_eq!(fit(&json!({}), &gpu("NoSchedule")), Fit::Keeps);
    assert_eq!(fit(&json!({}), &gpu("NoExecute")), Fit::Refuses);
    assert_eq!(fit(&json!({}), &gpu("PreferNoSchedule")), Fit::Runs);
    let tolerates = json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]});
    assert_eq!(fit(&tolerates, &gpu("NoExecute")), Fit::Runs);
    // What drives others out is no reason to have no pod for a node.
    for (key, effect) in [
        ("unreachable", "NoExecute"),
        ("unschedulable", "NoSchedule"),
    ] {
        let taint = json!([{"key": format!("node.kubernetes.io/{key}"), "effect": effect}]);
        assert_eq!(fit(&json!({}), &taint), Fit::Runs, "{key}");
    }
}

#[test]
fn a_pod_is_for_one_node_and_stays_there() {
    let either = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"matchExpressions": [{"key": "b", "operator": "Exists"}]}]}}});
    let pod = pod::pod(&set(&json!({"affinity": either})), "h1", "a");
    assert_eq!((pod::node(&pod), pod.label(LABEL)), ("a", Some("h1")));
    let required = [
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
    ];
    let terms = pod.get(&required).unwrap().as_array().unwrap();
    let narrow = |term: &Value| {
        term["matchFields"][0]["values"] == json!(["a"])
            && term["matchExpressions"][0]["key"].is_string()
    };
    assert!(terms.len() == 2 && terms.iter().all(narrow), "{terms:?}");
    let tolerated = pod.get(&["spec", "tolerations"]).unwrap();
    assert_eq!(tolerated.as_array().unwrap().len(), 6, "{tolerated}");
}

#[test]
fn one_pod_on_each_node_and_none_elsewhere() {
    let wanted = Wanted::of(&set(&json!({})));
    let nodes = ["a", "b"].map(|name| node(name, &json!([])));
    assert_eq!(steps(&wanted, &nodes, &[]).0, ["a", "b"]);
    let twice = [ready(made("a", "new", 1)), ready(made("a", "new", 2))];
    assert_eq!(
        steps(&wanted, &nodes, &twice),
        (vec!["b".into()], vec!["a".into()])
    );
    // Nobody would ever bind this one.
    assert_eq!(
        steps(
            &wanted,
            &nodes[..1],
            &[ready(made("a", "new", 1)), made("b", "new", 2)]
        )
        .1,
        ["b"]
    );
    let barred = [node("a", &json!([{"key": "x", "effect": "NoExecute"}]))];
    assert_eq!(
        steps(&wanted, &barred, &[ready(made("a", "new", 1))]).1,
        ["a"]
    );
    let kept = [node("a", &json!([{"key": "x", "effect": "NoSchedule"}]))];
    assert_eq!(
        steps(&wanted, &kept, &[ready(made("a", "new", 1))]),
        (vec![], vec![])
    );
    assert!(steps(&wanted, &kept, &[]).0.is_empty());
}

#[test]
fn a_pod_that_ended_is_replaced_after_a_pause() {
    let wanted = Wanted::of(&set(&json!({})));
    let nodes = [node("a", &json!([]))];
    let mut failed = made("a", "new", 1);
    failed.set(&["status", "phase"], "Failed".into());
    assert_eq!(steps(&wanted, &nodes, &[failed.clone()]).1, ["a"]);
    failed.set(
        &["metadata", "creationTimestamp"],
        "2026-01-01T00:59:58Z".into(),
    );
    let plan = decide(&wanted, "new", (&nodes, &[Arc::new(failed)]), now());
    assert!(plan.delete.is_empty() && plan.create.is_empty());
    assert_eq!(plan.look_again, Some(Duration::from_secs(3)));
}

#[test]
fn the_status_counts_nodes() {
    let wanted = Wanted::of(&set(&json!({})));
    let nodes = [
        node("a", &json!([])),
        node("b", &json!([])),
        node("c", &json!([{"key": "x", "effect": "NoSchedule"}])),
    ];
    let pods = [
        ready(made("a", "new", 1)),
        made("b", "old", 2),
        ready(made("c", "new", 3)),
    ];
    let pods = pods.map(Arc::new);
    let plan = decide(&wanted, "new", (&nodes, &pods), now());
    let status = status(&set(&json!({})), &plan);
    let numbers = [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberMisscheduled",
        "numberReady",
        "numberAvailable",
        "numberUnavailable",
        "updatedNumberScheduled",
    ];
    assert_eq!(
        numbers.map(|field| status[field].as_u64().unwrap()),
        [2, 2, 1, 1, 1, 1, 1]
    );
}

#[derive(Debug, Clone)]
enum Act {
    Decide,
    Hear,
    Ready(usize),
    Leave(usize),
    Fail(usize),
    Template(usize),
    /// A node comes or goes.
    Node(usize),
}

struct World {
    wanted: Wanted,
    hash: String,
    nodes: BTreeSet<usize>,
    real: Vec<Object>,
    seen: Vec<Arc<Object>>,
    news: VecDeque<Change>,
    expectations: Expectations,
    born: usize,
}

impl World {
    fn new(nodes: usize, unavailable: usize) -> Self {
        let strategy = Strategy::Rolling(IntOrString::Int(i32::try_from(unavailable).unwrap()));
        Self {
            wanted: Wanted {
                strategy,
                ..Wanted::of(&set(&json!({})))
            },
            hash: "v0".to_owned(),
            nodes: (0..nodes).collect(),
            real: Vec::new(),
            seen: Vec::new(),
            news: VecDeque::new(),
            expectations: Expectations::default(),
            born: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        let pick = |which: usize, leaving: bool| {
            let pods = self.real.iter().enumerate();
            let fitting: Vec<usize> = pods
                .filter(|(_, pod)| pod.deletion_timestamp().is_some() == leaving)
                .map(|(index, _)| index)
                .collect();
            fitting.get(which % fitting.len().max(1)).copied()
        };
        match act {
            Act::Decide => self.decide(),
            Act::Hear => self.hear(),
            Act::Ready(which) => {
                if let Some(index) =
                    pick(*which, false).filter(|index| facts::is_active(&self.real[*index]))
                {
                    self.change(index, ready(self.real[index].clone()));
                }
            }
            Act::Leave(which) => {
                if let Some(index) = pick(*which, true) {
                    let pod = self.real.remove(index);
                    self.news.push_back(Change::Deleted(Arc::new(pod)));
                }
            }
            Act::Fail(which) => {
                if let Some(index) = pick(*which, false) {
                    let mut pod = self.real[index].clone();
                    pod.set(&["status"], json!({"phase": "Failed"}));
                    self.change(index, pod);
                }
            }
            Act::Template(version) => self.hash = format!("v{version}"),
            Act::Node(which) => {
                if !self.nodes.remove(which) {
                    self.nodes.insert(*which);
                }
            }
        }
    }

    fn change(&mut self, index: usize, pod: Object) {
        let new = Arc::new(pod.clone());
        let old = Arc::new(std::mem::replace(&mut self.real[index], pod));
        self.news.push_back(Change::Modified { old, new });
    }

    fn decide(&mut self) {
        let fulfilled = self.expectations.fulfilled("ds", now());
        let nodes: Vec<Arc<Object>> = self
            .nodes
            .iter()
            .map(|name| node(&name.to_string(), &json!([])))
            .collect();
        let plan = decide(&self.wanted, &self.hash, (&nodes, &self.seen), now());
        if !fulfilled || (plan.create.is_empty() && plan.delete.is_empty()) {
            return;
        }
        let going = plan.delete.iter().map(|pod| pod.uid().to_owned()).collect();
        self.expectations
            .order("ds", plan.create.len(), going, now());
        for name in plan.create {
            self.born += 1;
            let pod = made(&name, &self.hash, self.born);
            self.news.push_back(Change::Added(Arc::new(pod.clone())));
            self.real.push(pod);
        }
        for gone in plan.delete {
            match self.real.iter().position(|pod| pod.uid() == gone.uid()) {
                Some(index) => {
                    let mut pod = self.real[index].clone();
                    pod.set(&["metadata", "deletionTimestamp"], LATER.into());
                    self.change(index, pod);
                }
                None => self.expectations.deleted("ds", gone.uid()),
            }
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

    fn settle(&mut self) {
        // Whoever removes pods of lost nodes does so.
        for index in (0..self.real.len()).rev() {
            let node = pod::node(&self.real[index]).to_owned();
            if !self.nodes.iter().any(|name| name.to_string() == node) {
                let pod = self.real.remove(index);
                self.news.push_back(Change::Deleted(Arc::new(pod)));
            }
        }
        for _ in 0..60 {
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

    fn serving(&self) -> usize {
        let pods = self.real.iter();
        pods.filter(|pod| facts::is_active(pod) && facts::ready_since(pod).is_some())
            .count()
    }

    fn is_whole(&self) -> bool {
        let nodes: BTreeSet<String> = self.nodes.iter().map(ToString::to_string).collect();
        let there: BTreeSet<String> = self
            .real
            .iter()
            .map(|pod| pod::node(pod).to_owned())
            .collect();
        let of_now = |pod: &Object| pod.label(LABEL) == Some(self.hash.as_str());
        nodes == there
            && self.real.len() == nodes.len()
            && self.serving() == nodes.len()
            && self.real.iter().all(of_now)
    }
}

fn acts(rough: bool) -> impl Generate<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => Just(Act::Decide),
        6 => Just(Act::Hear),
        5 => (0_usize..12).prop_map(Act::Ready),
        3 => (0_usize..12).prop_map(Act::Leave),
        1 => (1_usize..4).prop_map(Act::Template),
        1 => (0_usize..6).prop_map(move |which| if rough { Act::Node(which) } else { Act::Hear }),
        1 => (0_usize..6).prop_map(move |which| if rough { Act::Fail(which) } else { Act::Decide }),
    ];
    prop::collection::vec(act, 1..160)
}

#[test]
fn a_new_pod_comes_before_the_old_one_goes() {
    let set = |surge: i32| Wanted {
        strategy: Strategy::Surge(IntOrString::Int(surge)),
        ..Wanted::of(&set(&json!({})))
    };
    let nodes = ["a", "b", "c"].map(|name| node(name, &json!([])));
    let old = ["a", "b", "c"].map(|name| ready(made(name, "old", 1)));
    assert_eq!(
        steps(&set(2), &nodes, &old),
        (vec!["a".into(), "b".into()], vec![])
    );
    let mut some = old.to_vec();
    some.push(made("a", "new", 2));
    assert_eq!(
        steps(&set(1), &nodes, &some),
        (vec![], vec![]),
        "it is waited for"
    );
    assert_eq!(steps(&set(2), &nodes, &some).0, ["b"]);
    some[3] = ready(some[3].clone());
    assert_eq!(steps(&set(1), &nodes, &some), (vec![], vec!["a".into()]));
    let sick = [made("a", "old", 1), old[1].clone(), old[2].clone()];
    assert_eq!(
        steps(&set(1), &nodes, &sick).0,
        ["a", "b"],
        "who serves nobody is replaced besides"
    );
    let spec = json!({"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": "10%", "maxUnavailable": 0}}}});
    let read = Wanted::of(&Object::from_value(spec).unwrap());
    assert!(matches!(read.strategy, Strategy::Surge(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Where new pods come first, every node has one that serves at every moment, and only so many have two that are to stay.
    #[test]
    fn a_surge_never_leaves_a_node_alone(acts in acts(false), nodes in 1_usize..6, surge in 1_usize..4) {
        let mut world = World::new(nodes, 1);
        world.wanted.strategy = Strategy::Surge(IntOrString::Int(i32::try_from(surge).unwrap()));
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
        for act in &acts {
            world.act(act);
            let serving = world.real.iter().filter(|pod| facts::is_active(pod) && facts::ready_since(pod).is_some());
            let served: BTreeSet<&str> = serving.map(pod::node).collect();
            prop_assert_eq!(served.len(), nodes, "after {:?}: {:?}", act, world.real);
            let active = world.real.iter().filter(|pod| facts::is_active(pod)).count();
            prop_assert!(active <= nodes + surge, "after {act:?}: {:?}", world.real);
        }
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
    }

    /// However late everything is heard of: as long as no pod fails, never more nodes are without a pod that serves than may be,
    /// and none ever has two.
    #[test]
    fn a_rollout_never_leaves_its_bounds(acts in acts(false), nodes in 1_usize..6, unavailable in 1_usize..4) {
        let mut world = World::new(nodes, unavailable);
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
        for act in &acts {
            world.act(act);
            prop_assert!(world.serving() + unavailable >= nodes, "after {act:?}: {:?}", world.real);
            let there: BTreeSet<&str> = world.real.iter().map(pod::node).collect();
            prop_assert_eq!(there.len(), world.real.len(), "after {:?}: two on one node", act);
        }
        world.settle();
        prop_assert!(world.is_whole(), "{:?}", world.real);
    }

    /// With failures and nodes that come and go, it converges all the same.
    #[test]
    fn it_converges(acts in acts(true)) {
        let mut world = World::new(3, 1);
        for act in &acts {
            world.act(act);
        }
        world.settle();
        prop_assert!(world.is_whole(), "{:?} of {}", world.real, world.hash);
    }
}
