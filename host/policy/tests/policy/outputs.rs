//! Checks with output: what an action tells is known to the actions, headers and policies after it, and to nobody before.

use crate::fixture::{FRAUD, JWT, LIST, World, allowed, attributes, check, denied, headers, scope};
use http::{HeaderMap, HeaderValue};
use osier_policy::{Approval, HeaderOperation, ObjectKey, PolicySet, Unavailable};
use serde_json::{Value, json};
use std::sync::Arc;

/// Of alice, until 2100.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImRlbW8ifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJhbGljZSIsImF1ZCI6ImhlbGxvIiwiYXpwIjoiY3VybCIsImlhdCI6MTc5NTAwMDAwMCwiZXhwIjo0MTAyNDQ0ODAwLCJncm91cHMiOiJlZGl0b3JzIiwiZW1haWwiOiJhbGljZUBleGFtcGxlLmNvbSJ9.jlW88Qw2Bj4a3hN76VTmrB7zfEsENf9p5Hwny4tzvR3IIhuflwxloKnP4u5FzeXyUJNUUFQJYGN2QK7tKoEqZw";

fn set(approval: &Approval) -> Vec<(String, String)> {
    let set = approval.request_headers.iter().filter_map(|one| match one {
        HeaderOperation::Set(name, value) => Some((name.to_string(), text(value))),
        _ => None,
    });
    set.collect()
}

fn text(value: &HeaderValue) -> String {
    value.to_str().unwrap().to_owned()
}

fn graded() -> Value {
    json!({"name": "fraud", "plugin": "fraud", "template": "grade", "fields": {"user": "request.headers['x-user'].orValue('')"}})
}

