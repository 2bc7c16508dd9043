//! The cases that people know, and their words.

use osier_api::Object;
use serde_json::{Value, json};

use super::{Alone as _, node, object, pod, required, selector};
use crate::{Budget, Ledger, Opinion, Opinions, Refused};

fn ledger(nodes: &[Object]) -> Ledger {
    let mut ledger = Ledger::default();
    for node in nodes {
        ledger.set_node(node);
    }
    ledger
}

fn three() -> [Object; 3] {
    let of = |name, zone| node(name, Some(zone), &json!({}));
    [of("a", "x"), of("b", "x"), of("c", "y")]
}

fn refused(ledger: &mut Ledger, pod: &Object) -> String {
    ledger.pick(pod).unwrap_err().to_string()
}

#[test]
fn pods_spread_over_the_least_allocated() {
    let mut ledger = ledger(&three()[..2]);
    let chosen: Vec<String> = (0..4)
        .map(|n| {
            ledger
                .pick(&pod(&n.to_string(), "web", 1, &json!({})))
                .unwrap()
        })
        .collect();
    assert_eq!(chosen, ["a", "b", "a", "b"]);
}

#[test]
fn a_node_that_comes_back_carries_its_pods() {
    let (mut ledger, [a, ..]) = (Ledger::default(), three());
    ledger.place(&pod("1", "web", 3, &json!({})), "a");
    assert!(ledger.set_node(&a));
    assert!(!ledger.set_node(&a), "nothing changed");
    let second = pod("2", "web", 2, &json!({}));
    assert_eq!(
        refused(&mut ledger, &second),
        "0/1 nodes are available: 1 Insufficient cpu."
    );
    ledger.remove_node("a");
    assert_eq!(
        refused(&mut ledger, &second),
        "no nodes available to schedule pods"
    );
    assert!(ledger.set_node(&a));
    assert!(ledger.remove("1"));
    assert!(!ledger.remove("1"));
    assert_eq!(ledger.pick(&second).unwrap(), "a");
}

