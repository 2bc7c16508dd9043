//! What budgets allow, and that evictions never take more, however late the budget is counted.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().unwrap()
}

fn budget(spec: Value, status: Value) -> Object {
    let mut budget = json!({"metadata": {"name": "b", "namespace": "shop", "generation": 3}, "spec": spec, "status": status});
    budget["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
    Object::from_value(budget).unwrap()
}

fn pod(name: usize, ready: bool, scale: Option<usize>) -> Counted {
    let ready = if ready { "True" } else { "False" };
    let pod = json!({"metadata": {"name": name.to_string(), "namespace": "shop", "labels": {"app": "web"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}});
    Counted {
        pod: Arc::new(Object::from_value(pod).unwrap()),
        scale: scale.map(|replicas| ("d".to_owned(), replicas)),
    }
}

/// Expected, healthy, desired and allowed.
fn numbers(spec: Value, pods: &[Counted]) -> [u64; 4] {
    let status = decide(&budget(spec, json!({})), pods, now()).status;
    [
        "expectedPods",
        "currentHealthy",
        "desiredHealthy",
        "disruptionsAllowed",
    ]
    .map(|field| status[field].as_u64().unwrap())
}

#[test]
fn each_way_of_asking_is_counted_as_upstream() {
    let pods: Vec<Counted> = (0..5).map(|name| pod(name, name != 4, Some(6))).collect();
    assert_eq!(numbers(json!({"minAvailable": 3}), &pods), [5, 4, 3, 1]);
    assert_eq!(numbers(json!({"minAvailable": "50%"}), &pods), [6, 4, 3, 1]);
    assert_eq!(numbers(json!({"maxUnavailable": 3}), &pods), [6, 4, 3, 1]);
    assert_eq!(
        numbers(json!({"maxUnavailable": "34%"}), &pods),
        [6, 4, 3, 1]
    );
    assert_eq!(numbers(json!({"maxUnavailable": 1}), &pods), [6, 4, 5, 0]);
    assert_eq!(numbers(json!({"minAvailable": 0}), &[]), [0, 0, 0, 0]);
}

#[test]
fn pods_without_a_size_are_said_to_be_in_the_way() {
    let pods = [pod(0, true, None)];
    let status = decide(
        &budget(json!({"maxUnavailable": 1}), json!({})),
        &pods,
        now(),
    )
    .status;
    let condition = &status["conditions"][0];
    assert_eq!(
        (&status["disruptionsAllowed"], &condition["reason"]),
        (&json!(0), &json!("SyncFailed"))
    );
    assert!(
        condition["message"]
            .as_str()
            .unwrap()
            .contains("`minAvailable` as a number"),
        "{condition}"
    );
    assert_eq!(numbers(json!({"minAvailable": 0}), &pods), [1, 1, 0, 1]);
}

#[test]
fn an_eviction_counts_until_it_is_seen_or_overdue() {
    let spent = |at: &str| json!({"disruptedPods": {"0": at, "9": at}});
    let pods = [pod(0, true, Some(2)), pod(1, true, Some(2))];
    let plan = decide(
        &budget(json!({"minAvailable": 1}), spent("2026-01-01T00:09:00Z")),
        &pods,
        now(),
    );
    assert_eq!(plan.status["disruptionsAllowed"], 0);
    assert_eq!(
        plan.status["disruptedPods"],
        json!({"0": "2026-01-01T00:09:00Z", "9": null})
    );
    assert_eq!(plan.look_again, Some(std::time::Duration::from_secs(60)));
    let plan = decide(
        &budget(json!({"minAvailable": 1}), spent("2026-01-01T00:08:00Z")),
        &pods,
        now(),
    );
    assert_eq!(plan.status["disruptionsAllowed"], 1);
    assert_eq!(plan.status["disruptedPods"], json!({"0": null, "9": null}));
}

#[derive(Debug, Clone)]
enum Act {
    Count,
    /// The counter hears of everything that happened.
    Hear,
    Evict(usize),
    /// A new pod is ready in the place of one that left.
    Replace,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Evictions that are granted by the budget's numbers never take pods below what it asks for, however late they are counted.
    #[test]
    fn evictions_never_break_a_budget(
        acts in prop::collection::vec(prop_oneof![
            2 => Just(Act::Count), 2 => Just(Act::Hear), 4 => (0_usize..8).prop_map(Act::Evict), 2 => Just(Act::Replace),
        ], 1..120),
        size in 1_usize..8, least in 0_usize..6,
    ) {
        let least = least.min(size);
        let mut budget = budget(json!({"minAvailable": least}), json!({}));
        let mut real: Vec<Counted> = (0..size).map(|name| pod(name, true, Some(size))).collect();
        let (mut seen, mut born) = (real.clone(), size);
        for act in acts {
            match act {
                Act::Count => {
                    let status = decide(&budget, &seen, now()).status;
                    for (field, value) in status.as_object().unwrap() {
                        let mut value = value.clone();
                        if let Some(map) = value.as_object_mut() {
                            map.retain(|_, at| !at.is_null());
                        }
                        budget.set(&["status", field], value);
                    }
                }
                Act::Hear => seen = real.clone(),
                Act::Evict(which) if !real.is_empty() => {
                    let allowed = budget.get(&["status", "disruptionsAllowed"]).and_then(Value::as_u64).unwrap_or(0);
                    if allowed > 0 {
                        let gone = real.remove(which % real.len());
                        budget.set(&["status", "disruptionsAllowed"], (allowed - 1).into());
                        budget.set(&["status", "disruptedPods", gone.pod.name()], "2026-01-01T00:10:00Z".into());
                    }
                }
                Act::Replace if real.len() < size => {
                    real.push(pod(born, true, Some(size)));
                    born += 1;
                }
                _ => {}
            }
            prop_assert!(real.len() >= least, "{} of {least} are left", real.len());
        }
    }
}
