//! Golden cases from upstream's documentation and tests; properties of all three formats.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resources::{NODES, PLUGINS, PODS, SERVICES};

fn pod(spec: Value) -> Value {
    json!({"spec": spec})
}

fn merged(target: Value, patch: Value) -> Value {
    strategic(&PODS, &pod(target), &pod(patch)).unwrap()["spec"].clone()
}

#[test]
fn containers_merge_by_name() {
    let target = json!({"containers": [{"name": "patch-demo-ctr", "image": "nginx"}], "tolerations": [{"effect": "NoSchedule", "key": "dedicated"}]});
    let patch = json!({"containers": [{"name": "patch-demo-ctr-2", "image": "redis"}], "tolerations": [{"key": "x"}]});
    let result = merged(target, patch);
    // As in "Update API Objects in Place Using kubectl patch": containers merge, tolerations are replaced.
    assert_eq!(
        result["containers"],
        json!([{"name": "patch-demo-ctr-2", "image": "redis"}, {"name": "patch-demo-ctr", "image": "nginx"}])
    );
    assert_eq!(result["tolerations"], json!([{"key": "x"}]));
}

#[test]
fn set_image_keeps_the_rest_and_the_order() {
    let target = json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]});
    let patch = json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b", "image": "2"}]});
    let expected = json!({"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}]});
    assert_eq!(merged(target, patch), expected);
}

#[test]
fn element_order_moves_and_keeps_server_only_elements_in_place() {
    let names =
        |list: &[&str]| -> Value { list.iter().map(|name| json!({"name": name})).collect() };
    let target = json!({"containers": names(&["1", "2", "server", "3"])});
    let patch = json!({"$setElementOrder/containers": names(&["3", "1", "2"]), "containers": names(&["3"])});
    // Upstream: the server-only element goes before the first listed one that followed it on the server.
    assert_eq!(
        merged(target, patch)["containers"],
        names(&["server", "3", "1", "2"])
    );
}

#[test]
fn element_order_must_list_what_the_patch_sets() {
    let patch = pod(
        json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b", "image": "2"}]}),
    );
    let error = strategic(&PODS, &pod(json!({})), &patch).unwrap_err();
    assert!(matches!(error, PatchError::Malformed(_)), "{error}");
}

#[test]
fn directives_in_lists() {
    let target = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
    let deleted = merged(
        target.clone(),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
    );
    assert_eq!(deleted["containers"], json!([{"name": "b", "image": "1"}]));
    let replaced = merged(
        target.clone(),
        json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}),
    );
    assert_eq!(replaced["containers"], json!([{"name": "c"}]));
    let merge = merged(
        target.clone(),
        json!({"containers": [{"name": "a", "image": "2", "$patch": "merge"}]}),
    );
    assert_eq!(merge["containers"][0], json!({"name": "a", "image": "2"}));
    let odd = strategic(
        &PODS,
        &pod(target),
        &pod(json!({"containers": [{"name": "a", "$patch": "melt"}]})),
    );
    assert!(matches!(odd, Err(PatchError::Unprocessable(_))));
}

#[test]
fn directives_in_maps() {
    let target = json!({"nodeSelector": {"a": "1", "b": "2"}, "securityContext": {"runAsUser": 1}});
    let replaced = merged(
        target.clone(),
        json!({"nodeSelector": {"c": "3", "$patch": "replace"}}),
    );
    assert_eq!(replaced["nodeSelector"], json!({"c": "3"}));
    let deleted = merged(
        target.clone(),
        json!({"securityContext": {"$patch": "delete"}}),
    );
    assert_eq!(deleted["securityContext"], json!({}));
    let nulled = merged(
        target,
        json!({"nodeSelector": {"a": null}, "securityContext": null}),
    );
    assert_eq!(nulled, json!({"nodeSelector": {"b": "2"}}));
}

#[test]
fn retain_keys_makes_a_volume_change_its_source() {
    let target = json!({"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}, {"name": "w", "emptyDir": {}}]});
    let patch = json!({"volumes": [{"name": "v", "configMap": {"name": "c"}, "$retainKeys": ["name", "configMap"]}]});
    let result = merged(target, patch);
    assert_eq!(
        result["volumes"],
        json!([{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "emptyDir": {}}])
    );
    let stray = pod(json!({"volumes": [{"name": "v", "configMap": {}, "$retainKeys": ["name"]}]}));
    let error = strategic(&PODS, &pod(json!({"volumes": [{"name": "v"}]})), &stray).unwrap_err();
    assert!(matches!(error, PatchError::Malformed(_)));
}

#[test]
fn finalizers_are_a_merged_list_of_scalars() {
    let target = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let added = strategic(
        &PODS,
        &target,
        &json!({"metadata": {"finalizers": ["d", "a"]}}),
    )
    .unwrap();
    let mut all: Vec<&str> = added["metadata"]["finalizers"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c", "d"]);
    let removed = strategic(
        &PODS,
        &target,
        &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"]}}),
    )
    .unwrap();
    assert_eq!(removed["metadata"]["finalizers"], json!(["a", "c"]));
    let both = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "a"]}});
    assert_eq!(
        strategic(&PODS, &target, &both).unwrap()["metadata"]["finalizers"],
        json!(["c", "a"])
    );
}

