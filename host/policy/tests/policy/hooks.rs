//! Hooks on the production engine: what plugins answer, and what a missing answer means.

use http::{HeaderMap, StatusCode};
use osier_policy::{
    BodyVerdict, Change, Exchange, Filter, FilterKind, HeadVerdict, HeaderOperation, LoadError,
    PolicySet, Review, Unavailable, WriteOperation,
};
use serde_json::json;
use std::sync::Arc;

use crate::fixture::*;

fn exchange() -> Exchange<'static> {
    Exchange {
        id: "r-1",
        method: "GET",
        scheme: "http",
        authority: "reviews",
        path: "/reviews/0",
        ..Exchange::default()
    }
}

/// The one filter that concerns the call.
fn filter(set: &PolicySet) -> Filter {
    let headers = HeaderMap::new();
    let attributes = attributes(&headers);
    let mut filters = set.filters(&scope(), &attributes, &mut Vec::new()).unwrap();
    assert_eq!(filters.len(), 1);
    match filters.remove(0) {
        FilterKind::Messages(filter) => filter,
        _ => panic!("it is a component of osier:filter"),
    }
}

fn rewriting(world: &World, name: &str, header: &str, policy: serde_json::Value) -> Filter {
    let config = json!({"request": {"set": {header: "{method}"}}});
    let plugin = world.load(name, HEADER_REWRITE, json!({"config": config}));
    let mut spec = json!({"actions": [{"plugin": name, "hook": "filter"}]});
    spec.as_object_mut()
        .unwrap()
        .extend(policy.as_object().unwrap().clone());
    filter(&world.set(&[&plugin], &spec))
}

#[test]
fn a_filter_changes_heads_and_a_shadow_changes_nothing() {
    let world = World::new();
    let asked = headers(&[("accept", "x")]);
    let own = rewriting(&world, "a", "x-method", json!({}));
    assert!(own.sees_responses() && !own.sees_trailers());
    let set = HeaderOperation::Set("x-method".parse().unwrap(), "GET".parse().unwrap());
    assert_eq!(
        own.on_request(&exchange(), &asked),
        HeadVerdict::Proceed(vec![Change::Header(set)])
    );
    let shadow = rewriting(&world, "b", "x-method", json!({"mode": "Shadow"}));
    assert_eq!(
        shadow.on_request(&exchange(), &asked),
        HeadVerdict::Proceed(Vec::new())
    );
}

#[test]
fn an_answer_that_is_none_goes_by_the_failure_policy() {
    let world = World::new();
    let asked = HeaderMap::new();
    // Setting the framing of a message would smuggle requests: it is no answer.
    let fails = rewriting(&world, "a", "content-length", json!({}));
    let HeadVerdict::Respond(reply) = fails.on_request(&exchange(), &asked) else {
        panic!("it went on");
    };
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply.reason.contains("content-length"), "{}", reply.reason);
    let ignore = json!({"failurePolicy": "Ignore"});
    let ignored = rewriting(&world, "b", "transfer-encoding", ignore);
    assert_eq!(
        ignored.on_request(&exchange(), &asked),
        HeadVerdict::Proceed(Vec::new())
    );
    let spec = json!({"actions": [{"plugin": "gone", "hook": "filter"}]});
    let missing = |_: &str| {
        Err(Unavailable {
            reason: "it is not there".to_owned(),
            failure: osier_policy::FailurePolicy::Fail,
        })
    };
    let key = osier_policy::ObjectKey::new("default", "p");
    let policy = world.host.enforce_policy(&key, &spec, &missing).unwrap();
    let set = PolicySet::new(vec![Arc::new(policy)], "osier-system");
    let verdict = filter(&set).on_request(&exchange(), &asked);
    assert!(matches!(verdict, HeadVerdict::Respond(reply) if reply.status == 503));
}

#[test]
fn bodies_are_asked_for_and_pass_as_bytes() {
    let world = World::new();
    // Half a megabyte through a pattern takes longer than a call's usual 5 ms.
    let config = json!({"config": {"maxBody": 1_000_000, "bodyPatterns": ["secret"]}, "limits": {"deadline": "2s"}});
    let plugin = world.load("waf", WAF_LITE, config);
    let spec = json!({"actions": [{"plugin": "waf", "hook": "filter"}]});
    let waf = filter(&world.set(&[&plugin], &spec));
    let asked = HeaderMap::new();
    assert_eq!(
        waf.on_request(&exchange(), &asked),
        HeadVerdict::NeedBody(1_000_000)
    );
    let large = vec![b'x'; 500_000];
    assert_eq!(
        waf.on_request_body(&exchange(), &asked, &large),
        BodyVerdict::Proceed(Vec::new(), None)
    );
    let verdict = waf.on_request_body(&exchange(), &asked, b"a secret");
    assert!(matches!(verdict, BodyVerdict::Respond(reply) if reply.status == 403));
}

#[test]
fn a_policy_that_does_not_match_filters_nothing() {
    let world = World::new();
    let plugin = world.load("waf", WAF_LITE, json!({}));
    let spec = json!({"match": "request.method == \"GET\"", "actions": [{"plugin": "waf", "hook": "filter"}]});
    let set = world.set(&[&plugin], &spec);
    assert!(set.has_filters(osier_policy::Direction::Inbound));
    assert!(!set.has_filters(osier_policy::Direction::Outbound));
    let headers = HeaderMap::new();
    let attributes = attributes(&headers);
    assert!(
        set.filters(&scope(), &attributes, &mut Vec::new())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_write_is_refused_or_patched_within_the_policys_namespace_only() {
    let world = World::new();
    let config = json!({"config": {"labels": ["team"], "defaults": {"tier": "web"}}});
    let plugin = world.load("labels", REQUIRE_LABELS, config);
    let action = json!({"plugin": "labels", "hook": "admit", "kinds": [{"kind": "Pod"}]});
    let set = world.set(&[&plugin], &json!({"actions": [action]}));
    let review = |kind: &'static str, namespace: &'static str, object: &'static str| {
        let review = Review {
            group: "",
            kind,
            namespace,
            name: "a",
            operation: WriteOperation::Create,
            user: "someone",
            groups: &[],
            object,
            old_object: None,
        };
        set.admit(&review, 0)
    };
    let rejection = review("Pod", "default", r#"{"metadata": {}}"#).unwrap_err();
    assert_eq!(
        (rejection.field.as_str(), rejection.failed),
        ("metadata.labels", false)
    );
    let labelled = r#"{"metadata": {"labels": {"team": "x"}}}"#;
    let (admission, _) = review("Pod", "default", labelled).unwrap();
    assert!(admission.patch.unwrap().contains("/metadata/labels/tier"));
    for (kind, namespace) in [("Pod", "other"), ("Service", "default")] {
        let (admission, _) = review(kind, namespace, r#"{"metadata": {}}"#).unwrap();
        assert_eq!(admission.patch, None);
    }
}

#[test]
fn a_policy_that_asks_for_what_the_plugin_is_not_is_refused() {
    let world = World::new();
    let plugin = world.load("labels", REQUIRE_LABELS, json!({}));
    let spec = json!({"actions": [{"plugin": "labels", "hook": "filter"}]});
    let faults = world.try_policy(&[&plugin], &spec).unwrap_err();
    assert_eq!(faults[0].field, "spec.actions[0].hook");
    assert!(faults[0].detail.contains("hooks admit"), "{}", faults[0]);
    let bad = world.try_load("bad", REQUIRE_LABELS, json!({"config": {"labels": "team"}}));
    assert!(matches!(bad, Err(LoadError::Spec { .. })), "{bad:?}");
}
