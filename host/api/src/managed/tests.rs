//! Field managers of whole objects: entries, times, the cap, migration from client-side apply.

#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;
use crate::resources::{CONFIG_MAPS, PODS, SERVICES};

const THEN: &str = "2030-01-01T00:00:00Z";
const LATER: &str = "2030-01-01T00:00:01Z";

fn author<'a>(manager: &'a str, now: &'a str) -> Author<'a> {
    Author {
        manager,
        subresource: "",
        api_version: "v1",
        now,
    }
}

fn map(data: Value) -> Object {
    Object::from_value(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}),
    )
    .unwrap()
}

fn entries(object: &Object) -> Vec<Value> {
    let list = object.get(&FIELD).and_then(Value::as_array);
    list.cloned().unwrap_or_default()
}

fn created(manager: &str, mut object: Object) -> Object {
    track(&CONFIG_MAPS, None, &mut object, None, author(manager, THEN));
    object
}

#[test]
fn a_creation_is_owned_as_upstream_writes_it() {
    let object = created("kubectl-create", map(json!({"a": "1"})));
    let expected = json!([{
        "manager": "kubectl-create", "operation": "Update", "apiVersion": "v1", "time": THEN,
        "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
    }]);
    assert_eq!(object.get(&FIELD), Some(&expected));
}

#[test]
fn an_update_takes_only_what_it_changes_and_keeps_times_otherwise() {
    let old = created("first", map(json!({"a": "1", "b": "1"})));
    let mut same = old.clone();
    track(
        &CONFIG_MAPS,
        Some(&old),
        &mut same,
        None,
        author("second", LATER),
    );
    assert_eq!(same, old);
    let mut new = map(json!({"a": "2", "b": "1"}));
    track(
        &CONFIG_MAPS,
        Some(&old),
        &mut new,
        None,
        author("second", LATER),
    );
    let all = entries(&new);
    assert_eq!(all[0]["fieldsV1"], json!({"f:data": {".": {}, "f:b": {}}}));
    assert_eq!(all[1]["manager"], "second");
    assert_eq!(all[1]["fieldsV1"], json!({"f:data": {"f:a": {}}}));
    assert_eq!(
        (&all[0]["time"], &all[1]["time"]),
        (&json!(THEN), &json!(LATER))
    );
}

#[test]
fn conflicts_speak_as_upstream_does() {
    let live = created("kubectl-create", map(json!({"a": "1", "b": "1"})));
    let one = apply(
        &CONFIG_MAPS,
        Some(&live),
        &map(json!({"a": "2"})),
        author("kubectl", LATER),
        false,
    );
    assert_eq!(
        one.unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-create\" using v1: .data.a"
    );
    let two = apply(
        &CONFIG_MAPS,
        Some(&live),
        &map(json!({"a": "2", "b": "2"})),
        author("kubectl", LATER),
        false,
    );
    assert_eq!(
        two.unwrap_err().to_string(),
        "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using v1:\n- .data.a\n- .data.b"
    );
}

#[test]
fn what_was_never_tracked_belongs_to_the_time_before_apply() {
    let live = map(json!({"a": "1"}));
    let mut updated = map(json!({"a": "2"}));
    track(
        &CONFIG_MAPS,
        Some(&live),
        &mut updated,
        None,
        author("x", THEN),
    );
    assert_eq!(
        updated.get(&FIELD),
        None,
        "tracking begins with a create or an apply"
    );
    let applied = apply(
        &CONFIG_MAPS,
        Some(&live),
        &map(json!({"b": "1"})),
        author("kubectl", THEN),
        false,
    )
    .unwrap();
    let managers: Vec<Value> = entries(&applied)
        .iter()
        .map(|entry| json!([entry["manager"], entry["operation"]]))
        .collect();
    assert_eq!(
        managers,
        [
            json!(["kubectl", "Apply"]),
            json!(["before-first-apply", "Update"])
        ]
    );
    assert_eq!(applied.get(&["data"]), Some(&json!({"a": "1", "b": "1"})));
}

#[test]
fn client_side_apply_hands_over_what_it_set() {
    let last = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"m\"},\"data\":{\"a\":\"1\"}}";
    let mut live = map(json!({"a": "1"}));
    live.set(
        &[
            "metadata",
            "annotations",
            "kubectl.kubernetes.io/last-applied-configuration",
        ],
        json!(last),
    );
    let live = created("kubectl-client-side-apply", live);
    let config = map(json!({"a": "2"}));
    assert!(
        apply(
            &CONFIG_MAPS,
            Some(&live),
            &config,
            author("other", LATER),
            false
        )
        .is_err(),
        "only kubectl moves over"
    );
    let applied = apply(
        &CONFIG_MAPS,
        Some(&live),
        &config,
        author("kubectl", LATER),
        false,
    )
    .unwrap();
    assert_eq!(applied.get(&["data", "a"]), Some(&json!("2")));
    let annotation = applied
        .annotation("kubectl.kubernetes.io/last-applied-configuration")
        .unwrap();
    assert!(annotation.contains("\"a\":\"2\""), "{annotation}");
    let mut changed = live.clone();
    changed.set(&["data", "a"], json!("3"));
    track(
        &CONFIG_MAPS,
        Some(&live),
        &mut changed,
        None,
        author("edit", LATER),
    );
    assert!(
        apply(
            &CONFIG_MAPS,
            Some(&changed),
            &config,
            author("kubectl", LATER),
            false
        )
        .is_err(),
        "what somebody changed since is not taken"
    );
}

