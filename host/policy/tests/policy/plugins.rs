//! The first-party plugins, from object to verdict.

use crate::fixture::{
    DENIER, LIST, RATE_LIMIT, World, allowed, attributes, check, denied, headers, scope,
};
use http::HeaderMap;
use osier_policy::{FailurePolicy, ObjectKey, PolicySet, Unavailable};
use serde_json::{Value, json};
use std::sync::Arc;

fn on_reviews(action: Value) -> Value {
    json!({"targetRefs": [{"kind": "Service", "name": "reviews"}], "actions": [action]})
}

#[test]
fn denier_denies_what_matches_with_its_status_headers_and_body() {
    let world = World::new();
    let config = json!({"config": {"status": 451, "body": "no\n", "headers": {"x-why": "law"}, "reason": "by law"}});
    let plugin = world.load("denier", DENIER, config);
    let mut spec = on_reviews(json!({"plugin": "denier", "template": "checknothing"}));
    spec["match"] = json!("request.method == 'POST' && source.namespace != 'admin'");
    let set = world.set(&[&plugin], &spec);
    let denial = denied(check(&set, &HeaderMap::new()));
    assert_eq!(
        (denial.status, &denial.body[..], denial.reason.as_str()),
        (451, &b"no\n"[..], "by law")
    );
    assert_eq!(
        (&*denial.policy, &*denial.plugin, denial.failed),
        ("default/p", "default/denier", false)
    );
    assert_eq!(denial.headers.len(), 1);
    let headers = HeaderMap::new();
    let mut get = attributes(&headers);
    get.request.method = "GET";
    allowed(set.check(&scope(), &get));
    let text = world.metrics.encode();
    let line = "osier_plugin_calls_total{plugin=\"default/denier\",template=\"checknothing\",verdict=\"deny\"} 1";
    assert!(text.contains(line), "{text}");
}

#[test]
fn an_answer_is_repeated_for_the_same_record_as_long_as_it_holds() {
    let world = World::new();
    let plugin = world.load(
        "list",
        LIST,
        json!({"config": {"entries": ["alice"], "validFor": "1m"}}),
    );
    let spec = on_reviews(
        json!({"plugin": "list", "template": "listentry", "fields": {"value": "request.headers['x-user'].orValue('')"}}),
    );
    let set = world.set(&[&plugin], &spec);
    for _ in 0..5 {
        allowed(check(&set, &headers(&[("x-user", "alice")])));
        assert_eq!(
            denied(check(&set, &headers(&[("x-user", "bob")]))).status,
            403
        );
    }
    let status = plugin.status();
    assert_eq!(
        (status.calls, status.cache_hits),
        (2, 8),
        "one call for each of two records"
    );
}

#[test]
fn a_cached_answer_is_used_as_often_as_the_plugin_says() {
    let world = World::new();
    let plugin = world.load(
        "denier",
        DENIER,
        json!({"config": {"validFor": "1m", "validUses": 3}}),
    );
    let set = world.set(
        &[&plugin],
        &on_reviews(json!({"plugin": "denier", "template": "checknothing"})),
    );
    for _ in 0..6 {
        denied(check(&set, &HeaderMap::new()));
    }
    assert_eq!(plugin.status().calls, 2);
}

#[test]
fn list_goes_by_address() {
    let world = World::new();
    let plugin = world.load(
        "office",
        LIST,
        json!({"config": {"type": "IP_ADDRESSES", "entries": ["10.0.0.0/8"]}}),
    );
    let value = "string(source.ip.orValue(ip('0.0.0.0')))";
    let set = world.set(
        &[&plugin],
        &on_reviews(
            json!({"plugin": "office", "template": "listentry", "fields": {"value": value}}),
        ),
    );
    let headers = HeaderMap::new();
    allowed(check(&set, &headers));
    let mut outside = attributes(&headers);
    outside.source.ip = None;
    denied(set.check(&scope(), &outside));
}

fn limited(world: &World, config: Value) -> PolicySet {
    let plugin = world.load(
        "limit",
        RATE_LIMIT,
        json!({"config": config, "grants": {"keyvalue": ["rate-limit"]}}),
    );
    let fields =
        json!({"dimensions": "{'user': request.headers['x-user'], 'path': request.url_path}"});
    world.set(
        &[&plugin],
        &on_reviews(
            json!({"plugin": "limit", "template": "quota", "fields": fields, "amount": "1"}),
        ),
    )
}

#[test]
fn rate_limit_answers_429_with_retry_after_and_counts_each_user_apart() {
    for algorithm in ["TOKEN_BUCKET", "FIXED_WINDOW", "SLIDING_WINDOW"] {
        let world = World::new();
        let set = limited(
            &world,
            json!({"algorithm": algorithm, "limit": 3, "window": "1h"}),
        );
        let alice = headers(&[("x-user", "alice")]);
        for left in [2, 1, 0] {
            let approval = allowed(check(&set, &alice));
            let told = format!("{:?}", approval.response_headers);
            assert!(
                told.contains("x-ratelimit-remaining") && told.contains(&format!("\"{left}\"")),
                "{algorithm} {told}"
            );
        }
        let denial = denied(check(&set, &alice));
        assert_eq!(denial.status, 429, "{algorithm}");
        let retry = denial
            .headers
            .iter()
            .find(|(name, _)| name == "retry-after")
            .unwrap();
        let seconds: u64 = retry.1.to_str().unwrap().parse().unwrap();
        assert!((1..=3600).contains(&seconds), "{algorithm} {seconds}");
        allowed(check(&set, &headers(&[("x-user", "bob")])));
        allowed(check(&set, &HeaderMap::new()));
    }
}

