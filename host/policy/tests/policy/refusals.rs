//! Objects that are refused: each says which field and what to do.

use crate::fixture::{DENIER, FRAUD, LIST, RATE_LIMIT, World, wasm};
use osier_policy::{LoadError, ObjectKey};
use serde_json::{Value, json};

#[test]
fn plugins() {
    let world = World::new();
    for (image, spec, words) in [
        (
            DENIER,
            json!({"config": {"status": 200}}),
            &["spec.config.status", "less than 400"][..],
        ),
        (
            DENIER,
            json!({"config": {"stauts": 403}}),
            &["spec.config.stauts", "did you mean `status`?"],
        ),
        (
            LIST,
            json!({"config": {"entries": ["a"], "mode": "allow"}}),
            &["spec.config.mode", "Allow, Deny"],
        ),
        (
            LIST,
            json!({"config": {"type": "REGEX", "entries": ["("]}}),
            &["spec.config", "entries[0]"],
        ),
        (LIST, json!({}), &["spec.config", "entries", "providerUrl"]),
        (
            RATE_LIMIT,
            json!({"config": {"limit": 1, "window": "1s"}}),
            &["osier:policy/counters", "spec.grants.keyvalue"],
        ),
        (
            FRAUD,
            json!({"config": {"a": 1}}),
            &["spec.config", "takes no configuration"],
        ),
        (
            DENIER,
            json!({"digest": "sha256:00"}),
            &["spec.digest", "sha256:00"],
        ),
        (
            DENIER,
            json!({"limits": {"memory": "lots"}}),
            &["spec.limits.memory", "16Mi"],
        ),
        (
            DENIER,
            json!({"verify": {"cosignKeys": ["k"]}}),
            &["spec.verify"],
        ),
    ] {
        let error = world
            .try_load("x", image, spec.clone())
            .unwrap_err()
            .to_string();
        assert!(error.contains("default/x"), "{error}");
        for word in words {
            assert!(error.contains(word), "{spec}: {error}");
        }
    }
}

#[test]
fn images() {
    let world = World::new();
    let key = ObjectKey::new("default", "x");
    let load = |bytes: &[u8]| world.host.load(&key, &json!({}), bytes).unwrap_err();
    assert!(matches!(load(b"#!/bin/sh"), LoadError::Component { .. }));
    let mut broken = wasm(DENIER);
    broken.truncate(5000);
    assert!(matches!(load(&broken), LoadError::Component { .. }));
    // An empty component.
    let error = load(b"\0asm\x0d\0\x01\0");
    assert!(matches!(&error, LoadError::NoTemplate { .. }), "{error}");
}

/// Faults of a policy for a plugin `denier`.
fn faults(spec: &Value) -> Vec<String> {
    let world = World::new();
    let plugin = world.load("denier", DENIER, json!({}));
    let faults = world.try_policy(&[&plugin], spec).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn actions() {
    for (action, words) in [
        (
            json!({"plugin": "denyer", "template": "checknothing"}),
            "plugin: no Plugin `denyer`",
        ),
        (
            json!({"plugin": "denier", "template": "metric"}),
            "template: plugin default/denier does not answer",
        ),
        (json!({"plugin": "denier"}), "template: is required"),
        (
            json!({"plugin": "denier", "template": "checknothing", "fields": {"a": "1"}}),
            "has no fields",
        ),
        (
            json!({"plugin": "denier", "template": "listentry"}),
            "fields.value: is missing",
        ),
        (
            json!({"plugin": "denier", "template": "quota", "amount": "'x'"}),
            "fields.amount",
        ),
    ] {
        let found = faults(&json!({"actions": [action]}));
        let said = |fault: &String| fault.starts_with("spec.actions[0].") && fault.contains(words);
        assert!(found.iter().any(said), "{action}: {found:?}");
    }
}

#[test]
fn policies() {
    for (field, value, words) in [
        ("actions", json!([]), "spec.actions: name at least one"),
        ("match", json!("request.method"), "spec.match: column 1"),
        ("mode", json!("Off"), "spec.mode"),
        ("direction", json!("Up"), "spec.direction"),
        (
            "targetRefs",
            json!([{"kind": "Pod", "name": "a"}]),
            "spec.targetRefs[0].kind",
        ),
        ("tagretRefs", json!([]), "did you mean `targetRefs`?"),
        ("selector", json!({}), "spec.selector"),
        (
            "rollout",
            json!({"plugin": "x", "percent": 5}),
            "spec.rollout",
        ),
    ] {
        let mut spec = json!({"actions": [{"plugin": "denier", "template": "checknothing"}]});
        spec[field] = value;
        let found = faults(&spec);
        assert!(
            found.iter().any(|fault| fault.contains(words)),
            "{spec}: {found:?}"
        );
    }
    let several =
        faults(&json!({"mode": "x", "match": "1", "actions": [{"plugin": "a", "template": "b"}]}));
    assert_eq!(several.len(), 3, "{several:?}");
}
