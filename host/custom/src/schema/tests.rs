//! Pruning, defaults and checks, on schemas as people write them.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn node(schema: Value) -> Node {
    Node::compile(&schema).unwrap()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn faults(schema: Value, object: Value) -> Vec<String> {
    let found = check::check(&node(schema), &map(object));
    found.iter().map(ToString::to_string).collect()
}

fn spec(schema: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": schema}}})
}

#[test]
fn what_is_not_known_is_pruned_and_told() {
    let schema = node(json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "a": {"type": "string"},
            "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"y": {"type": "string"}}}},
            "empty": {"type": "object"},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object"}}},
            "embedded": {"type": "object", "x-kubernetes-embedded-resource": true,
                "properties": {"data": {"type": "object"}}},
        }},
    }}));
    let mut object = map(
        json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n"}, "extra": 1, "spec": {
            "a": "x", "b": 1, "list": [{"x": 1, "z": 2}], "map": {"k": {"y": "", "z": 1}}, "empty": {"q": 1},
            "open": {"any": {"thing": 1}, "known": {"gone": 1}},
            "embedded": {"apiVersion": "v1", "kind": "C", "metadata": {"name": "m"}, "data": {}, "more": 1},
        }}),
    );
    let mut removed = prune::prune(&schema, &mut object);
    removed.sort();
    assert_eq!(
        removed,
        [
            "extra",
            "spec.b",
            "spec.embedded.more",
            "spec.empty.q",
            "spec.list[0].z",
            "spec.map.k.z",
            "spec.open.known.gone"
        ]
    );
    assert_eq!(
        object["spec"]["open"],
        json!({"any": {"thing": 1}, "known": {}})
    );
    assert_eq!(object["spec"]["embedded"]["metadata"], json!({"name": "m"}));
    assert!(prune::prune(&schema, &mut object).is_empty());
}

#[test]
fn defaults_fill_what_is_absent_or_null() {
    let schema = node(spec(json!({
        "replicas": {"type": "integer", "default": 1},
        "cleared": {"type": "string"},
        "nullable": {"type": "string", "nullable": true},
        "inner": {"type": "object", "default": {}, "properties": {"b": {"type": "boolean", "default": true}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
    })));
    let mut object = map(
        json!({"spec": {"replicas": null, "cleared": null, "nullable": null, "list": [{}, {"p": "UDP"}]}}),
    );
    complete::complete(&schema, &mut object);
    let wanted = json!({"replicas": 1, "nullable": null, "inner": {"b": true}, "list": [{"p": "TCP"}, {"p": "UDP"}]});
    assert_eq!(object["spec"], wanted);
    let mut without = Map::new();
    complete::complete(&schema, &mut without);
    assert!(
        without.is_empty(),
        "what is within an absent field has no default"
    );
}

#[test]
fn faults_are_told_in_upstreams_words() {
    let schema = spec(json!({
        "n": {"type": "integer", "minimum": 1, "maximum": 10},
        "cron": {"type": "string", "pattern": "^[*]$", "maxLength": 3},
        "color": {"type": "string", "enum": ["red", "green"]},
        "when": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
        "port": {"x-kubernetes-int-or-string": true},
    }));
    let found = faults(
        schema,
        json!({"metadata": {"anything": 1}, "spec": {
        "n": "x", "cron": "****", "color": "blue", "when": "now", "tags": ["a", 1], "port": true}}),
    );
    assert_eq!(
        found,
        [
            "spec.color: Unsupported value: \"blue\": supported values: \"red\", \"green\"",
            "spec.cron: Invalid value: \"****\": spec.cron in body should match '^[*]$'",
            "spec.cron: Too long: may not be more than 3 bytes",
            "spec.n: Invalid value: \"string\": spec.n in body must be of type integer: \"string\"",
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
            "spec.tags: Too many: 2: must have at most 1 items",
            "spec.tags[1]: Invalid value: \"integer\": spec.tags[1] in body must be of type string: \"integer\"",
            "spec.when: Invalid value: \"now\": spec.when in body must be of type date-time: \"now\"",
        ]
    );
    let bounded = faults(
        spec(json!({"n": {"type": "integer", "maximum": 10}})),
        json!({"spec": {"n": 15}}),
    );
    assert_eq!(
        bounded,
        ["spec.n: Invalid value: 15: spec.n in body should be less than or equal to 10"]
    );
    let required =
        json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object"}}});
    assert_eq!(faults(required, json!({})), ["spec: Required value"]);
}

#[test]
fn alternatives_are_counted() {
    let one_of = spec(json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    let mut schema = one_of;
    schema["properties"]["spec"]["oneOf"] = json!([{"required": ["a"]}, {"required": ["b"]}]);
    schema["properties"]["spec"]["not"] = json!({"required": ["c"]});
    assert!(faults(schema.clone(), json!({"spec": {"a": ""}})).is_empty());
    let both = faults(schema.clone(), json!({"spec": {"a": "", "b": ""}}));
    assert_eq!(
        both,
        [
            "spec: Invalid value: \"\": \"spec\" must validate one and only one schema (oneOf). Found valid alternatives: 2"
        ]
    );
    let none = faults(schema, json!({"spec": {}}));
    assert!(none[0].ends_with("Found none valid"), "{none:?}");
    let any = spec(
        json!({"v": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}}),
    );
    assert!(faults(any, json!({"spec": {"v": "1"}})).is_empty());
}

#[test]
fn sets_and_maps_have_nothing_twice() {
    let schema = spec(json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "p"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "p": {"type": "string", "default": "TCP"}}}},
    }));
    let found = faults(
        schema,
        json!({"spec": {"set": ["a", "b", "a"],
        "map": [{"name": "x"}, {"name": "x", "p": "UDP"}, {"name": "x", "p": "TCP"}]}}),
    );
    assert_eq!(
        found,
        [
            "spec.map[2]: Duplicate value: {\"name\":\"x\",\"p\":\"TCP\"}",
            "spec.set[2]: Duplicate value: \"a\"",
        ]
    );
}