#[test]
fn each_filter_has_its_words() {
    let said = |more: Value, spec: Value| {
        let mut ledger = ledger(&[node("a", None, &more)]);
        let words = refused(&mut ledger, &pod("p", "web", 5, &spec));
        words.replace("0/1 nodes are available: ", "")
    };
    let taints =
        json!({"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}});
    assert_eq!(
        said(taints, json!({})),
        "1 node(s) had untolerated taint {gpu: yes}."
    );
    let cordoned = json!({"spec": {"unschedulable": true}});
    assert_eq!(said(cordoned, json!({})), "1 node(s) were unschedulable.");
    let silent = json!({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}});
    assert_eq!(said(silent, json!({})), "1 node(s) were not ready.");
    let elsewhere = json!({"nodeSelector": {"disk": "hdd"}});
    assert_eq!(
        said(json!({}), elsewhere),
        "1 node(s) didn't match Pod's node affinity/selector."
    );
    let small = json!({"status": {"allocatable": {"cpu": "1", "pods": "0"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    assert_eq!(
        said(small, json!({})),
        "1 Insufficient cpu, 1 Too many pods."
    );
}

#[test]
fn taints_are_tolerated_by_key_value_and_effect_and_soft_ones_are_avoided() {
    let tainted = |effect: &str| {
        let taints =
            json!({"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": effect}]}});
        node("a", None, &taints)
    };
    let fits = |toleration: Value| {
        let spec = json!({"tolerations": [toleration]});
        ledger(&[tainted("NoSchedule")])
            .pick(&pod("p", "web", 1, &spec))
            .is_ok()
    };
    assert!(fits(json!({"key": "gpu", "value": "yes"})) && fits(json!({"operator": "Exists"})));
    assert!(!fits(json!({"key": "gpu", "value": "no"})));
    let mut soft = ledger(&[tainted("PreferNoSchedule"), node("b", None, &json!({}))]);
    let chosen: Vec<String> = (0..5)
        .map(|n| {
            soft.pick(&pod(&n.to_string(), "web", 1, &json!({})))
                .unwrap()
        })
        .collect();
    assert_eq!(
        chosen,
        ["b", "b", "b", "b", "a"],
        "it comes when nothing else is left"
    );
    let tolerant = json!({"tolerations": [{"operator": "Exists"}]});
    let mut soft = ledger(&[tainted("PreferNoSchedule"), node("b", None, &json!({}))]);
    assert_eq!(soft.pick(&pod("p", "web", 1, &tolerant)).unwrap(), "a");
}

#[test]
fn preferences_for_nodes_and_neighbours_decide_among_those_that_fit() {
    let mut ledger = ledger(&three());
    let prefers = |key: &str| {
        let term =
            json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": [key]}]});
        json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": term}]}}})
    };
    assert_eq!(ledger.pick(&pod("1", "db", 1, &prefers("y"))).unwrap(), "c");
    let near = |side: &str| {
        let term = json!({"topologyKey": "zone", "labelSelector": selector("db")});
        json!({"affinity": {side: {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": term}]}}})
    };
    assert_eq!(
        ledger
            .pick(&pod("2", "web", 1, &near("podAffinity")))
            .unwrap(),
        "c"
    );
    assert_eq!(
        ledger
            .pick(&pod("3", "web", 1, &near("podAntiAffinity")))
            .unwrap(),
        "a"
    );
    // Those that stand there have a say as well: "2" likes to be near "db".
    assert_eq!(ledger.pick(&pod("4", "db", 1, &json!({}))).unwrap(), "c");
    let soft = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": selector("db")}]});
    assert_ne!(ledger.pick(&pod("5", "db", 1, &soft)).unwrap(), "c");
}

#[test]
fn anti_affinity_gives_each_node_one_and_says_so() {
    let mut ledger = ledger(&three());
    let alone = json!({"affinity": required("podAntiAffinity", "web", "kubernetes.io/hostname")});
    for n in 0..3 {
        ledger.pick(&pod(&n.to_string(), "web", 1, &alone)).unwrap();
    }
    let words = refused(&mut ledger, &pod("3", "web", 1, &alone));
    assert_eq!(
        words,
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    );
    let plain = refused(&mut ledger, &pod("4", "web", 1, &json!({})));
    assert_eq!(
        plain,
        "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."
    );
    let follower = json!({"affinity": required("podAffinity", "cache", "zone")});
    let words = refused(&mut ledger, &pod("5", "job", 1, &follower));
    assert_eq!(
        words,
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."
    );
    ledger
        .pick(&pod(
            "6",
            "cache",
            1,
            &json!({"nodeSelector": {"zone": "y"}}),
        ))
        .unwrap();
    assert_eq!(ledger.pick(&pod("7", "job", 1, &follower)).unwrap(), "c");
}

#[test]
fn spreading_keeps_the_skew_and_names_what_is_missing() {
    let [a, b, c] = three();
    let bare = node("d", None, &json!({}));
    let mut ledger = ledger(&[a, b, c, bare]);
    let even = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector("web")}]});
    let mut zones = [0, 0];
    for n in 0..6 {
        let node = ledger.pick(&pod(&n.to_string(), "web", 1, &even)).unwrap();
        zones[usize::from(node == "c")] += 1;
        assert!(i32::abs(zones[0] - zones[1]) <= 1, "{zones:?}");
    }
    ledger
        .pick(&pod(
            "full",
            "other",
            1,
            &json!({"nodeSelector": {"kubernetes.io/hostname": "c"}}),
        ))
        .unwrap();
    ledger
        .pick(&pod(
            "one",
            "web",
            0,
            &json!({"nodeSelector": {"kubernetes.io/hostname": "a"}}),
        ))
        .unwrap();
    let words = refused(&mut ledger, &pod("more", "web", 1, &even));
    assert_eq!(
        words,
        "0/4 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints (missing required label), 2 node(s) didn't match pod topology spread constraints."
    );
}

#[test]
fn a_cordoned_node_counts_for_spreading_unless_its_taints_are_honoured() {
    let of = |name, zone, more: Value| node(name, Some(zone), &more);
    let open = of("a", "x", json!({}));
    let cordoned = of("b", "y", json!({"spec": {"unschedulable": true}}));
    let pick = |policy: &str, tolerations: Value| {
        let spec = json!({"tolerations": tolerations, "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule", "nodeTaintsPolicy": policy, "labelSelector": selector("web")}]});
        let mut ledger = ledger(&[open.clone(), cordoned.clone()]);
        let first = ledger.pick(&pod("1", "web", 1, &spec)).unwrap();
        (first, ledger.pick(&pod("2", "web", 1, &spec)).is_ok())
    };
    assert_eq!(pick("Ignore", json!([])), ("a".to_owned(), false));
    assert_eq!(pick("Honor", json!([])), ("a".to_owned(), true));
    let bears = json!([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]);
    assert!(pick("Honor", bears).1, "one on each");
}

