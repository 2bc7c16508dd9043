//! A canary gets its part of the calls, pays for its own failures, and is stopped by them.

use crate::fixture::{
    DENIER, HOSTILE, LIST, RATE_LIMIT, World, allowed, attributes, denied, headers, scope,
};
use osier_policy::{CompiledPolicy, PolicySet, RolloutState, Verdict};
use serde_json::{Value, json};
use std::sync::Arc;

/// A list that refuses `mallory`, and what takes its place for a part of the calls.
fn policy(percent: u64, value: &str) -> Value {
    json!({"actions": [{"plugin": "list", "template": "listentry", "fields": {"value": value}}],
        "rollout": {"plugin": "next", "percent": percent, "abortOn": {"errorRate": "10%"}}})
}

fn world(image: &str, config: Value, spec: &Value) -> (World, Arc<CompiledPolicy>, PolicySet) {
    let world = World::new();
    let config_of_list = json!({"config": {"entries": ["mallory"], "mode": "Deny"}});
    let list = world.load("list", LIST, config_of_list);
    let next = world.load("next", image, config);
    let policy = world.policy(&[&list, &next], spec);
    let set = PolicySet::new(vec![policy.clone()], "osier-system");
    (world, policy, set)
}

/// The verdict about a call with this request id.
fn ask(set: &PolicySet, id: &str, user: &str) -> Verdict {
    let headers = headers(&[("x-user", user)]);
    let mut attributes = attributes(&headers);
    attributes.request.id = id;
    set.check(&scope(), &attributes)
}

#[test]
fn a_part_of_the_calls_asks_the_canary_and_every_try_of_a_request_the_same() {
    let spec = policy(30, "request.headers['x-user'].orValue('')");
    let stricter = json!({"config": {"entries": ["mallory", "bob"], "mode": "Deny"}});
    let (_world, policy, set) = world(LIST, stricter, &spec);
    let refused = |id: &str| matches!(ask(&set, id, "bob"), Verdict::Deny(_));
    let ids: Vec<String> = (0..1000)
        .map(|number| format!("request-{number}"))
        .collect();
    let first: Vec<bool> = ids.iter().map(|id| refused(id)).collect();
    let count = first.iter().filter(|refused| **refused).count();
    assert!((240..=360).contains(&count), "{count} of 1000 for 30%");
    assert_eq!(first, ids.iter().map(|id| refused(id)).collect::<Vec<_>>());
    let denial = denied(ask(
        &set,
        &ids[first.iter().position(|refused| *refused).unwrap()],
        "bob",
    ));
    assert_eq!(&*denial.plugin, "default/next");
    let going = RolloutState::Progressing {
        plugin: "default/next",
        percent: 30,
    };
    assert_eq!(policy.rollout(), Some(going));
}

#[test]
fn a_canary_that_fails_costs_no_call_and_is_stopped() {
    let (_world, policy, set) = world(HOSTILE, json!({}), &policy(100, "'trap'"));
    for number in 0..40 {
        let approval = allowed(ask(&set, &format!("r{number}"), "alice"));
        assert_eq!(&*approval.decisions[0].plugin, "default/list");
    }
    let Some(RolloutState::Stopped { reason }) = policy.rollout() else {
        panic!("{:?}", policy.rollout());
    };
    assert_eq!(reason, "20 of the last 20 calls failed, more than 10%");
}

#[test]
fn what_was_stopped_elsewhere_gets_no_more_calls() {
    let nobody = json!({"config": {"entries": ["alice"], "mode": "Deny"}});
    let (_world, policy, set) = world(
        LIST,
        nobody,
        &policy(100, "request.headers['x-user'].orValue('')"),
    );
    denied(ask(&set, "r1", "alice"));
    policy.stop_rollout("another node said so");
    allowed(ask(&set, "r1", "alice"));
    let reason = "another node said so";
    assert_eq!(policy.rollout(), Some(RolloutState::Stopped { reason }));
}

#[test]
fn a_canary_must_fit() {
    let world = World::new();
    let list = world.load("list", LIST, json!({"config": {"entries": ["a"]}}));
    let denier = world.load("denier", DENIER, json!({}));
    let rate = world.load(
        "rate",
        RATE_LIMIT,
        json!({"config": {"limit": 1, "window": "1s"}, "grants": {"keyvalue": ["rate-limit"]}}),
    );
    let asks_list = json!({"plugin": "list", "template": "listentry", "fields": {"value": "'a'"}});
    let asks_denier = json!({"plugin": "denier", "template": "checknothing"});
    for (actions, rollout, words) in [
        (
            json!([asks_list]),
            json!({"plugin": "rate", "percent": 5}),
            "spec.rollout.plugin: cannot answer in place",
        ),
        (
            json!([asks_list]),
            json!({"plugin": "lost", "percent": 5}),
            "spec.rollout.plugin: no Plugin `lost`",
        ),
        (
            json!([asks_list, asks_denier]),
            json!({"plugin": "list", "percent": 5}),
            "spec.rollout: is for one plugin",
        ),
        (
            json!([asks_list]),
            json!({"plugin": "list", "percent": 5}),
            "spec.rollout.plugin: is the plugin that the actions ask",
        ),
        (
            json!([asks_list]),
            json!({"plugin": "list", "percent": 5, "abortOn": {"p99": "soon"}}),
            "spec.rollout.abortOn.p99: must be a duration",
        ),
    ] {
        let spec = json!({"actions": actions, "rollout": rollout});
        let faults = world
            .try_policy(&[&list, &denier, &rate], &spec)
            .unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|fault| fault.starts_with(words)),
            "{words}: {told:?}"
        );
    }
}
