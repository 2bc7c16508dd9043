//! Decisions against a reference that counts pods one by one, on small random clusters; and the cases that people know.

#![expect(clippy::unwrap_used, reason = "tests")]

mod cases;
mod reference;

use osier_api::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{Budget, Evicted, Ledger, Opinions, Refusal, Refused};
use reference::Cluster;

/// Decisions in which nobody else has a say.
trait Alone {
    fn pick(&mut self, pod: &Object) -> Result<String, Refusal>;
}

impl Alone for Ledger {
    fn pick(&mut self, pod: &Object) -> Result<String, Refusal> {
        self.choose(pod, &Opinions::default())
    }
}

pub(super) fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

pub(super) fn node(name: &str, zone: Option<&str>, more: &Value) -> Object {
    let mut node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "4", "memory": "1Gi", "pods": "10"},
            "conditions": [{"type": "Ready", "status": "True"}]}});
    if let Some(zone) = zone {
        node["metadata"]["labels"]["zone"] = zone.into();
    }
    for (key, value) in more.as_object().into_iter().flatten() {
        node[key] = value.clone();
    }
    object(node)
}

pub(super) fn pod(uid: &str, app: &str, cpu: u64, spec: &Value) -> Object {
    let mut whole = json!({"metadata": {"name": uid, "uid": uid, "namespace": "shop", "labels": {"app": app}},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu.to_string()}}}]}});
    for (key, value) in spec.as_object().into_iter().flatten() {
        whole["spec"][key] = value.clone();
    }
    object(whole)
}

pub(super) fn selector(app: &str) -> Value {
    json!({"matchLabels": {"app": app}})
}

pub(super) fn required(side: &str, app: &str, key: &str) -> Value {
    let term = json!({"topologyKey": key, "labelSelector": selector(app)});
    json!({side: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}})
}

const KEYS: [&str; 2] = ["zone", "kubernetes.io/hostname"];
const APPS: [&str; 2] = ["a", "b"];

/// A number for every choice that a random pod makes.
#[derive(Debug, Clone)]
struct Dice {
    app: usize,
    namespace: usize,
    cpu: u64,
    priority: i32,
    /// 0: none; then by app and label, of the same namespace or of those that are labelled.
    attract: usize,
    repel: usize,
    spread: usize,
    tolerates: bool,
    zoned: bool,
}

fn dice() -> impl Strategy<Value = Dice> {
    let first = (0..2_usize, 0..2_usize, 0..4_u64, 0..3_i32);
    let second = (
        0..14_usize,
        0..14_usize,
        0..12_usize,
        any::<bool>(),
        0..4_u8,
    );
    (first, second).prop_map(|((app, namespace, cpu, priority), second)| {
        let (attract, repel, spread, tolerates, zoned) = second;
        Dice {
            app,
            namespace,
            cpu,
            priority,
            attract,
            repel,
            spread,
            tolerates,
            zoned: zoned == 0,
        }
    })
}

fn term(number: usize) -> Value {
    let mut term =
        json!({"topologyKey": KEYS[number / 2 % 2], "labelSelector": selector(APPS[number % 2])});
    if number >= 4 {
        term["namespaceSelector"] = json!({"matchLabels": {"team": "one"}});
    }
    json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]})
}

fn random_pod(index: usize, dice: &Dice) -> Object {
    let mut spec = json!({"priority": dice.priority});
    if (1..9).contains(&dice.attract) {
        spec["affinity"]["podAffinity"] = term(dice.attract - 1);
    }
    if (1..9).contains(&dice.repel) {
        spec["affinity"]["podAntiAffinity"] = term(dice.repel - 1);
    }
    if (1..9).contains(&dice.spread) {
        let number = dice.spread - 1;
        spec["topologySpreadConstraints"] = json!([{"topologyKey": KEYS[number % 2], "maxSkew": 1 + number / 2 % 2,
            "minDomains": if number >= 4 { 3 } else { 1 }, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector(APPS[dice.app])}]);
    }
    if dice.tolerates {
        spec["tolerations"] = json!([{"key": "gpu", "operator": "Exists"}]);
    }
    if dice.zoned {
        spec["nodeSelector"] = json!({"zone": "x"});
    }
    let mut pod = pod(&format!("p{index}"), APPS[dice.app], dice.cpu, &spec);
    pod.set(
        &["metadata", "namespace"],
        ["shop", "bank"][dice.namespace].into(),
    );
    pod
}

