//! Merging, comparing and pruning by schema; whole histories are held against a model in `model`.

#![expect(clippy::unwrap_used, reason = "tests")]

mod model;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::*;

/// A document with one field of every kind.
static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let port = json!({"type": "object", "properties": {
        "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "name": text,
    }});
    let item = json!({"type": "object", "properties": {"name": text, "v": {"type": "integer"}, "w": {"type": "integer"}}});
    let root = json!({"type": "object", "properties": {
        "fields": {"type": "object", "properties": {"a": text, "b": text}},
        "labels": {"type": "object", "additionalProperties": text},
        "selector": {"type": "object", "additionalProperties": text, "x-kubernetes-map-type": "atomic"},
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        "ports": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Port"}], "description": "a port"},
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]},
        "tags": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "atom": {"type": "array", "items": {"type": "integer"}},
    }});
    let named = [("Root", root), ("Item", item), ("Port", port)];
    named
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
});

fn schema() -> Schema<'static> {
    Schema::new(&DEFINITIONS["Root"], &DEFINITIONS)
}

fn merged(live: Value, wish: Value) -> Value {
    merge(schema(), &live, &wish).unwrap()
}

fn applier(name: &str) -> Owner {
    Owner {
        name: name.to_owned(),
        operation: Operation::Apply,
        version: String::new(),
        part: String::new(),
    }
}

fn wish<'a>(config: &'a Value, force: bool) -> Wish<'a> {
    Wish {
        config,
        foreign: &|set| set,
        force,
    }
}

fn lines(set: &FieldSet) -> Vec<String> {
    set.paths().iter().map(Path::to_string).collect()
}

#[test]
fn maps_are_merged_and_what_is_atomic_is_replaced() {
    let live = json!({"fields": {"a": "1"}, "selector": {"x": "1"}, "atom": [1, 2], "other": {"deep": {"x": 1}}});
    let wish = json!({"fields": {"b": "2"}, "selector": {"y": "2"}, "atom": [3], "other": {"deep": {"y": 2}}});
    assert_eq!(
        merged(live, wish),
        json!({"fields": {"a": "1", "b": "2"}, "selector": {"y": "2"}, "atom": [3],
            "other": {"deep": {"x": 1, "y": 2}}})
    );
}

#[test]
fn elements_are_found_by_key_and_follow_the_wish() {
    let live =
        json!({"items": [{"name": "a", "v": 1}, {"name": "b"}, {"name": "c"}, {"name": "d"}]});
    let wish = json!({"items": [{"name": "d"}, {"name": "a", "w": 2}, {"name": "e"}]});
    let names: Vec<Value> = merged(live, wish)["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].clone())
        .collect();
    assert_eq!(names, ["b", "c", "d", "a", "e"]);
}

#[test]
fn a_key_that_is_left_out_has_its_default() {
    let live = json!({"ports": [{"port": 80, "protocol": "TCP"}]});
    let wish = json!({"ports": [{"port": 80, "name": "web"}, {"port": 80, "protocol": "UDP"}]});
    assert_eq!(
        merged(live, wish),
        json!({"ports": [{"port": 80, "protocol": "TCP", "name": "web"}, {"port": 80, "protocol": "UDP"}]})
    );
}

#[test]
fn wishes_that_contradict_themselves_are_refused() {
    let twice = json!({"items": [{"name": "a"}, {"name": "a"}]});
    let refusal = merge(schema(), &json!({}), &twice).unwrap_err().to_string();
    assert_eq!(refusal, ".items: duplicate entries for key [name=\"a\"]");
    let keyless = json!({"ports": [{"name": "a"}]});
    let refusal = merge(schema(), &json!({}), &keyless)
        .unwrap_err()
        .to_string();
    assert_eq!(
        refusal,
        ".ports: associative list with keys has an element that omits key field \"port\""
    );
}

#[test]
fn an_empty_wish_leaves_what_is_merged() {
    let live = json!({"labels": {"a": "1"}, "items": [{"name": "a"}], "atom": [1], "selector": {"a": "1"}});
    let wish = json!({"labels": {}, "items": [], "atom": [], "selector": {}});
    assert_eq!(
        merged(live.clone(), wish),
        json!({"labels": {"a": "1"}, "items": [{"name": "a"}], "atom": [], "selector": {}})
    );
}

#[test]
fn sets_are_written_as_upstream_writes_them() {
    let document = json!({"fields": {"a": "1"}, "labels": {"x/y": "1"}, "selector": {"a": "b"}, "tags": ["t"],
        "ports": [{"port": 80, "name": "web"}], "atom": [1]});
    let set = field_set(schema(), &document).unwrap();
    let written = json!({
        "f:fields": {"f:a": {}},
        "f:labels": {"f:x/y": {}},
        "f:selector": {},
        "f:tags": {"v:\"t\"": {}},
        "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:name": {}}},
        "f:atom": {},
    });
    assert_eq!(set.to_fields_v1(), written);
    assert_eq!(FieldSet::from_fields_v1(&written), Some(set));
    let update = compare(schema(), &json!({}), &json!({"labels": {"a": "1"}})).unwrap();
    assert_eq!(
        update.added.to_fields_v1(),
        json!({"f:labels": {".": {}, "f:a": {}}})
    );
}