fn ranked(uid: &str, cpu: u64, priority: i32) -> Object {
    let mut pod = pod(uid, uid, cpu, &json!({"priority": priority}));
    pod.set(
        &["metadata", "creationTimestamp"],
        "2026-01-01T00:00:00Z".into(),
    );
    pod
}

#[test]
fn the_least_important_pods_leave_and_no_more_than_needed() {
    let mut ledger = ledger(&three()[..2]);
    ledger.place(&ranked("low", 2, 1), "a");
    ledger.place(&ranked("lower", 1, 0), "a");
    ledger.place(&ranked("lowest", 1, -5), "a");
    ledger.place(&ranked("high", 4, 50), "b");
    let wanted = ranked("wanted", 2, 100);
    ledger.pick(&wanted).unwrap_err();
    let (node, evicted) = ledger.preempt(&wanted, &[]).unwrap();
    let names = |evicted: &[crate::Evicted]| -> Vec<String> {
        let mut names: Vec<String> = evicted.iter().map(|one| one.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(
        (node.as_str(), names(&evicted)),
        ("a", vec!["lower".to_owned(), "lowest".to_owned()])
    );
    // The place is kept from others of less importance, not from those of more.
    ledger.remove("lower");
    ledger.remove("lowest");
    ledger.pick(&ranked("thief", 1, 99)).unwrap_err();
    assert_eq!(ledger.pick(&wanted).unwrap(), "a");
    // A budget that allows nothing makes another node the better one.
    let budget = object(
        json!({"metadata": {"name": "b", "namespace": "shop"}, "spec": {"selector": selector("low")},
        "status": {"disruptionsAllowed": 0}}),
    );
    let budget = Budget::of(&budget).unwrap();
    let again = ranked("again", 2, 200);
    ledger.pick(&again).unwrap_err();
    let (node, evicted) = ledger.preempt(&again, &[budget]).unwrap();
    assert_eq!(
        (node.as_str(), names(&evicted)),
        ("b", vec!["high".to_owned()])
    );
}

#[test]
fn who_may_not_or_cannot_push_others_out_is_told() {
    let [a, b, _] = three();
    let tainted = json!({"spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}});
    let mut ledger = ledger(&[a, b, node("t", None, &tainted)]);
    ledger.place(&ranked("one", 4, 10), "a");
    ledger.place(&ranked("two", 4, 10), "b");
    let words = |ledger: &mut Ledger, pod: &Object| {
        let mut refusal = ledger.pick(pod).unwrap_err();
        let refused = ledger.preempt(pod, &[]).unwrap_err();
        refused.words().clone_into(&mut refusal.preemption);
        refusal.to_string()
    };
    assert_eq!(
        words(&mut ledger, &ranked("equal", 1, 10)),
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: }, 2 Insufficient cpu. preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod."
    );
    let mut never = ranked("never", 1, 100);
    never.set(&["spec", "preemptionPolicy"], "Never".into());
    assert!(
        words(&mut ledger, &never)
            .ends_with("preemption: not eligible due to preemptionPolicy=Never.")
    );
    // While somebody leaves for it, nobody else has to.
    let wanted = ranked("wanted", 1, 100);
    let (node, evicted) = ledger.preempt(&wanted, &[]).unwrap();
    let mut leaving = ranked(&evicted[0].uid, 4, 10);
    leaving.set(
        &["metadata", "deletionTimestamp"],
        "2026-01-01T00:00:00Z".into(),
    );
    ledger.place(&leaving, &node);
    let waits =
        Refused::Waits("not eligible due to a terminating pod on the nominated node.".to_owned());
    assert_eq!(ledger.preempt(&wanted, &[]), Err(waits));
}

#[test]
fn five_thousand_nodes_are_looked_at_quickly() {
    let of = |n: usize| node(&format!("n{n}"), Some(["x", "y", "z"][n % 3]), &json!({}));
    let nodes: Vec<Object> = (0..5000).map(of).collect();
    let mut ledger = ledger(&nodes);
    let even = json!({"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector("web")}], "affinity": required("podAntiAffinity", "web", "kubernetes.io/hostname")});
    let mut number = 0;
    let mut each = |spec: &Value| {
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            number += 1;
            ledger
                .pick(&pod(&number.to_string(), "web", 1, spec))
                .unwrap();
        }
        begun.elapsed() / 100
    };
    let (plain, constrained) = (each(&json!({})), each(&even));
    println!("among 5,000 nodes: {plain:?} for a plain pod, {constrained:?} for a constrained one");
    // Generous: this is the unoptimised build on a busy machine. What it guards against is a look at every pair.
    let most = std::time::Duration::from_millis(200);
    assert!(constrained < most && plain < most);
}

#[test]
fn who_has_a_say_is_heeded_after_the_rules() {
    let mut ledger = Ledger::default();
    for name in ["a", "b", "c"] {
        ledger.set_node(&node(name, None, &json!({})));
    }
    ledger.set_node(&node(
        "full",
        None,
        &json!({"spec": {"unschedulable": true}}),
    ));
    let web = |uid: &str| {
        let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r", "controller": true}]);
        let mut pod = pod(uid, "web", 1, &json!({}));
        pod.set(&["metadata", "ownerReferences"], owner);
        pod
    };
    ledger.place(&web("1"), "b");
    let second = web("2");
    let candidates = ledger.feasible(&second);
    let seen: Vec<_> = candidates
        .iter()
        .map(|one| (one.name.as_str(), one.pods, one.siblings, one.free.cpu))
        .collect();
    assert_eq!(
        seen,
        [("a", 0, 0, 4000), ("b", 1, 1, 3000), ("c", 0, 0, 4000)]
    );
    let busy = || {
        vec![
            Opinion::Score(0),
            Opinion::Score(100),
            Opinion::Infeasible("is for others".into()),
        ]
    };
    let opinions = Opinions::of(candidates, busy());
    assert_eq!(ledger.choose(&second, &opinions).unwrap(), "b");
    let third = web("3");
    let nowhere = vec![Opinion::Infeasible("is for others".into()); 3];
    let opinions = Opinions::of(ledger.feasible(&third), nowhere);
    let refusal = ledger.choose(&third, &opinions).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "0/4 nodes are available: 1 node(s) were unschedulable, 3 is for others."
    );
    // A node that came after the question waits for the next one.
    let opinions = Opinions::of(
        ledger.feasible(&third),
        vec![Opinion::Infeasible("no".into()); 3],
    );
    ledger.set_node(&node("new", None, &json!({})));
    assert!(ledger.choose(&third, &opinions).is_err());
}

#[test]
fn in_a_large_cluster_not_every_node_is_weighed_and_every_node_is_found() {
    let mut ledger = Ledger::default();
    for number in 0..1000 {
        let mut one = node(&format!("n{number:03}"), None, &json!({}));
        let only = (number == 777).to_string();
        one.set(&["metadata", "labels", "only"], only.into());
        ledger.set_node(&one);
    }
    let special = pod("s", "a", 1, &json!({"nodeSelector": {"only": "true"}}));
    assert_eq!(ledger.pick(&special).unwrap(), "n777");
    // 420 that fit are enough for a decision, from where the last one ended; of equals the first by name is taken.
    let like = |number: usize| pod(&format!("p{number}"), "a", 1, &json!({}));
    let picked = [0, 1, 2].map(|number| ledger.pick(&like(number)).unwrap());
    assert_eq!(picked, ["n000", "n198", "n001"]);
    let none = pod("none", "a", 1, &json!({"nodeSelector": {"only": "never"}}));
    let told = refused(&mut ledger, &none);
    assert!(
        told.starts_with("0/1000 nodes are available: 1000 node(s)"),
        "{told}"
    );
}
