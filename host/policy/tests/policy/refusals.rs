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
        (LIST, json!({}), &["spec.config.entries", "is required"]),
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

#[test]
fn policies() {
    let world = World::new();
    let plugin = world.load("denier", DENIER, json!({}));
    let refuse = |spec: Value| {
        let faults = world.try_policy(&[&plugin], &spec).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let action = json!({"plugin": "denier", "template": "checknothing"});
    for (spec, words) in [
        (
            json!({"actions": [{"plugin": "denyer", "template": "checknothing"}]}),
            "spec.actions[0].plugin: no Plugin `denyer`",
        ),
        (
            json!({"actions": [{"plugin": "denier", "template": "metric"}]}),
            "spec.actions[0].template: plugin default/denier does not answer",
        ),
        (
            json!({"actions": [{"plugin": "denier"}]}),
            "spec.actions[0].template: is required",
        ),
        (json!({"actions": []}), "spec.actions: name at least one"),
        (
            json!({"actions": [action], "match": "request.method"}),
            "spec.match: column 1",
        ),
        (json!({"actions": [action], "mode": "Off"}), "spec.mode"),
        (
            json!({"actions": [action], "direction": "Up"}),
            "spec.direction",
        ),
        (
            json!({"actions": [action], "targetRefs": [{"kind": "Pod", "name": "a"}]}),
            "spec.targetRefs[0].kind",
        ),
        (
            json!({"actions": [action], "tagretRefs": []}),
            "did you mean `targetRefs`?",
        ),
        (
            json!({"actions": [action], "selector": {}}),
            "spec.selector",
        ),
        (
            json!({"actions": [{"plugin": "denier", "template": "checknothing", "fields": {"a": "1"}}]}),
            "has no fields",
        ),
        (
            json!({"actions": [{"plugin": "denier", "template": "listentry"}]}),
            "spec.actions[0].fields.value: is missing",
        ),
        (
            json!({"actions": [{"plugin": "denier", "template": "quota", "amount": "'x'"}]}),
            "spec.actions[0].fields.amount",
        ),
    ] {
        let faults = refuse(spec.clone());
        assert!(
            faults.iter().any(|fault| fault.contains(words)),
            "{spec}: {faults:?}"
        );
    }
    let several =
        refuse(json!({"mode": "x", "match": "1", "actions": [{"plugin": "a", "template": "b"}]}));
    assert_eq!(several.len(), 3, "{several:?}");
}