#[test]
fn foreign_documents_that_are_no_sets_are_not_read() {
    for bad in [
        json!([]),
        json!({"f:a": 1}),
        json!({"x:a": {}}),
        json!({"k:{": {}}),
        json!({"i:x": {}}),
        json!({"a": {}}),
    ] {
        assert_eq!(FieldSet::from_fields_v1(&bad), None, "{bad}");
    }
}

#[test]
fn comparisons_name_pieces_and_elements() {
    let old = json!({"fields": {"a": "1", "b": "1"}, "selector": {"x": "1"}, "items": [{"name": "a", "v": 1}], "tags": ["s"]});
    let new = json!({"fields": {"a": "2"}, "selector": {"x": "2"}, "items": [{"name": "a", "v": 2}], "tags": ["t"]});
    let found = compare(schema(), &old, &new).unwrap();
    assert_eq!(lines(&found.added), [".tags[=\"t\"]"]);
    assert_eq!(
        lines(&found.modified),
        [".fields.a", ".items[name=\"a\"].v", ".selector"]
    );
    assert_eq!(lines(&found.removed), [".fields.b", ".tags[=\"s\"]"]);
}

#[test]
fn what_an_applier_no_longer_wishes_goes_unless_somebody_owns_it() {
    let mut owners = Owners::new();
    let mut act = |live: &Value, who: &str, config: Value| {
        apply(
            schema(),
            live,
            &mut owners,
            &applier(who),
            wish(&config, false),
        )
        .unwrap()
    };
    let one = act(
        &json!({}),
        "one",
        json!({"labels": {"a": "1", "b": "1"}, "fields": {"a": "1"}}),
    );
    let both = act(&one, "two", json!({"labels": {"b": "1", "c": "1"}}));
    let after = act(&both, "one", json!({}));
    assert_eq!(after, json!({"labels": {"b": "1", "c": "1"}}));
    assert_eq!(act(&after, "two", json!({})), json!({}));
}

#[test]
fn conflicts_name_owner_and_place_and_force_takes() {
    let mut owners = Owners::new();
    let first = json!({"items": [{"name": "a", "v": 1}]});
    let live = apply(
        schema(),
        &json!({}),
        &mut owners,
        &applier("one"),
        wish(&first, false),
    )
    .unwrap();
    let second = json!({"items": [{"name": "a", "v": 2}]});
    let before = owners.clone();
    let refusal = apply(
        schema(),
        &live,
        &mut owners,
        &applier("two"),
        wish(&second, false),
    );
    let Err(Refusal::Conflicts(conflicts)) = refusal else {
        unreachable!("{refusal:?}")
    };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].manager.name, "one");
    assert_eq!(conflicts[0].path.to_string(), ".items[name=\"a\"].v");
    assert_eq!(owners, before, "a refused wish changes nobody's fields");
    let forced = apply(
        schema(),
        &live,
        &mut owners,
        &applier("two"),
        wish(&second, true),
    )
    .unwrap();
    assert_eq!(forced, second);
    assert_eq!(
        lines(&owners[&applier("one")]),
        [".items[name=\"a\"]", ".items[name=\"a\"].name"]
    );
}
