//! A plugin that loops, traps or eats memory costs only its own call and is visible.

use crate::fixture::{HOSTILE, World, allowed, check, denied, headers};
use osier_policy::{Plugin, PolicySet};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn hostile(world: &World, limits: &serde_json::Value, failure: &str) -> (Arc<Plugin>, PolicySet) {
    let plugin = world.load(
        "hostile",
        HOSTILE,
        json!({"limits": limits, "failurePolicy": failure}),
    );
    let fields = json!({"value": "request.headers['x-behave'].orValue('')"});
    let spec =
        json!({"actions": [{"plugin": "hostile", "template": "listentry", "fields": fields}]});
    let set = world.set(&[&plugin], &spec);
    (plugin, set)
}

#[test]
fn each_misdeed_fails_its_own_call_closed_and_is_counted() {
    let world = World::new();
    // Long enough for the hoarder to meet its memory limit first, on a busy machine too.
    let (plugin, set) = hostile(
        &world,
        &json!({"memory": "8Mi", "deadline": "100ms", "instances": 2}),
        "Fail",
    );
    for behaviour in ["loop", "trap", "hoard", "loop", "trap", "hoard"] {
        let begun = Instant::now();
        let denial = denied(check(&set, &headers(&[("x-behave", behaviour)])));
        assert!(
            denial.failed && denial.status == 500,
            "{behaviour}: {denial:?}"
        );
        assert!(
            !denial.body.is_empty() && !String::from_utf8_lossy(&denial.body).contains("trap"),
            "nothing of the inside leaks"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{behaviour} took {:?}",
            begun.elapsed()
        );
        allowed(check(&set, &headers(&[("x-behave", "good")])));
    }
    let status = plugin.status();
    assert_eq!(status.deadline_overruns, 2, "{status:?}");
    assert_eq!(status.traps + status.memory_overruns, 4, "{status:?}");
    assert!(status.memory_overruns >= 1, "{status:?}");
    assert_eq!(status.calls, 12);
    assert!(status.last_error.is_some() && status.last_error_at.is_some());
    assert!(status.instances <= 2);
    let text = world.metrics.encode();
    assert!(
        text.contains(
            "osier_plugin_failures_total{plugin=\"default/hostile\",reason=\"deadline\"} 2"
        ),
        "{text}"
    );
}

#[test]
fn ignore_lets_the_call_pass_as_if_the_plugin_had_not_been_asked() {
    let world = World::new();
    let (_, set) = hostile(&world, &json!({}), "Ignore");
    for behaviour in ["trap", "loop"] {
        let approval = allowed(check(&set, &headers(&[("x-behave", behaviour)])));
        assert!(approval.request_headers.is_empty() && approval.response_headers.is_empty());
        let told: Vec<_> = approval.decisions.iter().map(|one| one.outcome).collect();
        assert_eq!(told, [osier_policy::Outcome::Ignored]);
    }
    denied(check(&set, &headers(&[("x-behave", "deny")])));
}

#[test]
fn when_every_instance_is_busy_the_call_fails_at_once_and_says_so() {
    let world = World::new();
    let (plugin, set) = hostile(
        &world,
        &json!({"instances": 1, "deadline": "300ms"}),
        "Fail",
    );
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| denied(check(&set, &headers(&[("x-behave", "loop")]))));
        while plugin.status().calls == 0 {
            assert!(!busy.is_finished(), "it was refused, not called");
            std::thread::yield_now();
        }
        let mut overloaded = 0;
        while !busy.is_finished() {
            if let osier_policy::Verdict::Deny(denial) =
                check(&set, &headers(&[("x-behave", "good")]))
            {
                assert!(
                    denial.reason.contains("spec.limits.instances"),
                    "{denial:?}"
                );
                overloaded += 1;
            }
        }
        assert!(overloaded > 0);
    });
    allowed(check(&set, &headers(&[("x-behave", "good")])));
    assert!(plugin.status().overloads > 0);
}

/// The runtime has one worker. While a call of a plugin that was seen to loop holds its thread, the worker serves others.
#[test]
fn a_plugin_that_loops_again_and_again_keeps_nobody_from_the_worker() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let (plugin, set) = hostile(&world, &json!({"deadline": "300ms"}), "Fail");
    let set = Arc::new(set);
    let ask = |behave: &'static str| {
        let set = Arc::clone(&set);
        runtime.spawn(async move { check(&set, &headers(&[("x-behave", behave)])) })
    };
    let loops = || {
        let denial = denied(runtime.block_on(ask("loop")).unwrap());
        assert!(denial.failed && denial.status == 500, "{denial:?}");
    };
    (0..3).for_each(|_| loops());
    assert!(plugin.status().aside);
    allowed(runtime.block_on(ask("good")).unwrap());

    let before = plugin.status().calls;
    let looping = ask("loop");
    while plugin.status().calls == before {
        std::thread::yield_now();
    }
    runtime.block_on(runtime.spawn(async {})).unwrap();
    assert!(!looping.is_finished(), "the worker waited for the loop");
    denied(runtime.block_on(looping).unwrap());
    assert_eq!(plugin.status().deadline_overruns, 4);
}
