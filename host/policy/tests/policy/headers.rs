//! Header operations of policies themselves: after the checks, typed when applied, never in shadow mode.

use crate::fixture::{DENIER, World, allowed, check, denied, headers};
use osier_policy::HeaderOperation;
use serde_json::{Value, json};

fn rules() -> Value {
    json!({
        "requestHeaders": [
            {"name": "x-from", "value": "source.namespace.orValue('')"},
            {"name": "X-Tags", "operation": "Append", "value": "request.headers['x-tag']"},
            {"name": "x-secret", "operation": "Remove"},
        ],
        "responseHeaders": [{"name": "x-line", "value": "request.method + ' ' + request.url_path"}],
    })
}

/// `name=value`, `name+=value` or `-name`.
fn shown(operations: &[HeaderOperation]) -> Vec<String> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let show = |operation: &HeaderOperation| match operation {
        HeaderOperation::Set(name, value) => format!("{name}={}", text(value)),
        HeaderOperation::Append(name, value) => format!("{name}+={}", text(value)),
        HeaderOperation::Remove(name) => format!("-{name}"),
    };
    operations.iter().map(show).collect()
}

#[test]
fn a_policy_without_plugins_may_change_headers() {
    let world = World::new();
    let set = world.set(&[], &rules());
    let approval = allowed(check(&set, &headers(&[("x-tag", "blue")])));
    assert_eq!(
        shown(&approval.request_headers),
        ["x-from=shop", "x-tags+=blue", "-x-secret"]
    );
    assert_eq!(
        shown(&approval.response_headers),
        ["x-line=POST /reviews/0"]
    );
    let approval = allowed(check(&set, &headers(&[])));
    assert_eq!(
        shown(&approval.request_headers),
        ["x-from=shop", "-x-secret"],
        "what is absent changes nothing"
    );
}

#[test]
fn only_a_call_that_passes_and_only_in_earnest() {
    let world = World::new();
    let mut spec = rules();
    spec["mode"] = "Shadow".into();
    let approval = allowed(check(&world.set(&[], &spec), &headers(&[])));
    assert!(approval.request_headers.is_empty() && approval.response_headers.is_empty());
    let denier = world.load("denier", DENIER, json!({}));
    let mut spec = rules();
    spec["actions"] = json!([{"plugin": "denier", "template": "checknothing"}]);
    let denial = denied(check(&world.set(&[&denier], &spec), &headers(&[])));
    assert!(denial.headers.iter().all(|(name, _)| name != "x-line"));
}

#[test]
fn a_value_that_is_none_goes_by_the_failure_policy() {
    let world = World::new();
    let mut spec = json!({"requestHeaders": [{"name": "x-a", "value": "request.path + '\\n'"}]});
    let denial = denied(check(&world.set(&[], &spec), &headers(&[])));
    assert!(denial.failed && denial.reason.contains("not a header's value"));
    spec["failurePolicy"] = "Ignore".into();
    let approval = allowed(check(&world.set(&[], &spec), &headers(&[])));
    assert!(approval.request_headers.is_empty());
    assert_eq!(approval.decisions[0].outcome.word(), "ignore");
}

#[test]
fn wrong_rules_are_refused_with_their_paths() {
    let world = World::new();
    let spec = json!({
        "requestHeaders": [
            {"name": "content-length", "value": "'1'"},
            {"name": "x-a", "value": "response.code"},
            {"name": "x-a", "value": "response.grpc_status"},
            {"name": "x-a", "operation": "Remove", "value": "'1'"},
            {"name": "x-a"},
            {"name": "x-a", "value": "'1'", "operation": "Replace"},
        ],
        "responseHeaders": "x-a",
    });
    let faults = world.try_policy(&[], &spec).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for (place, (field, part)) in [
        ("spec.requestHeaders[0].name", "belongs to the host"),
        ("spec.requestHeaders[1].value", "write string(..)"),
        ("spec.requestHeaders[2].value", "not known"),
        ("spec.requestHeaders[3].value", "takes no value"),
        ("spec.requestHeaders[4].value", "required"),
        ("spec.requestHeaders[5].operation", "Set, Append or Remove"),
        ("spec.responseHeaders", "must be a list"),
    ]
    .into_iter()
    .enumerate()
    {
        let one = told.get(place).map_or("", String::as_str);
        assert!(
            one.contains(field) && one.contains(part),
            "{field}: {told:#?}"
        );
    }
    let nothing = world.try_policy(&[], &json!({})).unwrap_err();
    assert_eq!(nothing[0].field, "spec.actions");
}
