//! Quotas that are granted in advance: the host hands out what a plugin leased, and no more.

use crate::fixture::{QUOTA, RATE_LIMIT, World, allowed, attributes, denied, headers, scope};
use osier_policy::{PolicySet, Verdict};
use serde_json::{Value, json};

fn leasing(world: &World) -> (std::sync::Arc<osier_policy::Plugin>, Value) {
    let config = json!({"algorithm": "FIXED_WINDOW", "limit": 10, "window": "24h",
        "lease": {"amount": 4, "validFor": "1h"}});
    let grants = json!({"keyvalue": ["rate-limit"]});
    let plugin = world.load(
        "limit",
        RATE_LIMIT,
        json!({"config": config, "grants": grants}),
    );
    let spec = json!({"actions": [{"plugin": "limit", "template": "quota", "amount": "destination.port.orValue(1)",
        "fields": {"dimensions": "{'user': request.headers['x-user']}"}}]});
    (plugin, spec)
}

fn ask(set: &PolicySet, user: &str, amount: u16) -> Verdict {
    let headers = headers(&[("x-user", user)]);
    let mut call = attributes(&headers);
    call.destination.port = Some(amount);
    set.check(&scope(), &call)
}

#[test]
fn a_lease_is_handed_out_without_asking_and_the_limit_holds() {
    let world = World::new();
    let (plugin, spec) = leasing(&world);
    let set = world.set(&[&plugin], &spec);
    let cached: Vec<bool> = (0..10)
        .map(|_| allowed(ask(&set, "ann", 1)).decisions[0].cached)
        .collect();
    // Two leases of four, then what is left one by one.
    let asked = [0, 4, 8, 9];
    let wanted: Vec<bool> = (0..10).map(|turn| !asked.contains(&turn)).collect();
    assert_eq!(cached, wanted);
    assert_eq!(denied(ask(&set, "ann", 1)).status, 429);
    let status = world.host.status(&plugin);
    assert_eq!((status.calls, status.cache_hits), (5, 6));
    // Others have an allowance, and a lease, of their own.
    assert!(!allowed(ask(&set, "bob", 1)).decisions[0].cached);
    assert!(allowed(ask(&set, "bob", 3)).decisions[0].cached);
    // More than a lease holds is asked for by itself.
    assert!(!allowed(ask(&set, "bob", 5)).decisions[0].cached);
    assert_eq!(denied(ask(&set, "bob", 5)).status, 429);
}

#[test]
fn however_many_ask_no_more_is_granted_than_the_limit() {
    let world = World::new();
    let (plugin, spec) = leasing(&world);
    let set = world.set(&[&plugin], &spec);
    let granted = || {
        (0..40)
            .filter(|_| matches!(ask(&set, "eve", 1), Verdict::Allow(_)))
            .count()
    };
    let granted: usize = std::thread::scope(|scope| {
        let threads = [
            scope.spawn(granted),
            scope.spawn(granted),
            scope.spawn(granted),
        ];
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(granted, 10);
}

#[test]
fn a_quota_that_is_settled_leases_nothing() {
    let world = World::new();
    let (limit, _) = leasing(&world);
    let grants = json!({"keyvalue": ["quota"]});
    let budget = json!({"config": {"limit": 10, "window": "1h"}, "grants": grants});
    let budget = world.load("budget", QUOTA, budget);
    let spec = json!({"actions": [{"plugin": "budget", "template": "quota", "amount": "1", "settle": "1",
        "fields": {"dimensions": "{'user': request.headers['x-user']}"}}]});
    let set = world.set(&[&limit, &budget], &spec);
    for id in ["r-1", "r-2"] {
        let headers = headers(&[("x-user", "ann")]);
        let mut call = attributes(&headers);
        call.request.id = id;
        assert!(!allowed(set.check(&scope(), &call)).decisions[0].cached);
    }
}