#[test]
fn ports_conditions_and_taints_have_their_own_keys() {
    let service = json!({"spec": {"ports": [{"port": 80, "name": "http"}]}});
    let patch = json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443}]}});
    let result = strategic(&SERVICES, &service, &patch).unwrap();
    assert_eq!(
        result["spec"]["ports"],
        json!([{"port": 80, "name": "http", "targetPort": 8080}, {"port": 443}])
    );
    let node = json!({"spec": {"taints": [{"key": "a"}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let patch = json!({"spec": {"unschedulable": true, "taints": [{"key": "b"}]}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}});
    let result = strategic(&NODES, &node, &patch).unwrap();
    assert_eq!(
        result["status"]["conditions"],
        json!([{"type": "Ready", "status": "False"}])
    );
    assert_eq!(result["spec"]["taints"], json!([{"key": "b"}]));
}

#[test]
fn an_element_without_its_key_is_refused() {
    let patch = pod(json!({"containers": [{"image": "x"}]}));
    let error = strategic(&PODS, &pod(json!({"containers": [{"name": "a"}]})), &patch)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("does not contain declared merge key: name"),
        "{error}"
    );
}

#[test]
fn custom_kinds_have_no_strategic_merge() {
    let error = strategic(&PLUGINS, &json!({}), &json!({})).unwrap_err();
    assert_eq!(
        error,
        PatchError::Unsupported("plugins.policy.osier.dev".to_owned())
    );
}

#[test]
fn json_patches_apply_all_or_nothing() {
    let target = json!({"a": 1, "l": [1, 2]});
    let patch = json!([{"op": "test", "path": "/a", "value": 1}, {"op": "add", "path": "/l/-", "value": 3}, {"op": "remove", "path": "/a"}]);
    assert_eq!(json(&target, &patch).unwrap(), json!({"l": [1, 2, 3]}));
    let failing =
        json!([{"op": "remove", "path": "/a"}, {"op": "test", "path": "/l/0", "value": 9}]);
    assert!(matches!(
        json(&target, &failing),
        Err(PatchError::Unprocessable(_))
    ));
    assert!(matches!(
        json(&target, &json!({"a": 1})),
        Err(PatchError::Malformed(_))
    ));
    assert!(matches!(
        merge(&target, &json!([])),
        Err(PatchError::Malformed(_))
    ));
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let node = leaf().prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..3)
                .prop_map(|map| map.into_iter().collect()),
        ]
    });
    prop::collection::btree_map("[a-d]", node, 0..4).prop_map(|map| map.into_iter().collect())
}

fn containers() -> impl Strategy<Value = Vec<Value>> {
    let container = (0u8..5, prop::option::of("[a-c]"), prop::option::of(0u8..3)).prop_map(
        |(name, image, env)| {
            let mut container = json!({"name": name.to_string()});
            if let Some(image) = image {
                container["image"] = image.into();
            }
            if let Some(env) = env {
                container["env"] = json!([{"name": env.to_string(), "value": "v"}]);
            }
            container
        },
    );
    prop::collection::vec(container, 0..5).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        list.into_iter()
            .filter(|item| seen.insert(item["name"].to_string()))
            .collect()
    })
}

proptest! {
    #[test]
    fn the_empty_merge_is_the_identity(target in tree()) {
        prop_assert_eq!(merge(&target, &json!({})).unwrap(), target.clone());
        prop_assert_eq!(strategic(&PODS, &target, &json!({})).unwrap(), target.clone());
        prop_assert_eq!(merge(&json!({}), &target).unwrap(), target);
    }

    #[test]
    fn merging_twice_is_merging_once(target in tree(), patch in tree()) {
        let once = merge(&target, &patch).unwrap();
        prop_assert_eq!(merge(&once, &patch).unwrap(), once);
    }

    #[test]
    fn strategic_twice_is_once(target in containers(), patch in containers()) {
        let patch = pod(json!({"containers": patch}));
        let once = strategic(&PODS, &pod(json!({"containers": target})), &patch).unwrap();
        prop_assert_eq!(strategic(&PODS, &once, &patch).unwrap(), once);
    }

    #[test]
    fn without_lists_strategic_equals_merge(target in tree(), patch in tree()) {
        // No field of these trees is in the schema, so lists are replaced, as in a merge patch.
        prop_assert_eq!(strategic(&PODS, &target, &patch).unwrap(), merge(&target, &patch).unwrap());
    }

    #[test]
    fn element_order_is_the_order(target in containers(), order in Just((0u8..5).collect::<Vec<_>>()).prop_shuffle()) {
        let wanted: Vec<Value> = order.iter().map(|name| json!({"name": name.to_string()})).collect();
        let patch = pod(json!({"$setElementOrder/containers": wanted, "containers": []}));
        let result = strategic(&PODS, &pod(json!({"containers": target.clone()})), &patch).unwrap();
        let result = result["spec"]["containers"].as_array().unwrap().clone();
        let mut expected = target;
        expected.sort_by_key(|item| wanted.iter().position(|candidate| candidate["name"] == item["name"]));
        prop_assert_eq!(result, expected);
    }

    #[test]
    fn a_deleted_element_is_gone(target in containers(), name in 0u8..5) {
        let name = name.to_string();
        let patch = pod(json!({"containers": [{"$patch": "delete", "name": name}]}));
        let result = strategic(&PODS, &pod(json!({"containers": target})), &patch).unwrap();
        let gone = result["spec"]["containers"].as_array().unwrap().iter().all(|item| item["name"] != *name);
        prop_assert!(gone);
    }
}