#[test]
fn another_try_of_a_request_is_not_charged_again() {
    let world = World::new();
    let set = limited(&world, json!({"limit": 1, "window": "1h"}));
    let user = headers(&[("x-user", "alice")]);
    let attributes = attributes(&user);
    let first = allowed(set.check(&scope(), &attributes));
    let granted = &first.decisions[0];
    let charged = |policy: &str, place| *granted.policy == *policy && granted.place == place;
    let again = allowed(set.check_again(&scope(), &attributes, &charged));
    assert!(again.decisions[0].cached, "{again:?}");
    let other = set.check_again(&scope(), &attributes, &|_, place| place == 1);
    assert_eq!(
        denied(other).status,
        429,
        "another action's grant is not its own"
    );
}

#[test]
fn counters_are_exact_under_concurrency_and_outlive_instances() {
    let world = World::new();
    let set = limited(&world, json!({"limit": 50, "window": "1h"}));
    let user = headers(&[("x-user", "alice")]);
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..40)
                        .filter(|_| matches!(check(&set, &user), osier_policy::Verdict::Allow(_)))
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(granted, 50);
}

#[test]
fn shadow_changes_nothing_and_says_what_would_have_been() {
    let world = World::new();
    let plugin = world.load("denier", DENIER, json!({}));
    let mut spec = on_reviews(json!({"plugin": "denier", "template": "checknothing"}));
    spec["mode"] = json!("Shadow");
    let approval = allowed(check(&world.set(&[&plugin], &spec), &HeaderMap::new()));
    assert_eq!(approval.shadow.len(), 1);
    assert_eq!(approval.shadow[0].status, 403);
}

#[test]
fn authorization_needs_no_fields() {
    let world = World::new();
    let plugin = world.load("denier", DENIER, json!({}));
    let set = world.set(
        &[&plugin],
        &on_reviews(json!({"plugin": "denier", "template": "authorization"})),
    );
    denied(check(&set, &HeaderMap::new()));
    let apikey = on_reviews(json!({"plugin": "denier", "template": "osier:policy/apikey"}));
    denied(check(&world.set(&[&plugin], &apikey), &HeaderMap::new()));
}

#[test]
fn a_swap_under_traffic_loses_no_call() {
    let world = World::new();
    let set = |status: u16| {
        let plugin = world.load("denier", DENIER, json!({"config": {"status": status}}));
        Arc::new(world.set(
            &[&plugin],
            &on_reviews(json!({"plugin": "denier", "template": "checknothing"})),
        ))
    };
    let current = arc_swap::ArcSwap::new(set(403));
    let done = std::sync::atomic::AtomicBool::new(false);
    let calls = std::thread::scope(|scope| {
        let traffic: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0_u64;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let denial = denied(check(&current.load_full(), &HeaderMap::new()));
                        assert!(
                            [403, 451].contains(&denial.status) && !denial.failed,
                            "{denial:?}"
                        );
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for turn in 0..50 {
            current.store(set(if turn % 2 == 0 { 451 } else { 403 }));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        traffic
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<u64>()
    });
    assert!(calls > 100, "{calls}");
}

#[test]
fn the_same_object_is_loaded_once_and_a_bad_one_leaves_the_old() {
    let world = World::new();
    let first = world.load("denier", DENIER, json!({"config": {"status": 403}}));
    assert!(Arc::ptr_eq(
        &first,
        &world.load("denier", DENIER, json!({"config": {"status": 403}}))
    ));
    assert!(!Arc::ptr_eq(
        &first,
        &world.load("denier", DENIER, json!({"config": {"status": 404}}))
    ));
    assert!(
        world
            .try_load("denier", DENIER, json!({"config": {"status": 200}}))
            .is_err()
    );
    denied(check(
        &world.set(
            &[&first],
            &on_reviews(json!({"plugin": "denier", "template": "checknothing"})),
        ),
        &HeaderMap::new(),
    ));
}

#[test]
fn a_plugin_that_is_not_available_never_opens_a_door() {
    let world = World::new();
    let missing = |failure| {
        move |_: &str| {
            Err(Unavailable {
                reason: "the image cannot be fetched".into(),
                failure,
            })
        }
    };
    let action = json!({"plugin": "gone", "template": "checknothing"});
    let check_with = |own: FailurePolicy, of_policy: Option<&str>| {
        let mut spec = on_reviews(action.clone());
        if let Some(failure) = of_policy {
            spec["failurePolicy"] = json!(failure);
        }
        let key = ObjectKey::new("default", "p");
        let policy = world
            .host
            .enforce_policy(&key, &spec, &missing(own))
            .unwrap();
        let set = PolicySet::new(vec![Arc::new(policy)], "osier-system");
        check(&set, &HeaderMap::new())
    };
    let denial = denied(check_with(FailurePolicy::Fail, None));
    assert!(denial.failed && denial.status == 503, "{denial:?}");
    assert!(denial.reason.contains("cannot be fetched"), "{denial:?}");
    allowed(check_with(FailurePolicy::Ignore, None));
    allowed(check_with(FailurePolicy::Fail, Some("Ignore")));
    denied(check_with(FailurePolicy::Ignore, Some("Fail")));
}

#[test]
fn a_match_that_cannot_be_computed_goes_by_the_failure_policy() {
    let world = World::new();
    for (failure, passes) in [("Fail", false), ("Ignore", true)] {
        let plugin = world.load("denier", DENIER, json!({"failurePolicy": failure}));
        let mut spec = on_reviews(json!({"plugin": "denier", "template": "checknothing"}));
        spec["match"] = json!("int(request.method) == 1");
        let verdict = check(&world.set(&[&plugin], &spec), &HeaderMap::new());
        match passes {
            true => drop(allowed(verdict)),
            false => assert!(denied(verdict).reason.contains("match")),
        }
    }
}