fn nodes() -> impl Strategy<Value = Vec<Object>> {
    let one = (0..3_usize, 0..5_u8);
    prop::collection::vec(one, 1..6).prop_map(|all| {
        let made = all.iter().enumerate().map(|(index, (zone, taint))| {
            let taints = json!({"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}});
            let more = if *taint == 0 { taints } else { json!({}) };
            let zone = [Some("x"), Some("y"), None][*zone];
            node(&format!("n{index}"), zone, &more)
        });
        made.collect()
    })
}

fn ledger(cluster: &Cluster) -> Ledger {
    let mut ledger = Ledger::default();
    let namespace =
        |name: &str, labels: Value| object(json!({"metadata": {"name": name, "labels": labels}}));
    ledger.set_namespace(&namespace("shop", json!({})));
    ledger.set_namespace(&namespace("bank", json!({"team": "one"})));
    for node in &cluster.nodes {
        ledger.set_node(node);
    }
    for pod in &cluster.pods {
        ledger.place(pod, pod.text(&["spec", "nodeName"]));
    }
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// No decision is against a required rule, and a pod that fits somewhere is never refused.
    #[test]
    fn a_pod_is_placed_exactly_where_the_reference_allows(
        nodes in nodes(),
        steps in prop::collection::vec((dice(), any::<prop::sample::Index>(), 0..4_u8), 1..24),
    ) {
        let mut cluster = Cluster { nodes, pods: Vec::new() };
        let mut live = ledger(&cluster);
        for (index, (dice, other, remove)) in steps.iter().enumerate() {
            if *remove == 0 && !cluster.pods.is_empty() {
                let gone = cluster.pods.remove(other.index(cluster.pods.len()));
                live.remove(gone.uid());
            }
            let pod = random_pod(index, dice);
            match live.pick(&pod) {
                Ok(name) => {
                    let node = cluster.nodes.iter().find(|node| node.name() == name).unwrap();
                    prop_assert!(cluster.admits(&pod, node), "{} on {name}: {cluster:#?}", pod.to_value());
                    cluster.place(&pod, &name);
                }
                Err(refusal) => {
                    let fits = cluster.nodes.iter().find(|node| cluster.admits(&pod, node));
                    prop_assert!(fits.is_none(), "{refusal} but {:?}: {}\n{cluster:#?}", fits.map(Object::name), pod.to_value());
                    prop_assert_eq!(refusal.nodes, cluster.nodes.len());
                }
            }
        }
        // What was kept by increments is what a new one counts.
        let fresh = ledger(&cluster);
        for (name, node) in cluster.nodes.iter().map(|node| (node.name(), node)) {
            let taken = |ledger: &Ledger| ledger.world.rooms[ledger.world.number(name).unwrap()].taken.clone();
            prop_assert_eq!(taken(&live), taken(&fresh), "{}", node.name());
        }
    }

    /// Who is pushed out is less important, the pod fits then, and if nobody is, then no node would do without its less important pods.
    #[test]
    fn preemption_helps_and_takes_only_less_important_pods(
        nodes in nodes(),
        standing in prop::collection::vec((dice(), any::<prop::sample::Index>()), 1..16),
        wanted in dice(),
        allowed in 0..3_i64,
    ) {
        let mut cluster = Cluster { nodes, pods: Vec::new() };
        for (index, (dice, at)) in standing.iter().enumerate() {
            let name = cluster.nodes[at.index(cluster.nodes.len())].name().to_owned();
            cluster.place(&random_pod(index, dice), &name);
        }
        let mut live = ledger(&cluster);
        let pod = random_pod(99, &wanted);
        prop_assume!(live.pick(&pod).is_err());
        let budget = object(json!({"metadata": {"name": "b", "namespace": "shop"}, "spec": {"selector": selector("a")},
            "status": {"disruptionsAllowed": allowed}}));
        let priority = |pod: &Object| pod.get(&["spec", "priority"]).unwrap().as_i64();
        match live.preempt(&pod, &[Budget::of(&budget).unwrap()]) {
            Ok((name, evicted)) => {
                prop_assert!(!evicted.is_empty());
                let leaves = |pod: &Object| evicted.iter().any(|one: &Evicted| one.uid == pod.uid());
                for victim in cluster.pods.iter().filter(|pod| leaves(pod)) {
                    prop_assert_eq!(victim.text(&["spec", "nodeName"]), &name);
                    prop_assert!(priority(victim) < priority(&pod));
                }
                cluster.pods.retain(|pod| !leaves(pod));
                let node = cluster.nodes.iter().find(|node| node.name() == name).unwrap();
                prop_assert!(cluster.admits(&pod, node), "{} on {name} without {evicted:?}: {cluster:#?}", pod.to_value());
                // Its place is kept: when they are gone it goes there.
                for one in &evicted {
                    live.remove(&one.uid);
                }
                prop_assert_eq!(live.pick(&pod).unwrap(), name);
            }
            Err(Refused::Waits(words)) => prop_assert!(false, "{}", words),
            Err(Refused::No(_)) => {
                for node in &cluster.nodes {
                    let lower = |other: &Object| other.text(&["spec", "nodeName"]) == node.name() && priority(other) < priority(&pod);
                    let mut without = cluster.clone();
                    without.pods.retain(|other| !lower(other));
                    let some = without.pods.len() < cluster.pods.len();
                    prop_assert!(!(some && without.admits(&pod, node)), "{} would do: {}", node.name(), pod.to_value());
                }
            }
        }
    }
}