fn header(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

#[test]
fn an_output_of_every_type_fills_headers() {
    let world = World::new();
    let plugin = world.load("fraud", FRAUD, json!({}));
    let spec = json!({"actions": [graded()], "requestHeaders": [
        header("x-grade", "fraud.output.grade"),
        header("x-points", "string(fraud.output.risk_points.orValue(0) * 2)"),
        header("x-share", "string(fraud.output.share.orValue(0.0))"),
        header("x-known", "fraud.output.known.orValue(false) ? 'yes' : 'no'"),
        header("x-note", "fraud.output.note"),
        header("x-name", "fraud.output.facts.orValue({})['name']"),
    ]});
    let policies = world.set(&[&plugin], &spec);
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    // The second answer is the cache's, and tells the same.
    for cached in [false, true] {
        let approval = allowed(check(&policies, &headers(&[("x-user", "alice")])));
        assert_eq!(approval.decisions[0].cached, cached);
        let wanted = pairs(&[
            ("x-grade", "A"),
            ("x-points", "10"),
            ("x-share", "0.5"),
            ("x-known", "yes"),
            ("x-note", "alice is long"),
            ("x-name", "alice"),
        ]);
        assert_eq!(set(&approval), wanted);
    }
    let short = allowed(check(&policies, &headers(&[("x-user", "bob")])));
    assert!(!set(&short).iter().any(|(name, _)| name == "x-note"));
    let nothing = allowed(check(&policies, &HeaderMap::new()));
    let wanted = pairs(&[("x-points", "0"), ("x-share", "0"), ("x-known", "no")]);
    assert_eq!(set(&nothing), wanted);
}

#[test]
fn an_action_asks_with_what_the_one_before_told() {
    let world = World::new();
    let fraud = world.load("fraud", FRAUD, json!({}));
    let list = world.load("list", LIST, json!({"config": {"entries": ["A"]}}));
    let listed = json!({"plugin": "list", "template": "listentry", "fields": {"value": "fraud.output.grade.orValue('none')"}});
    let policies = world.set(&[&fraud, &list], &json!({"actions": [graded(), listed]}));
    allowed(check(&policies, &headers(&[("x-user", "alice")])));
    let denial = denied(check(&policies, &headers(&[("x-user", "bob")])));
    assert_eq!(denial.reason, "`B` is not on the list");
    let early = json!({"actions": [listed, graded()]});
    let faults = world.try_policy(&[&fraud, &list], &early).unwrap_err();
    assert!(
        format!("{faults:?}").contains("fraud.output.grade"),
        "{faults:?}"
    );
}

#[test]
fn names_are_words_of_their_own() {
    let world = World::new();
    let plugin = world.load("fraud", FRAUD, json!({}));
    for name in ["request", "Fraud", "my-check", "", "9"] {
        let mut action = graded();
        action["name"] = json!(name);
        let faults = world.try_policy(&[&plugin], &json!({"actions": [action]}));
        assert_eq!(
            faults.unwrap_err()[0].field,
            "spec.actions[0].name",
            "{name}"
        );
    }
    let twice = json!({"actions": [graded(), graded()]});
    let faults = world.try_policy(&[&plugin], &twice).unwrap_err();
    assert_eq!(faults[0].field, "spec.actions[1].name");
}

#[test]
fn what_a_missing_plugin_would_have_told_opens_nothing() {
    let world = World::new();
    let list = world.load("list", LIST, json!({"config": {"entries": ["none"]}}));
    let listed = json!({"plugin": "list", "template": "listentry", "fields": {"value": "fraud.output.grade.orValue('none')"}});
    let spec = json!({"actions": [graded(), listed], "requestHeaders": [header("x-grade", "fraud.output.grade")]});
    let lost = |name: &str| match name {
        "list" => Ok(Arc::clone(&list)),
        _ => Err(Unavailable {
            reason: "gone".into(),
            failure: osier_policy::FailurePolicy::Fail,
        }),
    };
    let key = ObjectKey::new("default", "p");
    let policy = world.host.enforce_policy(&key, &spec, &lost).unwrap();
    let policies = PolicySet::new(vec![Arc::new(policy)], "osier-system");
    let denial = denied(check(&policies, &HeaderMap::new()));
    assert!(
        denial.failed && denial.reason.contains("gone"),
        "{denial:?}"
    );
}

fn authenticated(world: &World) -> Vec<Arc<osier_policy::CompiledPolicy>> {
    let key: Value = json!({"kty": "EC", "crv": "P-256", "kid": "demo", "alg": "ES256",
        "x": "X0q7Z-iqNV8x5_aOac3A3lXPpoeDoy2_MPhugZl4hzs", "y": "EiSG50HTQq_rWsIlp210wwFaMu-KywQv8Yr6YUbo724"});
    let config = json!({"issuers": [{"issuer": "https://id.example", "jwks": {"keys": [key]}}], "claimHeaders": {"x-user": "sub"}, "required": false});
    let jwt = world.load(
        "jwt",
        JWT,
        json!({"config": config, "grants": {"clock": true}, "limits": {"deadline": "1s"}}),
    );
    let list = world.load(
        "list",
        LIST,
        json!({"config": {"entries": ["https://id.example/alice editors"]}}),
    );
    let who = "request.auth.principal.orValue('nobody') + ' ' + request.auth.claims['groups'].orValue('')";
    let first = json!({"actions": [{"plugin": "jwt", "template": "authentication"}], "requestHeaders": [header("x-groups", "request.auth.claims['groups']")]});
    let second = json!({"match": "request.auth.presenter == 'curl'", "actions": [{"plugin": "list", "template": "listentry", "fields": {"value": who}}]});
    let find = |name: &str| match name {
        "jwt" => Some(jwt.clone()),
        _ => Some(list.clone()),
    };
    let compiled = [("a-who", first), ("b-may", second)].map(|(name, spec)| {
        let key = ObjectKey::new("default", name);
        Arc::new(world.host.check_policy(&key, &spec, &find).unwrap())
    });
    compiled.into()
}

#[test]
fn who_is_behind_a_call_is_known_to_the_policies_after_the_one_that_asked() {
    let world = World::new();
    let policies = PolicySet::new(authenticated(&world), "osier-system");
    let bearer = headers(&[
        ("authorization", &format!("Bearer {TOKEN}")),
        ("x-user", "mallory"),
    ]);
    let approval = allowed(check(&policies, &bearer));
    let found = approval.decisions[0].identity.as_ref().unwrap();
    assert_eq!(
        found.authentication().principal,
        Some("https://id.example/alice")
    );
    assert_eq!(found.authentication().audiences, Some("hello"));
    let wanted = [("x-user", "alice"), ("x-groups", "editors")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(set(&approval), wanted);
    assert!(
        approval
            .request_headers
            .iter()
            .any(|one| matches!(one, HeaderOperation::Remove(name) if name == "authorization"))
    );
    assert_eq!(
        approval.decisions.len(),
        2,
        "the second policy's match saw the presenter"
    );
    // Without a token nobody is known, and the second policy's match does not hold.
    let nobody = allowed(check(&policies, &HeaderMap::new()));
    assert_eq!(
        (nobody.decisions.len(), &nobody.decisions[0].identity),
        (1, &None)
    );
    let forged = headers(&[("authorization", &format!("Bearer {TOKEN}x"))]);
    let denial = denied(check(&policies, &forged));
    assert_eq!(denial.status, 401, "{denial:?}");
    // An identity that the data plane remembers is known from the start.
    let nothing = HeaderMap::new();
    let mut known = attributes(&nothing);
    known.request.auth = found.authentication();
    let again = allowed(policies.check(&scope(), &known));
    assert_eq!(again.decisions.len(), 2, "{again:?}");
}