#[test]
fn a_request_may_write_the_list_itself_or_remove_it() {
    let live = created("first", map(json!({"a": "1"})));
    let mut list = live.get(&FIELD).cloned().unwrap();
    list[0]["manager"] = json!("renamed");
    let mut new = live.clone();
    track(
        &CONFIG_MAPS,
        Some(&live),
        &mut new,
        Some(&list),
        author("x", LATER),
    );
    assert_eq!(entries(&new)[0]["manager"], "renamed");
    for nonsense in [json!([]), json!("x"), json!([{"manager": "a"}])] {
        let mut new = live.clone();
        track(
            &CONFIG_MAPS,
            Some(&live),
            &mut new,
            Some(&nonsense),
            author("x", LATER),
        );
        assert_eq!(new, live, "{nonsense}");
    }
    let mut new = live.clone();
    track(
        &CONFIG_MAPS,
        Some(&live),
        &mut new,
        Some(&json!([{}])),
        author("x", LATER),
    );
    assert_eq!(new.get(&FIELD), None);
}

#[test]
fn updaters_are_capped() {
    let mut object = created("u0", map(json!({"k0": "1"})));
    for index in 1..15 {
        let (old, name) = (object.clone(), format!("u{index}"));
        object.set(&["data", &format!("k{index}")], json!("1"));
        let now = format!("2030-01-01T00:00:{index:02}Z");
        track(
            &CONFIG_MAPS,
            Some(&old),
            &mut object,
            None,
            author(&name, &now),
        );
    }
    let all = entries(&object);
    assert_eq!(all.len(), 10);
    assert_eq!(all[0]["manager"], "ancient-changes");
    assert_eq!(all[0]["fieldsV1"]["f:data"]["f:k0"], json!({}));
    assert_eq!(all[9]["manager"], "u14");
}

#[test]
fn the_status_belongs_to_its_own_part() {
    let pod = |status: Value| {
        Object::from_value(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"nodeName": "n"}, "status": status}),
        )
        .unwrap()
    };
    let mut old = pod(json!({"phase": "Pending"}));
    track(&PODS, None, &mut old, None, author("x", THEN));
    assert_eq!(
        entries(&old)[0]["fieldsV1"],
        json!({"f:spec": {".": {}, "f:nodeName": {}}})
    );
    let mut new = pod(json!({"phase": "Running"}));
    new.set(&FIELD, old.get(&FIELD).cloned().unwrap());
    let agent = Author {
        subresource: "status",
        ..author("agent", LATER)
    };
    track(&PODS, Some(&old), &mut new, None, agent);
    let entry = &entries(&new)[1];
    assert_eq!(entry["subresource"], "status");
    assert_eq!(entry["fieldsV1"], json!({"f:status": {"f:phase": {}}}));
}

#[test]
fn ports_are_told_apart_by_number_and_protocol() {
    let service = |ports: Value| {
        Object::from_value(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}}))
            .unwrap()
    };
    let first = apply(
        &SERVICES,
        None,
        &service(json!([{"port": 80}])),
        author("a", THEN),
        false,
    )
    .unwrap();
    let second = service(json!([{"port": 80, "protocol": "UDP"}]));
    let both = apply(&SERVICES, Some(&first), &second, author("b", LATER), false).unwrap();
    assert_eq!(
        both.get(&["spec", "ports"]),
        Some(&json!([{"port": 80}, {"port": 80, "protocol": "UDP"}]))
    );
}

#[test]
fn quantities_in_another_spelling_are_no_change() {
    let pod = |cpu: &str| {
        Object::from_value(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": cpu}}}]}}),
        )
        .unwrap()
    };
    let first = apply(&PODS, None, &pod("1000m"), author("a", THEN), false).unwrap();
    assert_eq!(
        first.get(&["spec", "containers"]).unwrap()[0]["resources"]["limits"]["cpu"],
        "1"
    );
    let again = apply(&PODS, Some(&first), &pod("1"), author("b", LATER), false).unwrap();
    assert_eq!(entries(&again).len(), 2);
}