#[test]
fn rules_speak_of_a_value_and_the_one_before() {
    let mut schema = spec(json!({
        "min": {"type": "integer"},
        "max": {"type": "integer"},
        "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "name is immutable"}]},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {"type": "integer",
                "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]}}}},
    }));
    schema["properties"]["spec"]["x-kubernetes-validations"] = json!([
        {"rule": "self.min <= self.max", "messageExpression": "'at most ' + string(self.max)", "fieldPath": ".min"},
        {"rule": "!has(self.max) || self.max < 100", "reason": "FieldValueForbidden", "message": "too large"},
    ]);
    let node = node(schema);
    let told = |new: Value, old: Option<Value>| -> Vec<String> {
        rules::check(&node, &new, old.as_ref())
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let object = |min: i64, name: &str, port: i64| json!({"spec": {"min": min, "max": 5, "name": name, "ports": [{"name": "other"}, {"name": "x", "port": port}]}});
    assert!(told(object(1, "a", 1), None).is_empty());
    assert_eq!(
        told(object(9, "a", 1), None),
        ["spec.min: Invalid value: \"object\": at most 5"]
    );
    let changed = told(object(2, "b", 0), Some(object(1, "a", 1)));
    assert_eq!(
        changed,
        [
            "spec.name: Invalid value: \"string\": name is immutable",
            "spec.ports[1].port: Invalid value: \"integer\": failed rule: self >= oldSelf",
        ]
    );
    let same = told(object(9, "a", 1), Some(object(9, "a", 1)));
    assert!(
        same.is_empty(),
        "what was wrong before and did not change may stay"
    );
    let large = told(json!({"spec": {"min": 1, "max": 500}}), None);
    assert_eq!(large, ["spec: Forbidden: too large"]);
    let missing = told(json!({"spec": {"max": 1}}), None);
    assert_eq!(
        missing,
        [
            "spec.min: Invalid value: \"object\": no such key: min evaluating rule: self.min <= self.max"
        ]
    );
}

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..5).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A schema of a few levels.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "default": "x"})),
        Just(json!({"type": "integer"})),
        Just(json!({"type": "boolean", "nullable": true})),
        Just(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
        Just(json!({"x-kubernetes-int-or-string": true, "default": 1})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-d]", inner.clone(), 0..4)
                .prop_map(|all| json!({"type": "object", "properties": all})),
            inner
                .clone()
                .prop_map(|items| json!({"type": "array", "items": items})),
            inner.prop_map(
                |each| json!({"type": "object", "additionalProperties": each, "default": {}})
            ),
        ]
    })
}

proptest! {
    #[test]
    fn pruning_and_completing_are_done_once(properties in prop::collection::btree_map("[a-d]", any_schema(), 0..4), value in any_json()) {
        let schema = node(json!({"type": "object", "properties": properties}));
        let mut object = Map::from_iter([("a".to_owned(), value)]);
        prune::prune(&schema, &mut object);
        complete::complete(&schema, &mut object);
        let once = object.clone();
        prop_assert!(prune::prune(&schema, &mut object).is_empty(), "a default brings nothing unknown");
        complete::complete(&schema, &mut object);
        prop_assert_eq!(object, once);
    }

    #[test]
    fn a_value_without_faults_keeps_none_when_it_is_completed(schema in any_schema(), value in any_json()) {
        let root = node(json!({"type": "object", "properties": {"a": schema}}));
        let mut object = Map::from_iter([("a".to_owned(), value)]);
        if check::check(&root, &object).is_empty() {
            prune::prune(&root, &mut object);
            complete::complete(&root, &mut object);
            prop_assert_eq!(check::check(&root, &object), vec![]);
        }
    }
}
